// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "../src/ILedgerAnchor.sol";
import {AnchorTest} from "./support/AnchorTest.sol";
import {NaiveTree} from "./support/NaiveTree.sol";
import {VM} from "./support/Vm.sol";

/// @title Proofs of inclusion for other contracts
contract InclusionTest is AnchorTest {
    uint64 private constant LARGEST = 300;

    /// @dev Every size from 2 to 300 is anchored with its proof, then every leaf of it is proven, and refused at the
    /// next index. Each size runs in a call of its own, to give its memory back.
    function test_every_leaf_of_every_size_up_to_300_is_proven() public {
        this.checkSize(1);
        for (uint64 size = 2; size <= LARGEST; ++size) {
            this.growTo(size);
            this.checkSize(size);
        }
        require(latest() == LARGEST, "size");
    }

    function growTo(uint64 size) external {
        grow(size);
    }

    function checkSize(uint64 size) external view {
        bytes32[] memory leaves = leavesTo(size);
        bytes32[][] memory paths = new bytes32[][](size);
        allPaths(leaves, paths, 0, size);
        for (uint64 index = 0; index < size; ++index) {
            require(ledger.verifyInclusion(LOG, size, index, leaves[index], paths[index]), "refused");
            uint64 beside = index + 1;
            require(!ledger.verifyInclusion(LOG, size, beside, leaves[index], paths[index]), "wrong index");
        }
    }

    /// @dev The paths of all leaves at once: every subtree's hash is the sibling of the leaves beside it.
    function allPaths(bytes32[] memory leaves, bytes32[][] memory paths, uint256 from, uint256 to)
        private
        view
        returns (bytes32)
    {
        if (to - from == 1) {
            paths[from] = new bytes32[](0);
            return leaves[from];
        }
        uint256 middle = from + NaiveTree.split(to - from);
        bytes32 left = allPaths(leaves, paths, from, middle);
        bytes32 right = allPaths(leaves, paths, middle, to);
        for (uint256 i = from; i < to; ++i) {
            paths[i] = NaiveTree.append(paths[i], i < middle ? right : left);
        }
        return NaiveTree.node(left, right);
    }

    function test_a_wrong_leaf_or_a_changed_proof_is_not_included() public {
        grow(10);
        bytes32[] memory proof = NaiveTree.inclusion(leavesTo(10), 4, 0, 10);
        require(ledger.verifyInclusion(LOG, 10, 4, leafHash(4), proof), "honest");
        require(!ledger.verifyInclusion(LOG, 10, 4, leafHash(5), proof), "leaf");
        require(!ledger.verifyInclusion(LOG, 10, 4, leafHash(4), NaiveTree.shorten(proof)), "missing");
        require(!ledger.verifyInclusion(LOG, 10, 4, leafHash(4), NaiveTree.append(proof, 0)), "too many");
        proof[1] ^= bytes32(uint256(1));
        require(!ledger.verifyInclusion(LOG, 10, 4, leafHash(4), proof), "changed");
    }

    function test_an_inner_node_is_no_leaf() public {
        grow(4);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = NaiveTree.node(leafHash(2), leafHash(3));
        bytes32 inner = NaiveTree.node(leafHash(0), leafHash(1));
        require(!ledger.verifyInclusion(LOG, 4, 0, inner, proof), "index 0");
        require(!ledger.verifyInclusion(LOG, 4, 1, inner, proof), "index 1");
    }

    function test_an_unregistered_log_is_refused() public {
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.LogUnknown.selector, bytes32("none")));
        ledger.verifyInclusion(bytes32("none"), 1, 0, bytes32("none"), new bytes32[](0));
    }

    function test_a_size_that_is_not_anchored_is_refused() public {
        grow(4);
        bytes32[] memory proof = NaiveTree.inclusion(leavesTo(3), 0, 0, 3);
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.NotAnchored.selector, LOG, uint64(3)));
        ledger.verifyInclusion(LOG, 3, 0, LOG, proof);
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.NotAnchored.selector, LOG, uint64(0)));
        ledger.verifyInclusion(LOG, 0, 0, 0, new bytes32[](0));
    }
}
