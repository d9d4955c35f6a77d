// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {AnchorStorage} from "./AnchorStorage.sol";
import {Authorisation} from "./Authorisation.sol";
import {ILedgerAnchor} from "./ILedgerAnchor.sol";
import {PrefixRegistry} from "./PrefixRegistry.sol";
import {Rfc9162} from "./Rfc9162.sol";

/// @title Anchors of append-only logs
/// @notice Keeps, for many logs, the tree roots at the sizes that were anchored. Each anchor proves here, on chain, that
/// it extends the one before it, back to the genesis entry; none can be changed or taken away. The code has no owner
/// who could replace it.
/// @dev Trusts: the admin, who appoints the other roles, names authorisers and seals logs, and whose own succession is
/// delayed. An anchoring key alone, or an authorising key alone, can do nothing. No decision rests on a block's time: it
/// is only recorded. Where the analyser says otherwise it has mistaken a size for the time in the same slot.
contract LedgerAnchor is AnchorStorage, PrefixRegistry, Authorisation, AccessControlDefaultAdminRules, Pausable {
    /// @notice May register logs and map prefixes.
    bytes32 public constant REGISTRY_ROLE = keccak256("REGISTRY_ROLE");
    /// @notice May send anchors that an authoriser signed.
    bytes32 public constant ANCHORER_ROLE = keccak256("ANCHORER_ROLE");
    /// @notice May stop and resume writes.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    /// @param adminDelay Seconds between announcing another admin and its taking over.
    /// @param admin First holder of DEFAULT_ADMIN_ROLE.
    constructor(uint48 adminDelay, address admin) AccessControlDefaultAdminRules(adminDelay, admin) {}

    /// @inheritdoc ILedgerAnchor
    function registerLog(bytes32 log, string calldata origin, address authoriser)
        external
        override
        whenNotPaused
        onlyRole(REGISTRY_ROLE)
    {
        if (log == 0) revert ZeroHash();
        if (authoriser == address(0)) revert AuthoriserMissing();
        _requireLength(origin);
        if (head[log].size != 0) revert LogAlreadyRegistered(log);
        root[log][1] = log;
        meta[log][1] = _now();
        head[log] = Head({size: 1, time: uint40(block.timestamp), sealedSize: 0, flags: 0});
        logs[log] = LogRecord({originHash: sha256(bytes(origin)), authoriser: authoriser});
        emit LogRegistered(log, origin, authoriser);
    }

    /// @inheritdoc ILedgerAnchor
    function setAuthoriser(bytes32 log, address authoriser) external override onlyRole(DEFAULT_ADMIN_ROLE) {
        _openHead(log);
        if (authoriser == address(0)) revert AuthoriserMissing();
        address previous = logs[log].authoriser;
        logs[log].authoriser = authoriser;
        emit AuthoriserChanged(log, previous, authoriser);
    }

    /// @inheritdoc ILedgerAnchor
    function anchor(bytes32 log, uint64 size, bytes32 rootHash, bytes32[] calldata proof, bytes calldata authorisation)
        external
        override
        whenNotPaused
        onlyRole(ANCHORER_ROLE)
    {
        uint64 latest = _openHead(log).size;
        // slither-disable-next-line timestamp
        if (size <= latest) {
            _requireRepeat(log, size, rootHash, latest);
            return;
        }
        _requireAuthorised(log, size, rootHash, authorisation);
        if (!Rfc9162.verifyConsistency(latest, size, root[log][latest], rootHash, proof)) {
            revert ConsistencyRefused(log, latest, size);
        }
        root[log][size] = rootHash;
        meta[log][size] = _now();
        head[log] = Head({size: size, time: uint40(block.timestamp), sealedSize: 0, flags: 0});
        emit Anchored(log, size, rootHash, msg.sender);
    }

    /// @inheritdoc ILedgerAnchor
    function seal(bytes32 log, uint64 size, bytes32 rootHash, bytes32 successor)
        external
        override
        whenNotPaused
        onlyRole(DEFAULT_ADMIN_ROLE)
    {
        Head memory current = _openHead(log);
        // slither-disable-next-line timestamp
        if (size == 0 || size > current.size) revert SealOutOfRange(log, size, current.size);
        if (rootHash == 0) revert ZeroHash();
        bytes32 anchored = root[log][size];
        if (anchored != 0 && anchored != rootHash) revert RootConflict(log, size, anchored, rootHash);
        if (successor != 0) {
            if (successor == log) revert SuccessorRefused(successor);
            _openHead(successor);
        }
        current.sealedSize = size;
        // slither-disable-next-line timestamp
        current.flags = size < current.size ? FLAG_SEALED | FLAG_DISPUTED : FLAG_SEALED;
        head[log] = current;
        seals[log] = SealRecord({root: rootHash, successor: successor, meta: _now()});
        emit Sealed(log, size, rootHash, successor);
    }

    /// @inheritdoc ILedgerAnchor
    function mapPrefix(string calldata prefix, bytes32 log) external override whenNotPaused onlyRole(REGISTRY_ROLE) {
        _mapPrefix(prefix, log);
    }

    /// @inheritdoc ILedgerAnchor
    function request(bytes32 log, bytes32 leafHash) external override whenNotPaused {
        _openHead(log);
        if (leafHash == 0) revert ZeroHash();
        if (requests[log][leafHash].sender != address(0)) return;
        requests[log][leafHash] = _now();
        emit Requested(log, leafHash, msg.sender);
    }

    /// @inheritdoc ILedgerAnchor
    function pause() external override onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @inheritdoc ILedgerAnchor
    function unpause() external override onlyRole(PAUSER_ROLE) {
        _unpause();
    }

    /// @inheritdoc ILedgerAnchor
    function verifyInclusion(bytes32 log, uint64 size, uint64 index, bytes32 leafHash, bytes32[] calldata proof)
        external
        view
        override
        returns (bool)
    {
        Head memory current = _registeredHead(log);
        bytes32 anchored = root[log][size];
        if (anchored == 0) revert NotAnchored(log, size);
        // slither-disable-next-line timestamp
        if (_isSealed(current) && size > current.sealedSize) {
            revert AnchorDisputed(log, size, current.sealedSize);
        }
        return Rfc9162.verifyInclusion(leafHash, index, size, proof, anchored);
    }

    /// @dev Reverts unless this very checkpoint is anchored already. Nothing is written then, so a worker that resends
    /// what it is unsure of needs no valid authorisation.
    function _requireRepeat(bytes32 log, uint64 size, bytes32 rootHash, uint64 latest) private view {
        bytes32 anchored = root[log][size];
        if (anchored == 0) revert SizeNotGrowing(log, size, latest);
        if (anchored != rootHash) revert RootConflict(log, size, anchored, rootHash);
    }
}
