// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ILedgerAnchor} from "../src/ILedgerAnchor.sol";
import {LedgerAnchor} from "../src/LedgerAnchor.sol";
import {AnchorTest} from "./support/AnchorTest.sol";
import {NaiveTree} from "./support/NaiveTree.sol";
import {FuzzSelector, VM} from "./support/Vm.sol";

/// @title A log's operator, an attacker and a bystander, acting in any order
/// @notice Remembers what was anchored, and insists that whatever should be refused is.
contract Actors is AnchorTest {
    uint64 private constant LARGEST = 400;

    uint64[] internal sizes;

    constructor() {
        setUp();
        sizes.push(1);
    }

    /// @notice The log grows, and its next checkpoint is anchored.
    function growBy(uint64 entries) external {
        uint64 size = latest() + 1 + entries % 24;
        if (size > LARGEST) return;
        VM.roll(block.number + 1);
        VM.warp(block.timestamp + 10);
        grow(size);
        sizes.push(size);
    }

    /// @notice The worker sends an old anchor again.
    function repeat(uint256 which) external {
        uint64 size = sizes[which % sizes.length];
        bytes32 rootHash = rootAt(size);
        VM.prank(ANCHORER);
        ledger.anchor(LOG, size, rootHash, new bytes32[](0), "");
    }

    /// @notice Another tree is offered for an anchored size, authorised as it should be.
    function conflict(uint256 which, bytes32 rootHash) external {
        uint64 size = sizes[which % sizes.length];
        if (rootHash == rootAt(size)) return;
        require(!accepted(size, rootHash, new bytes32[](0), authorised(size, rootHash)), "conflict accepted");
    }

    /// @notice An honest anchor is damaged in its proof, its root or its authorisation.
    function damage(uint64 entries, uint256 where) external {
        uint64 size = latest() + 1 + entries % 24;
        bytes32 rootHash = rootAt(size);
        bytes32[] memory proof = consistency(latest(), size);
        bytes32 flip = bytes32(uint256(1) << (where >> 128) % 256);
        require(!accepted(size, rootHash ^ flip, proof, authorised(size, rootHash ^ flip)), "root accepted");
        bytes memory authorisation = authorised(size, rootHash);
        authorisation[where % 65] ^= bytes1(uint8(1 << (where >> 192) % 8));
        require(!accepted(size, rootHash, proof, authorisation), "authorisation accepted");
        proof[where % proof.length] ^= flip;
        require(!accepted(size, rootHash, proof, authorised(size, rootHash)), "proof accepted");
    }

    /// @notice An older checkpoint that was never anchored comes late.
    function late(uint64 size) external {
        size = 1 + size % latest();
        if (ledger.root(LOG, size) != 0) return;
        bytes32 rootHash = rootAt(size);
        require(!accepted(size, rootHash, new bytes32[](0), authorised(size, rootHash)), "late anchor accepted");
    }

    /// @notice Anyone records requests and other logs appear beside this one.
    function bystander(bytes32 leaf) external {
        if (leaf == 0 || leaf == LOG) return;
        VM.prank(STRANGER);
        ledger.request(LOG, leaf);
        (uint64 size,,,) = ledger.head(leaf);
        if (size == 0) register(leaf);
    }

    function accepted(uint64 size, bytes32 rootHash, bytes32[] memory proof, bytes memory authorisation)
        private
        returns (bool)
    {
        VM.prank(ANCHORER);
        try ledger.anchor(LOG, size, rootHash, proof, authorisation) {
            return true;
        } catch {
            return false;
        }
    }

    /// @notice All sizes anchored so far still have the roots of the one growing tree, and no other size has any.
    function check() external view {
        uint256 next = 0;
        uint64 end = latest();
        require(end == sizes[sizes.length - 1], "head is not the last anchor");
        bytes32[] memory leaves = leavesTo(end);
        for (uint64 size = 0; size <= end + 24; ++size) {
            bytes32 anchored = ledger.root(LOG, size);
            (uint56 blockNumber, uint40 time, address sender) = ledger.meta(LOG, size);
            if (next < sizes.length && size == sizes[next]) {
                require(anchored == NaiveTree.root(leaves, 0, size), "root");
                require(blockNumber != 0 && time != 0 && sender == (size == 1 ? REGISTRAR : ANCHORER), "meta");
                ++next;
            } else {
                require(anchored == 0 && blockNumber == 0, "a size that nobody anchored");
            }
        }
        require(next == sizes.length, "an anchor is gone");
    }
}

/// @title Whatever happens in whatever order, the anchors are those of one growing log
contract GrowthInvariant {
    Actors private actors;

    function setUp() public {
        actors = new Actors();
    }

    /// @notice The contracts whose functions forge calls at random.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actors);
    }

    /// @notice The functions among them, without set-up and check.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](6);
        selectors[0] = Actors.growBy.selector;
        selectors[1] = Actors.repeat.selector;
        selectors[2] = Actors.conflict.selector;
        selectors[3] = Actors.damage.selector;
        selectors[4] = Actors.late.selector;
        selectors[5] = Actors.bystander.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(actors), selectors: selectors});
    }

    function invariant_the_anchors_are_those_of_one_growing_log() public view {
        actors.check();
    }
}
