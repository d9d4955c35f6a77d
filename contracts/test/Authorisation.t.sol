// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "../src/ILedgerAnchor.sol";
import {LedgerAnchor} from "../src/LedgerAnchor.sol";
import {AnchorTest} from "./support/AnchorTest.sol";
import {VM} from "./support/Vm.sol";

/// @title The second signature: by the authoriser, for this chain, contract, log, size and root, in its one form
contract AuthorisationTest is AnchorTest {
    uint256 private constant CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function test_the_digest_is_eip_712() public view {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("LedgerAnchor"),
                keccak256("1"),
                block.chainid,
                address(ledger)
            )
        );
        bytes32 message =
            keccak256(abi.encode(keccak256("Anchor(bytes32 log,uint64 size,bytes32 root)"), LOG, uint64(5), rootAt(5)));
        bytes32 expected = keccak256(abi.encodePacked("\x19\x01", domain, message));
        require(ledger.authorisationDigest(LOG, 5, rootAt(5)) == expected, "digest");
        require(ledger.ANCHOR_TYPEHASH() == keccak256("Anchor(bytes32 log,uint64 size,bytes32 root)"), "type");
    }

    function test_the_domain_describes_itself() public view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chain,
            address contractAddress,
            bytes32 salt,
        ) = ledger.eip712Domain();
        require(fields == 0x0f && chain == block.chainid && contractAddress == address(ledger) && salt == 0, "domain");
        require(keccak256(bytes(name)) == keccak256("LedgerAnchor"), "name");
        require(keccak256(bytes(version)) == keccak256("1"), "version");
    }

    function test_an_authorisation_by_another_key_is_refused() public {
        bytes32 rootHash = rootAt(5);
        bytes memory authorisation = signed(OTHER_KEY, ledger.authorisationDigest(LOG, 5, rootHash));
        refused(
            ANCHORER,
            abi.encodeCall(ledger.anchor, (LOG, 5, rootHash, consistency(1, 5), authorisation)),
            abi.encodeWithSelector(ILedgerAnchor.AuthorisationRefused.selector, VM.addr(OTHER_KEY), AUTHORISER)
        );
    }

    function test_an_authorisation_for_another_chain_is_refused() public {
        bytes memory authorisation = authorised(5, rootAt(5));
        uint256 here = block.chainid;
        VM.chainId(here + 1);
        mismatched(5, authorisation);
        VM.chainId(here);
        send(5, authorisation);
    }

    function test_an_authorisation_for_another_contract_is_refused() public {
        LedgerAnchor other = deployed();
        mismatched(5, signed(AUTHORISER_KEY, other.authorisationDigest(LOG, 5, rootAt(5))));
    }

    function test_an_authorisation_for_another_log_size_or_root_is_refused() public {
        bytes32 rootHash = rootAt(5);
        mismatched(5, signed(AUTHORISER_KEY, ledger.authorisationDigest(bytes32("log"), 5, rootHash)));
        mismatched(5, signed(AUTHORISER_KEY, ledger.authorisationDigest(LOG, 6, rootHash)));
        mismatched(5, signed(AUTHORISER_KEY, ledger.authorisationDigest(LOG, 5, rootAt(6))));
    }

    function test_the_signature_with_the_higher_s_is_refused() public {
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(AUTHORISER_KEY, ledger.authorisationDigest(LOG, 5, rootAt(5)));
        bytes32 high = bytes32(CURVE_ORDER - uint256(s));
        malformed(abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27)));
    }

    function test_an_authorisation_of_the_wrong_length_is_refused() public {
        bytes memory authorisation = authorised(5, rootAt(5));
        malformed("");
        malformed(new bytes(64));
        malformed(abi.encodePacked(authorisation, hex"00"));
        assembly ("memory-safe") {
            mstore(authorisation, 64)
        }
        malformed(authorisation);
    }

    function test_an_authorisation_with_an_unknown_v_is_refused() public {
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(AUTHORISER_KEY, ledger.authorisationDigest(LOG, 5, rootAt(5)));
        malformed(abi.encodePacked(r, s, v - 27));
        malformed(abi.encodePacked(r, s, uint8(29)));
        malformed(new bytes(65));
    }

    function test_the_authoriser_may_not_send_the_anchor_itself() public {
        bytes32 role = ledger.ANCHORER_ROLE();
        VM.prank(ADMIN);
        ledger.grantRole(role, AUTHORISER);
        bytes32 rootHash = rootAt(5);
        bytes32[] memory proof = consistency(1, 5);
        bytes memory authorisation = authorised(5, rootHash);
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.AuthoriserIsSender.selector, AUTHORISER));
        VM.prank(AUTHORISER);
        ledger.anchor(LOG, 5, rootHash, proof, authorisation);
    }

    function test_an_authorisation_cannot_be_used_for_a_later_anchor() public {
        bytes memory authorisation = authorised(5, rootAt(5));
        send(5, authorisation);
        mismatched(9, authorisation);
    }

    function test_the_admin_replaces_the_authoriser_even_while_paused() public {
        VM.prank(PAUSER);
        ledger.pause();
        VM.expectEmit(true, false, false, true, address(ledger));
        emit ILedgerAnchor.AuthoriserChanged(LOG, AUTHORISER, VM.addr(OTHER_KEY));
        VM.prank(ADMIN);
        ledger.setAuthoriser(LOG, VM.addr(OTHER_KEY));
        VM.prank(PAUSER);
        ledger.unpause();
        mismatched(5, authorised(5, rootAt(5)));
        send(5, signed(OTHER_KEY, ledger.authorisationDigest(LOG, 5, rootAt(5))));
    }

    function test_replacing_the_authoriser_needs_the_admin_a_log_and_an_address() public {
        expectMissingRole(REGISTRAR, ledger.DEFAULT_ADMIN_ROLE());
        VM.prank(REGISTRAR);
        ledger.setAuthoriser(LOG, STRANGER);
        expectError(ILedgerAnchor.AuthoriserMissing.selector);
        VM.prank(ADMIN);
        ledger.setAuthoriser(LOG, address(0));
        VM.expectRevert(abi.encodeWithSelector(ILedgerAnchor.LogUnknown.selector, bytes32("none")));
        VM.prank(ADMIN);
        ledger.setAuthoriser(bytes32("none"), STRANGER);
    }

    function testFuzz_no_other_signature_is_taken(uint256 key, bytes32 r, bytes32 s, uint8 v) public {
        key = 1 + key % (CURVE_ORDER - 1);
        VM.assume(key != AUTHORISER_KEY);
        bytes32 rootHash = rootAt(5);
        require(!accepted(rootHash, signed(key, ledger.authorisationDigest(LOG, 5, rootHash))), "another key");
        require(!accepted(rootHash, abi.encodePacked(r, s, v)), "random");
        require(accepted(rootHash, authorised(5, rootHash)), "the authoriser's own");
    }

    function accepted(bytes32 rootHash, bytes memory authorisation) private returns (bool) {
        bytes32[] memory proof = consistency(1, 5);
        VM.prank(ANCHORER);
        try ledger.anchor(LOG, 5, rootHash, proof, authorisation) {
            return true;
        } catch {
            return false;
        }
    }

    function send(uint64 size, bytes memory authorisation) private {
        bytes32[] memory proof = consistency(1, size);
        bytes32 rootHash = rootAt(size);
        VM.prank(ANCHORER);
        ledger.anchor(LOG, size, rootHash, proof, authorisation);
    }

    function malformed(bytes memory authorisation) private {
        refused(
            ANCHORER,
            abi.encodeCall(ledger.anchor, (LOG, 5, rootAt(5), consistency(1, 5), authorisation)),
            abi.encodePacked(ILedgerAnchor.AuthorisationMalformed.selector)
        );
    }

    function mismatched(uint64 size, bytes memory authorisation) private {
        bytes32[] memory proof = consistency(latest(), size);
        bytes32 rootHash = rootAt(size);
        VM.prank(ANCHORER);
        try ledger.anchor(LOG, size, rootHash, proof, authorisation) {
            revert("accepted");
        } catch (bytes memory reason) {
            require(bytes4(reason) == ILedgerAnchor.AuthorisationRefused.selector, "reason");
        }
    }
}
