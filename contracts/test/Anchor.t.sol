// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "../src/ILedgerAnchor.sol";
import {LedgerAnchor} from "../src/LedgerAnchor.sol";
import {AnchorTest} from "./support/AnchorTest.sol";
import {NaiveTree} from "./support/NaiveTree.sol";
import {VM} from "./support/Vm.sol";

/// @title Anchoring: growth with proof, and nothing else
contract AnchorGrowthTest is AnchorTest {
    using NaiveTree for bytes32[];

    function test_a_growing_log_is_anchored_from_its_genesis_on() public {
        uint64[6] memory sizes = [uint64(2), 3, 8, 21, 64, 100];
        for (uint256 i = 0; i < sizes.length; ++i) {
            VM.roll(2000 + i);
            VM.warp(1_800_000_100 + i);
            grow(sizes[i]);
            require(ledger.root(LOG, sizes[i]) == rootAt(sizes[i]), "root");
            (uint56 blockNumber, uint40 time, address sender) = ledger.meta(LOG, sizes[i]);
            require(blockNumber == 2000 + i && time == 1_800_000_100 + i && sender == ANCHORER, "meta");
            (uint64 size, uint40 headTime, uint64 sealedSize, uint8 flags) = ledger.head(LOG);
            require(size == sizes[i] && headTime == time && sealedSize == 0 && flags == 0, "head");
        }
        require(ledger.root(LOG, 1) == LOG, "genesis");
        require(ledger.root(LOG, 4) == 0, "never anchored");
    }

    function test_an_anchor_is_announced() public {
        bytes32 rootHash = rootAt(5);
        bytes32[] memory proof = consistency(1, 5);
        bytes memory authorisation = authorised(5, rootHash);
        VM.expectEmit(true, true, false, true, address(ledger));
        emit ILedgerAnchor.Anchored(LOG, 5, rootHash, ANCHORER);
        VM.prank(ANCHORER);
        ledger.anchor(LOG, 5, rootHash, proof, authorisation);
    }

    function test_the_same_size_and_root_again_succeed_and_change_nothing() public {
        grow(5);
        grow(9);
        bytes32 slotBefore = VM.load(address(ledger), keccak256(abi.encode(LOG, uint256(2))));
        VM.roll(5000);
        VM.warp(1_900_000_000);
        bytes32 older = rootAt(5);
        bytes32 newer = rootAt(9);
        VM.startPrank(ANCHORER);
        ledger.anchor(LOG, 9, newer, new bytes32[](0), "");
        ledger.anchor(LOG, 5, older, new bytes32[](0), "");
        ledger.anchor(LOG, 1, LOG, new bytes32[](0), "");
        VM.stopPrank();
        require(VM.load(address(ledger), keccak256(abi.encode(LOG, uint256(2)))) == slotBefore, "head changed");
        (uint56 blockNumber,,) = ledger.meta(LOG, 9);
        require(blockNumber == 1000, "meta changed");
    }

    function test_the_same_size_with_another_root_reverts() public {
        grow(5);
        grow(9);
        uint64[3] memory sizes = [uint64(1), 5, 9];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory authorisation = authorised(sizes[i], bytes32("other"));
            VM.expectRevert(
                abi.encodeWithSelector(
                    ILedgerAnchor.RootConflict.selector, LOG, sizes[i], ledger.root(LOG, sizes[i]), bytes32("other")
                )
            );
            VM.prank(ANCHORER);
            ledger.anchor(LOG, sizes[i], bytes32("other"), new bytes32[](0), authorisation);
        }
    }

    function test_a_size_below_the_last_that_was_never_anchored_is_refused() public {
        grow(9);
        uint64[3] memory sizes = [uint64(0), 2, 8];
        for (uint256 i = 0; i < 3; ++i) {
            bytes32 rootHash = sizes[i] == 0 ? bytes32(0) : rootAt(sizes[i]);
            bytes memory authorisation = authorised(sizes[i], rootHash);
            VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.SizeNotGrowing.selector, LOG, sizes[i], uint64(9)));
            VM.prank(ANCHORER);
            ledger.anchor(LOG, sizes[i], rootHash, new bytes32[](0), authorisation);
        }
    }

    function test_a_proof_from_another_size_is_refused() public {
        grow(6);
        unproven(20, rootAt(20), consistency(5, 20));
        unproven(20, rootAt(20), consistency(1, 20));
        unproven(20, rootAt(20), consistency(6, 19));
        unproven(20, rootAt(20), new bytes32[](0));
        grow(20);
    }

    function test_a_fork_of_the_log_is_refused() public {
        grow(6);
        bytes32[] memory forked = leavesTo(12);
        forked[5] = bytes32("another entry");
        unproven(12, forked.root(0, 12), forked.consistency(6, 12));
        require(latest() == 6, "moved");
    }

    function testFuzz_every_mutation_is_refused(uint64 first, uint64 second, uint256 where) public {
        second = 2 + second % 100;
        first = 1 + first % (second - 1);
        if (first > 1) grow(first);
        bytes32 rootHash = rootAt(second);
        bytes32[] memory proof = consistency(first, second);
        bytes32 flip = bytes32(uint256(1) << (where >> 128) % 256);

        unproven(second, rootHash ^ flip, proof);
        unproven(second, rootHash, proof.append(flip));
        unproven(second, rootHash, proof.shorten());
        uint256 place = where % proof.length;
        proof[place] ^= flip;
        unproven(second, rootHash, proof);
        proof[place] ^= flip;
        anchor(second, rootHash, proof);
        require(latest() == second, "the honest anchor");
    }

    function test_an_unregistered_log_is_refused() public {
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.LogUnknown.selector, bytes32("none")));
        VM.prank(ANCHORER);
        ledger.anchor(bytes32("none"), 2, bytes32("root"), new bytes32[](1), "");
    }

    function test_logs_do_not_touch_each_other() public {
        bytes32 other = sha256("another genesis");
        register(other);
        grow(7);
        require(ledger.root(other, 7) == 0 && ledger.root(other, 1) == other, "root");
        (uint64 size,,,) = ledger.head(other);
        require(size == 1, "head");
    }

    function test_only_the_anchoring_role_anchors() public {
        bytes32 rootHash = rootAt(5);
        bytes32[] memory proof = consistency(1, 5);
        bytes memory authorisation = authorised(5, rootHash);
        address[4] memory others = [ADMIN, REGISTRAR, PAUSER, STRANGER];
        for (uint256 i = 0; i < others.length; ++i) {
            expectMissingRole(others[i], ledger.ANCHORER_ROLE());
            VM.prank(others[i]);
            ledger.anchor(LOG, 5, rootHash, proof, authorisation);
        }
    }

    /// @dev The head's slot is read by storage proofs: size, time, sealed size, flags from the low end.
    function test_the_slots_hold_what_the_format_says() public {
        grow(5);
        VM.roll(3000);
        bytes32 outer = keccak256(abi.encode(LOG, uint256(0)));
        require(slot(keccak256(abi.encode(uint256(5), outer))) == uint256(rootAt(5)), "root");
        outer = keccak256(abi.encode(LOG, uint256(1)));
        uint256 meta = slot(keccak256(abi.encode(uint256(5), outer)));
        require(meta == 1000 | 1_800_000_000 << 56 | uint256(uint160(ANCHORER)) << 96, "meta");
        require(slot(keccak256(abi.encode(LOG, uint256(2)))) == 5 | 1_800_000_000 << 64, "head");
        bytes32 record = keccak256(abi.encode(LOG, uint256(3)));
        require(slot(record) == uint256(sha256(bytes(ORIGIN))), "origin");
        require(slot(bytes32(uint256(record) + 1)) == uint256(uint160(AUTHORISER)), "authoriser");
        bytes32 rootHash = rootAt(3);
        VM.prank(ADMIN);
        ledger.seal(LOG, 3, rootHash, 0);
        require(
            slot(keccak256(abi.encode(LOG, uint256(2)))) == 5 | 1_800_000_000 << 64 | 3 << 104 | 3 << 168, "sealed head"
        );
        record = keccak256(abi.encode(LOG, uint256(4)));
        require(slot(record) == uint256(rootAt(3)), "seal root");
        require(slot(bytes32(uint256(record) + 1)) == 0, "seal successor");
        require(
            slot(bytes32(uint256(record) + 2)) == 3000 | 1_800_000_000 << 56 | uint256(uint160(ADMIN)) << 96,
            "seal meta"
        );
    }

    function test_the_slots_of_requests_and_prefixes_hold_what_the_format_says() public {
        VM.prank(STRANGER);
        ledger.request(LOG, bytes32("leaf"));
        bytes32 outer = keccak256(abi.encode(LOG, uint256(5)));
        uint256 recorded = 1000 | 1_800_000_000 << 56 | uint256(uint160(STRANGER)) << 96;
        require(slot(keccak256(abi.encode(bytes32("leaf"), outer))) == recorded, "request");
        VM.prank(REGISTRAR);
        ledger.mapPrefix("vaa/88", LOG);
        bytes32 list = keccak256(abi.encodePacked("vaa/88", uint256(6)));
        require(slot(list) == 1, "history length");
        bytes32 first = keccak256(abi.encode(list));
        require(slot(first) == uint256(LOG), "history log");
        recorded = 1000 | 1_800_000_000 << 56 | uint256(uint160(REGISTRAR)) << 96;
        require(slot(bytes32(uint256(first) + 1)) == recorded, "history meta");
    }

    function slot(bytes32 place) private view returns (uint256) {
        return uint256(VM.load(address(ledger), place));
    }

    function unproven(uint64 size, bytes32 rootHash, bytes32[] memory proof) private {
        refused(
            ANCHORER,
            abi.encodeCall(ledger.anchor, (LOG, size, rootHash, proof, authorised(size, rootHash))),
            abi.encodeWithSelector(ILedgerAnchor.ConsistencyRefused.selector, LOG, latest(), size)
        );
    }
}
