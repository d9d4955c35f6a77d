// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "../src/ILedgerAnchor.sol";
import {AnchorTest} from "./support/AnchorTest.sol";
import {VM} from "./support/Vm.sol";

/// @title Prefixes: one log at a time, with history
contract PrefixesTest is AnchorTest {
    bytes32 private constant NEXT = keccak256("the log that follows");
    string private constant PREFIX = "vaa/88.118.8";

    function test_a_prefix_belongs_to_the_log_it_was_mapped_to_last() public {
        register(NEXT);
        require(ledger.logOf(PREFIX) == 0 && ledger.prefixHistory(PREFIX).length == 0, "nobody's");
        map(LOG);
        require(ledger.logOf(PREFIX) == LOG, "first");
        VM.roll(1500);
        VM.warp(1_800_000_500);
        map(NEXT);
        require(ledger.logOf(PREFIX) == NEXT, "second");
        ILedgerAnchor.PrefixRecord[] memory history = ledger.prefixHistory(PREFIX);
        require(history.length == 2 && history[0].log == LOG && history[1].log == NEXT, "history");
        require(history[0].meta.blockNumber == 1000 && history[0].meta.time == 1_800_000_000, "first chapter");
        require(history[1].meta.blockNumber == 1500 && history[1].meta.time == 1_800_000_500, "second chapter");
        require(history[1].meta.sender == REGISTRAR, "sender");
        require(ledger.logOf("vaa/88.118") == 0, "a prefix of a prefix is another text");
    }

    function test_a_mapping_is_announced_with_what_it_replaces() public {
        register(NEXT);
        map(LOG);
        VM.expectEmit(true, true, true, true, address(ledger));
        emit ILedgerAnchor.PrefixMapped(keccak256(bytes(PREFIX)), NEXT, LOG, PREFIX);
        map(NEXT);
    }

    function test_mapping_a_prefix_to_its_own_log_changes_nothing() public {
        map(LOG);
        VM.roll(1500);
        map(LOG);
        require(ledger.prefixHistory(PREFIX).length == 1, "history");
        mapText("gs1/0690", 0);
        require(ledger.prefixHistory("gs1/0690").length == 0, "nobody's stays nobody's");
    }

    function test_a_prefix_can_be_taken_from_a_log() public {
        map(LOG);
        map(0);
        require(ledger.logOf(PREFIX) == 0 && ledger.prefixHistory(PREFIX).length == 2, "taken");
        map(LOG);
        require(ledger.logOf(PREFIX) == LOG && ledger.prefixHistory(PREFIX).length == 3, "given again");
    }

    function test_a_prefix_of_a_sealed_log_moves_to_its_successor() public {
        register(NEXT);
        map(LOG);
        VM.prank(ADMIN);
        ledger.seal(LOG, 1, LOG, NEXT);
        require(ledger.logOf(PREFIX) == LOG, "until it is moved");
        map(NEXT);
        require(ledger.logOf(PREFIX) == NEXT, "moved");
    }

    function test_an_unregistered_log_gets_no_prefix() public {
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.LogUnknown.selector, NEXT));
        map(NEXT);
    }

    function test_a_prefix_is_short_visible_ascii() public {
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.TextLength.selector, 0));
        mapText("", LOG);
        string memory long = string(new bytes(257));
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.TextLength.selector, 257));
        mapText(long, LOG);
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.TextByte.selector, 3, bytes1(" ")));
        mapText("vaa 88", LOG);
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.TextByte.selector, 5, bytes1(0x7f)));
        mapText("vaa/8\x7f", LOG);
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.TextByte.selector, 0, bytes1(0xe6)));
        mapText(unicode"星", LOG);
    }

    function testFuzz_the_newest_record_is_the_log_of_a_prefix(uint8 choices) public {
        register(NEXT);
        bytes32 last = 0;
        uint256 changes = 0;
        for (uint256 i = 0; i < 8; ++i) {
            bytes32 log = choices >> i & 1 == 1 ? LOG : NEXT;
            map(log);
            if (log != last) ++changes;
            last = log;
            require(ledger.logOf(PREFIX) == log, "log");
        }
        require(ledger.prefixHistory(PREFIX).length == changes, "history");
    }

    function map(bytes32 log) private {
        mapText(PREFIX, log);
    }

    function mapText(string memory prefix, bytes32 log) private {
        VM.prank(REGISTRAR);
        ledger.mapPrefix(prefix, log);
    }
}
