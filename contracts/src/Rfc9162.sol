// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Merkle tree proofs of RFC 9162 with SHA-256
/// @notice Follows sections 2.1.3.2 (inclusion) and 2.1.4.2 (consistency) step by step; the step numbers in the code
/// are theirs. A proof counts only when every one of its nodes was used.
/// @dev Hashes go through the precompile at address 2. Should a chain lack it, the call returns no bytes and the
/// library reverts: it never takes silence for a hash. A consistency path shows that one tree is a prefix of another; by
/// the nature of the algorithm some paths do so for several values of the newer size. What binds a root to its size is
/// the signature over both.
library Rfc9162 {
    /// @notice The SHA-256 precompile did not answer with 32 bytes.
    error Sha256Unavailable();

    /// @notice Checks that the tree of `first` leaves is a prefix of the tree of `second` leaves (section 2.1.4.2).
    /// @param first Size of the older tree; must be at least 1 and below `second`, anything else is refused.
    /// @param second Size of the newer tree.
    /// @param firstHash Root of the older tree.
    /// @param secondHash Root of the newer tree.
    /// @param path The consistency path, in the order of section 2.1.4.1.
    /// @return Whether the path proves it and was wholly consumed.
    function verifyConsistency(
        uint64 first,
        uint64 second,
        bytes32 firstHash,
        bytes32 secondHash,
        bytes32[] calldata path
    ) internal view returns (bool) {
        if (first == 0 || first >= second) return false;
        // 1. an empty path proves nothing
        if (path.length == 0) return false;
        uint256 fn;
        uint256 sn;
        unchecked {
            // 3. (1 <= first < second)
            fn = uint256(first) - 1;
            sn = uint256(second) - 1;
        }
        uint256 next = 0;
        bytes32 fr;
        // 2. the root of a power of two is a node of the newer tree, and stands before the path
        if (first & (first - 1) == 0) {
            fr = firstHash;
        } else {
            fr = path[0];
            next = 1;
        }
        // 4.
        while (fn & 1 == 1) {
            fn >>= 1;
            sn >>= 1;
        }
        // 5.
        bytes32 sr = fr;
        // 6.
        for (; next < path.length; ++next) {
            bytes32 c = path[next];
            if (sn == 0) return false;
            if (fn & 1 == 1 || fn == sn) {
                fr = nodeHash(c, fr);
                sr = nodeHash(c, sr);
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                sr = nodeHash(sr, c);
            }
            fn >>= 1;
            sn >>= 1;
        }
        // 7.
        return sn == 0 && fr == firstHash && sr == secondHash;
    }

    /// @notice Checks that a leaf stands at an index of a tree (section 2.1.3.2).
    /// @param leafHash SHA-256(0x00 || entry).
    /// @param index Zero-based place of the leaf.
    /// @param size Number of leaves of the tree.
    /// @param path The inclusion path, from the leaf's sibling up.
    /// @param rootHash Root of the tree.
    /// @return Whether the path leads from the leaf to the root and was wholly consumed.
    function verifyInclusion(bytes32 leafHash, uint64 index, uint64 size, bytes32[] calldata path, bytes32 rootHash)
        internal
        view
        returns (bool)
    {
        // 1.
        if (index >= size) return false;
        // 2.
        uint256 fn = index;
        uint256 sn = uint256(size) - 1;
        // 3.
        bytes32 r = leafHash;
        // 4.
        for (uint256 i = 0; i < path.length; ++i) {
            bytes32 p = path[i];
            if (sn == 0) return false;
            if (fn & 1 == 1 || fn == sn) {
                r = nodeHash(p, r);
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                r = nodeHash(r, p);
            }
            fn >>= 1;
            sn >>= 1;
        }
        // 5.
        return sn == 0 && r == rootHash;
    }

    /// @notice SHA-256(0x01 || left || right), the hash of an inner node (section 2.1.1).
    /// @param left Hash of the left child.
    /// @param right Hash of the right child.
    /// @return digest Hash of the node.
    function nodeHash(bytes32 left, bytes32 right) internal view returns (bytes32 digest) {
        bool answered;
        // The 65 bytes are laid out beyond the free memory pointer, which is not moved, so that a proof of any
        // length uses the same scratch space. The digest lands in the scratch word at 0.
        // Solidity's own sha256 would allocate and copy for each of up to 128 hashes.
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore8(input, 0x01)
            mstore(add(input, 0x01), left)
            mstore(add(input, 0x21), right)
            answered := staticcall(gas(), 0x02, input, 0x41, 0x00, 0x20)
            answered := and(answered, eq(returndatasize(), 0x20))
            digest := mload(0x00)
        }
        if (!answered) revert Sha256Unavailable();
    }
}
