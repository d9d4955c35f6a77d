// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AnchorStorage} from "./AnchorStorage.sol";
import {ILedgerAnchor} from "./ILedgerAnchor.sol";

/// @title Which log a prefix belongs to, now and before
/// @notice A prefix belongs to one log at a time; every change stays readable.
abstract contract PrefixRegistry is AnchorStorage {
    /// @notice Most bytes that an origin or a prefix may have.
    uint256 public constant MAX_TEXT = 256;

    /// @inheritdoc ILedgerAnchor
    function logOf(string calldata prefix) public view override returns (bytes32) {
        PrefixRecord[] storage records = prefixRecords[prefix];
        return records.length == 0 ? bytes32(0) : records[records.length - 1].log;
    }

    /// @inheritdoc ILedgerAnchor
    function prefixHistory(string calldata prefix) external view override returns (PrefixRecord[] memory) {
        return prefixRecords[prefix];
    }

    /// @dev Gives a prefix to a log, or to none; the caller has checked the sender's role.
    function _mapPrefix(string calldata prefix, bytes32 log) internal {
        _requireVisibleAscii(prefix);
        if (log != 0) _openHead(log);
        bytes32 previous = logOf(prefix);
        if (previous == log) return;
        prefixRecords[prefix].push(PrefixRecord({log: log, meta: _now()}));
        emit PrefixMapped(keccak256(bytes(prefix)), log, previous, prefix);
    }

    /// @dev Reverts unless the text has 1 to MAX_TEXT bytes.
    function _requireLength(string calldata text) internal pure {
        uint256 length = bytes(text).length;
        if (length == 0 || length > MAX_TEXT) revert TextLength(length);
    }

    /// @dev Refuses what would look alike or be invisible in a prefix.
    function _requireVisibleAscii(string calldata text) private pure {
        _requireLength(text);
        bytes calldata raw = bytes(text);
        for (uint256 i = 0; i < raw.length; ++i) {
            if (raw[i] < 0x21 || raw[i] > 0x7e) revert TextByte(i, raw[i]);
        }
    }
}
