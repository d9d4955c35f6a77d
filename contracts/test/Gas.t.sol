// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AnchorTest} from "./support/AnchorTest.sol";
import {NaiveTree} from "./support/NaiveTree.sol";
import {VM} from "./support/Vm.sol";

/// @title One call a test, for .gas-snapshot
/// @dev The log has a million entries; all but the genesis entry are alike, so that perfect subtrees of one size have
/// one hash and the tree need not be built. The figures hold the reading of the prepared call as well, so they serve
/// to compare; what transactions cost is in STORAGE.md. From 2^20 - 1 to 2^20 is the costliest step of all below: 39 hashes.
contract GasTest is AnchorTest {
    uint64 private constant MILLION = 1 << 20;

    bytes private prepared;

    function setUp() public override {
        super.setUp();
        // Hashes of 2^i entries: `alike` without the genesis entry, `first` with it; `short` of 2^i - 1 without it.
        bytes32[20] memory alike;
        bytes32[21] memory first;
        bytes32[20] memory short;
        alike[0] = leafHash(1);
        first[0] = LOG;
        short[1] = alike[0];
        for (uint256 i = 1; i < 20; ++i) {
            alike[i] = NaiveTree.node(alike[i - 1], alike[i - 1]);
            if (i > 1) short[i] = NaiveTree.node(alike[i - 1], short[i - 1]);
        }
        for (uint256 i = 1; i < 21; ++i) {
            first[i] = NaiveTree.node(first[i - 1], alike[i - 1]);
        }
        bytes32[] memory proof = new bytes32[](20);
        for (uint256 i = 0; i < 19; ++i) {
            proof[i] = alike[i];
        }
        proof[19] = short[19];
        anchor(MILLION - 1, NaiveTree.node(first[19], short[19]), proof);

        proof = new bytes32[](21);
        proof[0] = alike[0];
        for (uint256 i = 0; i < 19; ++i) {
            proof[i + 1] = alike[i];
        }
        proof[20] = first[19];
        prepared = abi.encodeCall(ledger.anchor, (LOG, MILLION, first[20], proof, authorised(MILLION, first[20])));
    }

    function test_anchor_with_39_hashes_at_a_million_entries() public {
        send(ANCHORER, prepared);
    }

    function test_register_a_log() public {
        send(REGISTRAR, abi.encodeCall(ledger.registerLog, (bytes32("log"), ORIGIN, AUTHORISER)));
    }

    function test_map_a_prefix() public {
        send(REGISTRAR, abi.encodeCall(ledger.mapPrefix, ("vaa/88.118.8", LOG)));
    }

    function test_request_an_admission() public {
        send(STRANGER, abi.encodeCall(ledger.request, (LOG, bytes32("leaf"))));
    }

    function test_seal_a_log() public {
        send(ADMIN, abi.encodeCall(ledger.seal, (LOG, 1, LOG, bytes32(0))));
    }

    function send(address sender, bytes memory call) private {
        VM.prank(sender);
        (bool accepted,) = address(ledger).call(call);
        require(accepted, "refused");
    }
}
