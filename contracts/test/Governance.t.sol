// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "../src/ILedgerAnchor.sol";
import {AnchorTest} from "./support/AnchorTest.sol";
import {VM} from "./support/Vm.sol";

/// @title Registration, roles, the delayed admin, pausing
contract GovernanceTest is AnchorTest {
    bytes32 private constant FRESH = keccak256("a fresh log");

    function test_a_registered_log_starts_at_size_one_with_its_id_as_root() public {
        VM.expectEmit(true, false, false, true, address(ledger));
        emit ILedgerAnchor.LogRegistered(FRESH, ORIGIN, AUTHORISER);
        register(FRESH);
        require(ledger.root(FRESH, 1) == FRESH, "root");
        (bytes32 originHash, address authoriser) = ledger.logs(FRESH);
        require(originHash == sha256(bytes(ORIGIN)) && authoriser == AUTHORISER, "record");
        (uint64 size, uint40 time, uint64 sealedSize, uint8 flags) = ledger.head(FRESH);
        require(size == 1 && time == block.timestamp && sealedSize == 0 && flags == 0, "head");
        (uint56 blockNumber,, address sender) = ledger.meta(FRESH, 1);
        require(blockNumber == block.number && sender == REGISTRAR, "meta");
    }

    function test_a_log_is_registered_once() public {
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.LogAlreadyRegistered.selector, LOG));
        register(LOG);
    }

    function test_a_log_needs_an_id_an_origin_and_an_authoriser() public {
        expectError(ILedgerAnchor.ZeroHash.selector);
        register(bytes32(0));
        VM.startPrank(REGISTRAR);
        expectError(ILedgerAnchor.AuthoriserMissing.selector);
        ledger.registerLog(FRESH, ORIGIN, address(0));
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.TextLength.selector, 0));
        ledger.registerLog(FRESH, "", AUTHORISER);
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.TextLength.selector, 257));
        ledger.registerLog(FRESH, string(new bytes(257)), AUTHORISER);
        VM.stopPrank();
    }

    function test_only_the_registry_role_registers_and_maps() public {
        address[4] memory others = [ADMIN, ANCHORER, PAUSER, STRANGER];
        for (uint256 i = 0; i < others.length; ++i) {
            expectMissingRole(others[i], ledger.REGISTRY_ROLE());
            VM.prank(others[i]);
            ledger.registerLog(FRESH, ORIGIN, AUTHORISER);
            expectMissingRole(others[i], ledger.REGISTRY_ROLE());
            VM.prank(others[i]);
            ledger.mapPrefix("vaa/88", LOG);
        }
    }

    function test_only_the_pauser_role_pauses() public {
        address[4] memory others = [ADMIN, REGISTRAR, ANCHORER, STRANGER];
        for (uint256 i = 0; i < others.length; ++i) {
            expectMissingRole(others[i], ledger.PAUSER_ROLE());
            VM.prank(others[i]);
            ledger.pause();
        }
        VM.prank(PAUSER);
        ledger.pause();
        for (uint256 i = 0; i < others.length; ++i) {
            expectMissingRole(others[i], ledger.PAUSER_ROLE());
            VM.prank(others[i]);
            ledger.unpause();
        }
    }

    function test_only_the_admin_grants_and_revokes_roles() public {
        bytes32 role = ledger.ANCHORER_ROLE();
        expectMissingRole(ANCHORER, ledger.DEFAULT_ADMIN_ROLE());
        VM.prank(ANCHORER);
        ledger.grantRole(role, STRANGER);
        VM.prank(ADMIN);
        ledger.revokeRole(role, ANCHORER);
        bytes32 rootHash = rootAt(5);
        bytes32[] memory proof = consistency(1, 5);
        bytes memory authorisation = authorised(5, rootHash);
        expectMissingRole(ANCHORER, role);
        VM.prank(ANCHORER);
        ledger.anchor(LOG, 5, rootHash, proof, authorisation);
    }

    function test_another_admin_takes_over_only_after_the_delay() public {
        require(ledger.defaultAdmin() == ADMIN && ledger.defaultAdminDelay() == ADMIN_DELAY, "start");
        VM.prank(ADMIN);
        ledger.beginDefaultAdminTransfer(STRANGER);
        uint48 schedule = uint48(block.timestamp) + ADMIN_DELAY;
        VM.warp(schedule);
        VM.expectRevert(abi.encodeWithSignature("AccessControlEnforcedDefaultAdminDelay(uint48)", schedule));
        VM.prank(STRANGER);
        ledger.acceptDefaultAdminTransfer();
        VM.warp(schedule + 1);
        VM.prank(STRANGER);
        ledger.acceptDefaultAdminTransfer();
        require(ledger.defaultAdmin() == STRANGER, "admin");
        expectMissingRole(ADMIN, ledger.DEFAULT_ADMIN_ROLE());
        VM.prank(ADMIN);
        ledger.seal(LOG, 1, LOG, 0);
    }

    function test_the_admin_role_cannot_be_granted_past_the_delay() public {
        bytes32 role = ledger.DEFAULT_ADMIN_ROLE();
        VM.expectRevert(abi.encodeWithSignature("AccessControlEnforcedDefaultAdminRules()"));
        VM.prank(ADMIN);
        ledger.grantRole(role, STRANGER);
    }

    function test_a_pause_stops_every_write() public {
        bytes32 rootHash = rootAt(5);
        bytes32[] memory proof = consistency(1, 5);
        bytes memory authorisation = authorised(5, rootHash);
        VM.prank(PAUSER);
        ledger.pause();

        expectPaused();
        VM.prank(REGISTRAR);
        ledger.registerLog(FRESH, ORIGIN, AUTHORISER);
        expectPaused();
        VM.prank(REGISTRAR);
        ledger.mapPrefix("vaa/88", LOG);
        expectPaused();
        VM.prank(ANCHORER);
        ledger.anchor(LOG, 5, rootHash, proof, authorisation);
        expectPaused();
        VM.prank(ADMIN);
        ledger.seal(LOG, 1, LOG, 0);
        expectPaused();
        VM.prank(STRANGER);
        ledger.request(LOG, bytes32("leaf"));

        VM.prank(PAUSER);
        ledger.unpause();
        VM.prank(ANCHORER);
        ledger.anchor(LOG, 5, rootHash, proof, authorisation);
        require(latest() == 5, "resumed");
    }

    function test_a_pause_stops_no_read() public {
        grow(2);
        VM.prank(REGISTRAR);
        ledger.mapPrefix("vaa/88", LOG);
        VM.prank(STRANGER);
        ledger.request(LOG, bytes32("leaf"));
        VM.prank(PAUSER);
        ledger.pause();

        require(ledger.paused(), "paused");
        require(ledger.root(LOG, 2) == rootAt(2) && latest() == 2, "root and head");
        (,, address sender) = ledger.meta(LOG, 2);
        require(sender == ANCHORER, "meta");
        require(ledger.logOf("vaa/88") == LOG && ledger.prefixHistory("vaa/88").length == 1, "prefix");
        (,, address asked) = ledger.requests(LOG, bytes32("leaf"));
        require(asked == STRANGER, "request");
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = leafHash(0);
        require(ledger.verifyInclusion(LOG, 2, 1, leafHash(1), proof), "inclusion");
    }

    function test_it_says_which_interfaces_it_has() public view {
        // AccessControl and the delayed admin's, by their ERC-165 numbers.
        require(ledger.supportsInterface(0x7965db0b) && ledger.supportsInterface(0x31498786), "interfaces");
        require(!ledger.supportsInterface(0xffffffff), "none");
    }
}
