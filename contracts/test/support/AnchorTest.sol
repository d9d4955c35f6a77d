// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "../../src/ILedgerAnchor.sol";
import {LedgerAnchor} from "../../src/LedgerAnchor.sol";
import {NaiveTree} from "./NaiveTree.sol";
import {VM} from "./Vm.sol";

/// @title A deployed contract with one registered log, and the tools to grow it
abstract contract AnchorTest {
    uint256 internal constant AUTHORISER_KEY = 0xA11CE;
    uint256 internal constant OTHER_KEY = 0xB0B;
    uint48 internal constant ADMIN_DELAY = 2 days;
    string internal constant ORIGIN = "node.example/log";

    address internal immutable ADMIN = VM.addr(1);
    address internal immutable REGISTRAR = VM.addr(2);
    address internal immutable ANCHORER = VM.addr(3);
    address internal immutable PAUSER = VM.addr(4);
    address internal immutable STRANGER = VM.addr(5);
    address internal immutable AUTHORISER = VM.addr(AUTHORISER_KEY);
    bytes32 internal immutable LOG = leafHash(0);

    LedgerAnchor internal ledger;

    function setUp() public virtual {
        VM.warp(1_800_000_000);
        VM.roll(1000);
        ledger = deployed();
        register(LOG);
    }

    function deployed() internal returns (LedgerAnchor fresh) {
        fresh = new LedgerAnchor(ADMIN_DELAY, ADMIN);
        VM.startPrank(ADMIN);
        fresh.grantRole(fresh.REGISTRY_ROLE(), REGISTRAR);
        fresh.grantRole(fresh.ANCHORER_ROLE(), ANCHORER);
        fresh.grantRole(fresh.PAUSER_ROLE(), PAUSER);
        VM.stopPrank();
    }

    function register(bytes32 log) internal {
        VM.prank(REGISTRAR);
        ledger.registerLog(log, ORIGIN, AUTHORISER);
    }

    /// @dev Leaf hash of entry `index` of the log under test.
    function leafHash(uint256 index) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), "entry", index));
    }

    function leavesTo(uint256 size) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            leaves[i] = leafHash(i);
        }
    }

    function rootAt(uint64 size) internal pure returns (bytes32) {
        return NaiveTree.root(leavesTo(size), 0, size);
    }

    function consistency(uint64 first, uint64 second) internal pure returns (bytes32[] memory) {
        return NaiveTree.consistency(leavesTo(second), first, second);
    }

    function signed(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function authorised(uint64 size, bytes32 rootHash) internal view returns (bytes memory) {
        return signed(AUTHORISER_KEY, ledger.authorisationDigest(LOG, size, rootHash));
    }

    function latest() internal view returns (uint64 size) {
        (size,,,) = ledger.head(LOG);
    }

    /// @dev Anchors the honest tree at a size.
    function grow(uint64 size) internal {
        anchor(size, rootAt(size), consistency(latest(), size));
    }

    /// @dev Sends an anchor with a good authorisation, as the anchorer.
    function anchor(uint64 size, bytes32 rootHash, bytes32[] memory proof) internal {
        bytes memory authorisation = authorised(size, rootHash);
        VM.prank(ANCHORER);
        ledger.anchor(LOG, size, rootHash, proof, authorisation);
    }

    /// @dev Requires a call to be refused with exactly this error. The call is encoded before, unlike with
    /// expectRevert, so that the hashing that prepares it is not taken for it.
    function refused(address sender, bytes memory call, bytes memory expected) internal {
        VM.prank(sender);
        (bool accepted, bytes memory answer) = address(ledger).call(call);
        require(!accepted, "accepted");
        require(keccak256(answer) == keccak256(expected), "refused for another reason");
    }

    function expectError(bytes4 selector) internal {
        VM.expectRevert(abi.encodePacked(selector));
    }

    function expectMissingRole(address account, bytes32 role) internal {
        VM.expectRevert(abi.encodeWithSignature("AccessControlUnauthorizedAccount(address,bytes32)", account, role));
    }

    function expectPaused() internal {
        VM.expectRevert(abi.encodeWithSignature("EnforcedPause()"));
    }
}
