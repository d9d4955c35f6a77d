// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "../src/ILedgerAnchor.sol";
import {AnchorTest} from "./support/AnchorTest.sol";
import {VM} from "./support/Vm.sol";

/// @title Requests: evidence that admission was asked for
contract RequestsTest is AnchorTest {
    bytes32 private constant LEAF = keccak256("a statement that nobody admits");

    function test_anyone_records_a_request() public {
        VM.expectEmit(true, true, false, true, address(ledger));
        emit ILedgerAnchor.Requested(LOG, LEAF, STRANGER);
        VM.prank(STRANGER);
        ledger.request(LOG, LEAF);
        (uint56 blockNumber, uint40 time, address sender) = ledger.requests(LOG, LEAF);
        require(blockNumber == 1000 && time == 1_800_000_000 && sender == STRANGER, "record");
    }

    function test_the_first_request_stands() public {
        VM.prank(STRANGER);
        ledger.request(LOG, LEAF);
        VM.roll(9000);
        VM.warp(1_900_000_000);
        VM.prank(STRANGER);
        ledger.request(LOG, LEAF);
        VM.prank(ADMIN);
        ledger.request(LOG, LEAF);
        (uint56 blockNumber, uint40 time, address sender) = ledger.requests(LOG, LEAF);
        require(blockNumber == 1000 && time == 1_800_000_000 && sender == STRANGER, "record");
    }

    function test_a_request_belongs_to_one_log() public {
        bytes32 other = keccak256("another log");
        register(other);
        VM.prank(STRANGER);
        ledger.request(LOG, LEAF);
        (uint56 blockNumber,,) = ledger.requests(other, LEAF);
        require(blockNumber == 0, "other log");
    }

    function test_a_request_needs_a_registered_log_and_a_leaf() public {
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.LogUnknown.selector, bytes32("none")));
        ledger.request(bytes32("none"), LEAF);
        expectError(ILedgerAnchor.ZeroHash.selector);
        ledger.request(LOG, 0);
    }
}
