// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Definitions of RFC 9162 written as they stand, recursive and slow, to test the verifier against
/// @dev Works on leaf hashes `leaves[from:to]`. Uses the compiler's own sha256.
library NaiveTree {
    /// @notice MTH of section 2.1.1, for at least one leaf.
    function root(bytes32[] memory leaves, uint256 from, uint256 to) internal pure returns (bytes32) {
        if (to - from == 1) return leaves[from];
        uint256 k = split(to - from);
        return node(root(leaves, from, from + k), root(leaves, from + k, to));
    }

    /// @notice PATH(m, D_n) of section 2.1.3.1, with m counted from `from`.
    function inclusion(bytes32[] memory leaves, uint256 m, uint256 from, uint256 to)
        internal
        pure
        returns (bytes32[] memory)
    {
        uint256 n = to - from;
        if (n == 1) return new bytes32[](0);
        uint256 k = split(n);
        if (m < k) return append(inclusion(leaves, m, from, from + k), root(leaves, from + k, to));
        return append(inclusion(leaves, m - k, from + k, to), root(leaves, from, from + k));
    }

    /// @notice PROOF(m, D_n) of section 2.1.4.1, for 0 < m < n.
    function consistency(bytes32[] memory leaves, uint256 m, uint256 n) internal pure returns (bytes32[] memory) {
        return subproof(leaves, m, 0, n, true);
    }

    /// @dev SUBPROOF(m, D_n, b) of section 2.1.4.1.
    function subproof(bytes32[] memory leaves, uint256 m, uint256 from, uint256 to, bool b)
        private
        pure
        returns (bytes32[] memory)
    {
        uint256 n = to - from;
        if (m == n) {
            if (b) return new bytes32[](0);
            return append(new bytes32[](0), root(leaves, from, to));
        }
        uint256 k = split(n);
        if (m <= k) return append(subproof(leaves, m, from, from + k, b), root(leaves, from + k, to));
        return append(subproof(leaves, m - k, from + k, to, false), root(leaves, from, from + k));
    }

    /// @notice SHA-256(0x01 || left || right).
    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @notice Largest power of two below n, for n > 1.
    function split(uint256 n) internal pure returns (uint256 k) {
        k = 1;
        while (k << 1 < n) k <<= 1;
    }

    /// @notice A copy with one more node at its end.
    function append(bytes32[] memory path, bytes32 last) internal pure returns (bytes32[] memory longer) {
        longer = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) {
            longer[i] = path[i];
        }
        longer[path.length] = last;
    }

    /// @notice A copy without its last node.
    function shorten(bytes32[] memory path) internal pure returns (bytes32[] memory shorter) {
        shorter = new bytes32[](path.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = path[i];
        }
    }
}
