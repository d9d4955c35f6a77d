// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Rfc9162} from "../src/Rfc9162.sol";
import {NaiveTree} from "./support/NaiveTree.sol";
import {VM} from "./support/Vm.sol";

/// @title Proof verification against the definitions of the RFC
contract Rfc9162Test {
    using NaiveTree for bytes32[];

    function consistent(uint64 first, uint64 second, bytes32 older, bytes32 newer, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        return Rfc9162.verifyConsistency(first, second, older, newer, path);
    }

    function included(bytes32 leaf, uint64 index, uint64 size, bytes32[] calldata path, bytes32 rootHash)
        external
        view
        returns (bool)
    {
        return Rfc9162.verifyInclusion(leaf, index, size, path, rootHash);
    }

    function nodeOf(bytes32 left, bytes32 right) external view returns (bytes32) {
        return Rfc9162.nodeHash(left, right);
    }

    function test_every_consistency_proof_up_to_size_40_is_accepted() public view {
        bytes32[] memory leaves = someLeaves(40);
        for (uint64 second = 2; second <= 40; ++second) {
            bytes32 newer = leaves.root(0, second);
            for (uint64 first = 1; first < second; ++first) {
                bytes32[] memory path = leaves.consistency(first, second);
                require(this.consistent(first, second, leaves.root(0, first), newer, path), "refused");
            }
        }
    }

    function test_a_consistency_proof_for_one_pair_of_sizes_serves_no_other() public view {
        bytes32[] memory leaves = someLeaves(20);
        for (uint64 second = 2; second <= 20; ++second) {
            for (uint64 first = 1; first < second; ++first) {
                bytes32[] memory path = leaves.consistency(first, second);
                bytes32 older = leaves.root(0, first);
                bytes32 newer = leaves.root(0, second);
                for (uint64 other = 0; other <= 21; ++other) {
                    if (other != first) require(!this.consistent(other, second, older, newer, path), "older size");
                }
            }
        }
    }

    function test_sizes_that_are_zero_equal_or_reversed_are_refused() public view {
        bytes32[] memory leaves = someLeaves(8);
        bytes32[] memory path = leaves.consistency(4, 8);
        bytes32 half = leaves.root(0, 4);
        bytes32 whole = leaves.root(0, 8);
        require(this.consistent(4, 8, half, whole, path), "honest");
        require(!this.consistent(0, 8, half, whole, path), "zero");
        require(!this.consistent(8, 4, whole, half, path), "reversed");
        require(!this.consistent(8, 8, whole, whole, new bytes32[](0)), "equal");
        require(!this.consistent(4, 8, half, whole, new bytes32[](0)), "empty");
        require(!this.consistent(0, 0, half, half, new bytes32[](0)), "nothing");
    }

    function testFuzz_any_consistency_proof_is_accepted(uint64 first, uint64 second) public view {
        second = 2 + second % 400;
        first = 1 + first % (second - 1);
        bytes32[] memory leaves = someLeaves(second);
        bytes32[] memory path = leaves.consistency(first, second);
        require(this.consistent(first, second, leaves.root(0, first), leaves.root(0, second), path), "refused");
    }

    function testFuzz_any_mutation_of_a_consistency_proof_is_refused(uint64 first, uint64 second, uint256 where)
        public
        view
    {
        second = 2 + second % 200;
        first = 1 + first % (second - 1);
        bytes32[] memory leaves = someLeaves(second);
        bytes32[] memory path = leaves.consistency(first, second);
        bytes32 older = leaves.root(0, first);
        bytes32 newer = leaves.root(0, second);
        bytes32 flip = bytes32(uint256(1) << (where >> 128) % 256);

        require(!this.consistent(first, second, older ^ flip, newer, path), "older root");
        require(!this.consistent(first, second, older, newer ^ flip, path), "newer root");
        require(!this.consistent(first, second, older, newer, path.append(flip)), "node too many");
        require(!this.consistent(first, second, older, newer, path.shorten()), "node missing");
        uint256 place = where % path.length;
        path[place] ^= flip;
        require(!this.consistent(first, second, older, newer, path), "node changed");
        path[place] ^= flip;
        if (path.length > 1) {
            uint256 beside = (place + 1) % path.length;
            (path[place], path[beside]) = (path[beside], path[place]);
            require(!this.consistent(first, second, older, newer, path), "nodes swapped");
        }
    }

    function testFuzz_any_mutation_of_an_inclusion_proof_is_refused(uint64 index, uint64 size, uint256 where)
        public
        view
    {
        size = 2 + size % 200;
        index = index % size;
        bytes32[] memory leaves = someLeaves(size);
        bytes32[] memory path = leaves.inclusion(index, 0, size);
        bytes32 whole = leaves.root(0, size);
        bytes32 flip = bytes32(uint256(1) << (where >> 128) % 256);

        require(this.included(leaves[index], index, size, path, whole), "honest");
        require(!this.included(leaves[index] ^ flip, index, size, path, whole), "leaf");
        require(!this.included(leaves[index], index, size, path, whole ^ flip), "root");
        require(!this.included(leaves[index], (index + 1) % size, size, path, whole), "index");
        require(!this.included(leaves[index], size, size, path, whole), "index beyond");
        require(!this.included(leaves[index], index, size, path.append(flip), whole), "node too many");
        require(!this.included(leaves[index], index, size, path.shorten(), whole), "node missing");
        path[where % path.length] ^= flip;
        require(!this.included(leaves[index], index, size, path, whole), "node changed");
    }

    function test_a_path_too_short_for_the_size_is_refused_though_it_meets_the_root() public view {
        bytes32[] memory leaves = someLeaves(4);
        for (uint64 index = 0; index < 4; ++index) {
            bytes32[] memory path = leaves.inclusion(index, 0, 4);
            require(this.included(leaves[index], index, 4, path, leaves.root(0, 4)), "honest");
            require(!this.included(leaves[index], index, 8, path, leaves.root(0, 4)), "larger size");
        }
        require(!this.included(leaves[0], 0, 2, new bytes32[](0), leaves[0]), "no path at all");
    }

    function test_an_empty_tree_includes_nothing() public view {
        require(!this.included(bytes32(0), 0, 0, new bytes32[](0), bytes32(0)), "size zero");
        require(!this.included(bytes32(0), 0, 0, new bytes32[](0), sha256("")), "root of nothing");
    }

    function test_the_largest_sizes_are_handled() public view {
        bytes32[] memory path = new bytes32[](64);
        bytes32 leaf = sha256("leaf");
        bytes32 whole = leaf;
        for (uint256 i = 0; i < 64; ++i) {
            path[i] = sha256(abi.encode(i));
            // The first leaf of a tree of 2^64 - 1 has a sibling to its right at each of 64 levels.
            whole = NaiveTree.node(whole, path[i]);
        }
        require(this.included(leaf, 0, type(uint64).max, path, whole), "first leaf of the largest tree");
        require(!this.included(leaf, type(uint64).max, type(uint64).max, path, whole), "beyond the largest tree");
        require(!this.consistent(type(uint64).max - 1, type(uint64).max, leaf, whole, path), "no such proof");
    }

    function testFuzz_a_node_hash_is_what_the_compiler_computes(bytes32 left, bytes32 right) public view {
        require(this.nodeOf(left, right) == NaiveTree.node(left, right), "differs");
    }

    function test_a_chain_without_the_sha256_precompile_is_refused() public {
        // A call to an address without code succeeds and returns no bytes.
        VM.mockCall(address(2), bytes(""), bytes(""));
        VM.expectRevert(abi.encodeWithSelector(Rfc9162.Sha256Unavailable.selector));
        this.nodeOf(bytes32(0), bytes32(0));
    }

    function someLeaves(uint256 count) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            leaves[i] = sha256(abi.encodePacked(bytes1(0x00), i));
        }
    }
}
