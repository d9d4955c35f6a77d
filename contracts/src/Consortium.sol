// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";

import {IConsortium} from "./IConsortium.sol";

/// @title Administration of a permissioned chain by several hands
/// @notice Stands in the chain's genesis at a fixed address with its storage filled in, so that no single key ever
/// held the chain. The application reads rights and validators from the storage without running the code.
/// @dev The order of the storage variables is part of the format: STORAGE.md lists the slots, and tests read them as
/// the application does. The constructor, which the genesis does without, writes the same layout. Trusts: any
/// `threshold` administrators together, who may also replace themselves. Fewer of them can only propose. No key is
/// checked to be a point of the curve: a validator with a useless one is as good as a dead one.
contract Consortium is IConsortium {
    /// @notice Bit of an account's rights: it may send transactions.
    uint256 public constant MAY_SEND = 1;
    /// @notice Bit of an account's rights: it may create contracts.
    uint256 public constant MAY_CREATE = 2;
    /// @notice Most validators of a chain.
    uint256 public constant MAX_VALIDATORS = 64;
    /// @notice Most power of one validator. All of them together stay below 2^47, far from what overflows a tally.
    uint64 public constant MAX_POWER = 1 << 40;
    /// @notice Most administrators.
    uint256 public constant MAX_ADMINISTRATORS = 32;

    /// @inheritdoc IConsortium
    mapping(address account => uint256) public override rights;
    Validator[] private _validators;
    address[] private _administrators;
    /// @inheritdoc IConsortium
    uint256 public override threshold;
    /// @inheritdoc IConsortium
    uint256 public override round;
    /// @inheritdoc IConsortium
    mapping(bytes32 id => mapping(address administrator => bool)) public override confirmed;
    /// @inheritdoc IConsortium
    mapping(bytes32 id => uint256) public override confirmations;

    modifier onlyAdministrator() {
        if (!_isAdministrator(msg.sender)) revert NotAdministrator(msg.sender);
        _;
    }

    modifier onlyByAct() {
        if (msg.sender != address(this)) revert OnlyByAct(msg.sender);
        _;
    }

    /// @param firstAdministrators Administrators from the start.
    /// @param needed How many of them an act needs.
    /// @param firstValidators Validators from the start.
    constructor(address[] memory firstAdministrators, uint256 needed, Validator[] memory firstValidators) {
        _setAdministrators(firstAdministrators, needed);
        _setValidators(firstValidators);
    }

    /// @inheritdoc IConsortium
    function act(bytes calldata call) external override onlyAdministrator {
        // Meant to keep the first four bytes. A shorter call is filled up with zeros, and with them is none of the three.
        // forge-lint: disable-next-line(unsafe-typecast)
        _requireKnown(bytes4(call));
        bytes32 id = actId(call);
        if (confirmed[id][msg.sender]) revert AlreadyConfirmed(id, msg.sender);
        confirmed[id][msg.sender] = true;
        uint256 count = confirmations[id] + 1;
        confirmations[id] = count;
        emit Confirmed(id, msg.sender, count, call);
        if (count < threshold) return;
        uint256 current = round;
        round = current + 1;
        emit Acted(id, current, call);
        // What is called is one of three functions below, and returns nothing. Their errors come through as they are.
        // slither-disable-next-line unused-return
        Address.functionCall(address(this), call);
    }

    /// @inheritdoc IConsortium
    function withdraw(bytes calldata call) external override onlyAdministrator {
        bytes32 id = actId(call);
        if (!confirmed[id][msg.sender]) revert NotConfirmed(id, msg.sender);
        confirmed[id][msg.sender] = false;
        uint256 count = confirmations[id] - 1;
        confirmations[id] = count;
        emit Withdrawn(id, msg.sender, count);
    }

    /// @inheritdoc IConsortium
    function setRights(address account, uint256 allowed) external override onlyByAct {
        if (account == address(0)) revert AccountMissing();
        if (allowed > MAY_SEND | MAY_CREATE) revert RightsUnknown(allowed);
        if (allowed & MAY_SEND == 0 && _isAdministrator(account)) revert AdministratorMustSend(account);
        _setRights(account, allowed);
    }

    /// @inheritdoc IConsortium
    function setValidators(Validator[] calldata list) external override onlyByAct {
        _setValidators(list);
    }

    /// @inheritdoc IConsortium
    function setAdministrators(address[] calldata list, uint256 needed) external override onlyByAct {
        _setAdministrators(list, needed);
    }

    /// @inheritdoc IConsortium
    function validators() external view override returns (Validator[] memory) {
        return _validators;
    }

    /// @inheritdoc IConsortium
    function administrators() external view override returns (address[] memory) {
        return _administrators;
    }

    /// @inheritdoc IConsortium
    function actId(bytes calldata call) public view override returns (bytes32) {
        return keccak256(abi.encodePacked(round, call));
    }

    /// @dev Writes an account's rights, whoever it is.
    function _setRights(address account, uint256 allowed) private {
        rights[account] = allowed;
        emit RightsSet(account, allowed);
    }

    /// @dev Checks and replaces the whole list of validators.
    function _setValidators(Validator[] memory list) private {
        uint256 count = list.length;
        if (count == 0 || count > MAX_VALIDATORS) revert ValidatorCount(count);
        delete _validators;
        for (uint256 i = 0; i < count; ++i) {
            bytes32 key = list[i].key;
            uint64 power = list[i].power;
            if (key == 0) revert ValidatorKeyMissing(i);
            if (power == 0 || power > MAX_POWER) revert ValidatorPower(key, power);
            for (uint256 j = 0; j < i; ++j) {
                if (list[j].key == key) revert ValidatorKeyRepeated(key);
            }
            _validators.push(list[i]);
        }
        emit ValidatorsSet(list);
    }

    /// @dev Checks and replaces the whole list of administrators, and lets each of them send transactions.
    function _setAdministrators(address[] memory list, uint256 needed) private {
        uint256 count = list.length;
        if (count == 0 || count > MAX_ADMINISTRATORS) revert AdministratorCount(count);
        if (needed == 0 || needed > count) revert ThresholdOutOfRange(needed, count);
        for (uint256 i = 0; i < count; ++i) {
            address administrator = list[i];
            if (administrator == address(0)) revert AdministratorMissing(i);
            for (uint256 j = 0; j < i; ++j) {
                if (list[j] == administrator) revert AdministratorRepeated(administrator);
            }
            uint256 allowed = rights[administrator];
            if (allowed & MAY_SEND == 0) _setRights(administrator, allowed | MAY_SEND);
        }
        _administrators = list;
        threshold = needed;
        emit AdministratorsSet(list, needed);
    }

    /// @dev Whether an account is an administrator now.
    function _isAdministrator(address account) private view returns (bool) {
        uint256 count = _administrators.length;
        for (uint256 i = 0; i < count; ++i) {
            if (_administrators[i] == account) return true;
        }
        return false;
    }

    /// @dev Reverts unless an act may call this function.
    function _requireKnown(bytes4 selector) private pure {
        if (
            selector != IConsortium.setRights.selector && selector != IConsortium.setValidators.selector
                && selector != IConsortium.setAdministrators.selector
        ) revert CallRefused(selector);
    }
}
