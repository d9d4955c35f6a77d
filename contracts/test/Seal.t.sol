// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "../src/ILedgerAnchor.sol";
import {AnchorTest} from "./support/AnchorTest.sol";
import {NaiveTree} from "./support/NaiveTree.sol";
import {VM} from "./support/Vm.sol";

/// @title Sealing a log, with or without disputing its last anchors
contract SealTest is AnchorTest {
    bytes32 private constant NEXT = keccak256("the log that follows");

    function setUp() public override {
        super.setUp();
        grow(5);
        grow(9);
    }

    function test_a_log_sealed_at_its_last_anchor_is_closed_and_undisputed() public {
        register(NEXT);
        VM.expectEmit(true, true, true, true, address(ledger));
        emit ILedgerAnchor.Sealed(LOG, 9, rootAt(9), NEXT);
        sealAt(9, rootAt(9), NEXT);
        (uint64 size,, uint64 sealedSize, uint8 flags) = ledger.head(LOG);
        require(size == 9 && sealedSize == 9 && flags == ledger.FLAG_SEALED(), "head");
        (bytes32 rootHash, bytes32 successor, ILedgerAnchor.Meta memory recorded) = ledger.seals(LOG);
        require(rootHash == rootAt(9) && successor == NEXT, "seal");
        require(
            recorded.sender == ADMIN && recorded.time == block.timestamp && recorded.blockNumber == block.number, "meta"
        );
        require(included(9), "still proven");
    }

    function test_a_seal_below_the_last_anchor_disputes_what_is_above() public {
        sealAt(7, rootAt(7), 0);
        (uint64 size,, uint64 sealedSize, uint8 flags) = ledger.head(LOG);
        require(size == 9 && sealedSize == 7, "head");
        require(flags == ledger.FLAG_SEALED() | ledger.FLAG_DISPUTED(), "flags");
        require(included(5), "below the seal");
        bytes32[] memory proof = NaiveTree.inclusion(leavesTo(9), 0, 0, 9);
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.AnchorDisputed.selector, LOG, uint64(9), uint64(7)));
        ledger.verifyInclusion(LOG, 9, 0, LOG, proof);
        require(ledger.root(LOG, 9) == rootAt(9), "the disputed root stays as evidence");
        require(ledger.root(LOG, 7) == 0, "a seal is no anchor");
    }

    function test_a_sealed_log_takes_nothing_more() public {
        sealAt(9, rootAt(9), 0);
        bytes memory closed = abi.encodeWithSelector(ILedgerAnchor.LogIsSealed.selector, LOG);
        bytes32 rootHash = rootAt(12);
        bytes32[] memory proof = consistency(9, 12);
        bytes memory authorisation = authorised(12, rootHash);
        VM.expectRevert(closed);
        VM.prank(ANCHORER);
        ledger.anchor(LOG, 12, rootHash, proof, authorisation);
        rootHash = rootAt(9);
        VM.expectRevert(closed);
        VM.prank(ANCHORER);
        ledger.anchor(LOG, 9, rootHash, proof, authorisation);
        sealRefused(5, rootAt(5), 0, closed);
        VM.expectRevert(closed);
        VM.prank(STRANGER);
        ledger.request(LOG, bytes32("leaf"));
        VM.expectRevert(closed);
        VM.prank(REGISTRAR);
        ledger.mapPrefix("vaa/88", LOG);
        VM.expectRevert(closed);
        VM.prank(ADMIN);
        ledger.setAuthoriser(LOG, STRANGER);
    }

    function test_a_seal_with_another_root_than_the_anchored_one_is_refused() public {
        sealRefused(
            5,
            bytes32("other"),
            0,
            abi.encodeWithSelector(ILedgerAnchor.RootConflict.selector, LOG, uint64(5), rootAt(5), bytes32("other"))
        );
    }

    function test_a_seal_beyond_the_last_anchor_or_at_zero_is_refused() public {
        sealRefused(
            10, rootAt(10), 0, abi.encodeWithSelector(ILedgerAnchor.SealOutOfRange.selector, LOG, uint64(10), uint64(9))
        );
        sealRefused(
            0, rootAt(9), 0, abi.encodeWithSelector(ILedgerAnchor.SealOutOfRange.selector, LOG, uint64(0), uint64(9))
        );
        sealRefused(7, 0, 0, abi.encodePacked(ILedgerAnchor.ZeroHash.selector));
    }

    function test_a_successor_is_another_registered_open_log() public {
        sealRefused(9, rootAt(9), LOG, abi.encodeWithSelector(ILedgerAnchor.SuccessorRefused.selector, LOG));
        sealRefused(9, rootAt(9), NEXT, abi.encodeWithSelector(ILedgerAnchor.LogUnknown.selector, NEXT));
        register(NEXT);
        VM.prank(ADMIN);
        ledger.seal(NEXT, 1, NEXT, 0);
        sealRefused(9, rootAt(9), NEXT, abi.encodeWithSelector(ILedgerAnchor.LogIsSealed.selector, NEXT));
    }

    function test_only_the_admin_seals() public {
        bytes32 rootHash = rootAt(9);
        address[4] memory others = [REGISTRAR, ANCHORER, PAUSER, STRANGER];
        for (uint256 i = 0; i < others.length; ++i) {
            expectMissingRole(others[i], ledger.DEFAULT_ADMIN_ROLE());
            VM.prank(others[i]);
            ledger.seal(LOG, 9, rootHash, 0);
        }
    }

    function test_an_unregistered_log_cannot_be_sealed() public {
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.LogUnknown.selector, NEXT));
        VM.prank(ADMIN);
        ledger.seal(NEXT, 1, NEXT, 0);
    }

    function sealAt(uint64 size, bytes32 rootHash, bytes32 successor) private {
        VM.prank(ADMIN);
        ledger.seal(LOG, size, rootHash, successor);
    }

    function sealRefused(uint64 size, bytes32 rootHash, bytes32 successor, bytes memory expected) private {
        refused(ADMIN, abi.encodeCall(ledger.seal, (LOG, size, rootHash, successor)), expected);
    }

    /// @dev Asks for the first leaf of an anchored size.
    function included(uint64 size) private view returns (bool) {
        return ledger.verifyInclusion(LOG, size, 0, leafHash(0), NaiveTree.inclusion(leavesTo(size), 0, 0, size));
    }
}
