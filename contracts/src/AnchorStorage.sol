// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "./ILedgerAnchor.sol";

/// @title The storage that is part of the format
/// @notice Storage-slot proofs read these slots without running the contract, so their numbers never change.
/// @dev Must be the first base of LedgerAnchor: storage is laid out base by base. STORAGE.md lists the slots, and
/// tests read them as a storage proof would.
abstract contract AnchorStorage is ILedgerAnchor {
    /// @notice Bit of a head's flags: the log is sealed.
    uint8 public constant FLAG_SEALED = 1;
    /// @notice Bit of a head's flags: anchors above the sealed size exist and are disputed.
    uint8 public constant FLAG_DISPUTED = 2;

    /// @inheritdoc ILedgerAnchor
    mapping(bytes32 log => mapping(uint64 size => bytes32)) public override root;
    /// @inheritdoc ILedgerAnchor
    mapping(bytes32 log => mapping(uint64 size => Meta)) public override meta;
    /// @inheritdoc ILedgerAnchor
    mapping(bytes32 log => Head) public override head;
    /// @inheritdoc ILedgerAnchor
    mapping(bytes32 log => LogRecord) public override logs;
    /// @inheritdoc ILedgerAnchor
    mapping(bytes32 log => SealRecord) public override seals;
    /// @inheritdoc ILedgerAnchor
    mapping(bytes32 log => mapping(bytes32 leafHash => Meta)) public override requests;
    /// @dev By the bytes of the prefix, oldest first.
    mapping(string prefix => PrefixRecord[]) internal prefixRecords;

    /// @dev Describes the running transaction, for a record. The widths outlast any chain's block numbers and reach
    /// the year 36812.
    function _now() internal view returns (Meta memory) {
        return Meta({blockNumber: uint56(block.number), time: uint40(block.timestamp), sender: msg.sender});
    }

    /// @dev Reverts unless the log is registered; returns its head.
    function _registeredHead(bytes32 log) internal view returns (Head memory current) {
        current = head[log];
        // A size is zero only where nothing was ever written, so there is no value just beside it to be steered to.
        // slither-disable-next-line incorrect-equality,timestamp
        if (current.size == 0) revert LogUnknown(log);
    }

    /// @dev Reverts unless the log is registered and open; returns its head.
    function _openHead(bytes32 log) internal view returns (Head memory current) {
        current = _registeredHead(log);
        if (_isSealed(current)) revert LogIsSealed(log);
    }

    /// @dev Whether the head is that of a sealed log.
    function _isSealed(Head memory current) internal pure returns (bool) {
        return current.flags & FLAG_SEALED != 0;
    }
}
