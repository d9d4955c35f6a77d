// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {IConsortium} from "../src/IConsortium.sol";
import {ConsortiumTest} from "./support/ConsortiumTest.sol";
import {FuzzSelector, VM} from "./support/Vm.sol";

/// @title Administrators, some of them dismissed, confirming and withdrawing in any order
/// @notice Keeps its own account of who stands behind what, as one would with pen and paper, and insists on it.
contract Administrators is ConsortiumTest {
    uint256 private constant PEOPLE = 5;

    bytes[] private calls;
    address[] private everyone;
    address[] private present;
    uint256 private needed;
    uint256 private done;
    /// Per round, call and person: whether it stands behind the call.
    mapping(uint256 round => mapping(uint256 call => mapping(uint256 person => bool))) private stands;
    mapping(address account => uint256) private allowed;
    bytes private last;

    constructor() {
        everyone = people(PEOPLE + 1);
        present = people(3);
        needed = 2;
        consortium = new Consortium(present, needed, validators(4));
        for (uint256 i = 0; i < 3; ++i) {
            allowed[present[i]] = 1;
        }
        last = abi.encode(validators(4));
        calls.push(rightsCall(everyone[PEOPLE], 3));
        calls.push(validatorsCall(validators(9)));
        calls.push(administratorsCall(people(2), 1));
        calls.push(administratorsCall(people(3), 3));
        calls.push(administratorsCall(people(PEOPLE), 2));
    }

    /// @notice One to three people, administrators or not, confirm one of the calls after each other.
    function confirmSome(uint256 person, uint256 which, uint256 more) external {
        for (uint256 i = 0; i <= more % 3; ++i) {
            confirmOne((person % PEOPLE + i) % PEOPLE, which % calls.length);
        }
    }

    /// @notice Somebody takes a confirmation back.
    function withdrawOne(uint256 person, uint256 which) external {
        person %= PEOPLE;
        which %= calls.length;
        bool expected = isPresent(person) && stands[done][which][person];
        VM.prank(everyone[person]);
        (bool accepted,) = address(consortium).call(abi.encodeCall(IConsortium.withdraw, (calls[which])));
        require(accepted == expected, "withdrawal");
        if (accepted) stands[done][which][person] = false;
    }

    /// @notice A bad list never gets through, whoever stands behind it.
    function confirmBad(uint256 person, uint256 which) external {
        bytes memory bad = which % 2 == 0 ? validatorsCall(validators(0)) : administratorsCall(people(2), 3);
        VM.prank(everyone[person % PEOPLE]);
        (bool accepted,) = address(consortium).call(abi.encodeCall(IConsortium.act, (bad)));
        require(!accepted || needed > 1, "a bad list was accepted");
    }

    function confirmOne(uint256 person, uint256 which) private {
        bool expected = isPresent(person) && !stands[done][which][person];
        VM.prank(everyone[person]);
        (bool accepted,) = address(consortium).call(abi.encodeCall(IConsortium.act, (calls[which])));
        require(accepted == expected, "confirmation");
        if (!accepted) return;
        stands[done][which][person] = true;
        if (standing(which) >= needed) carryOut(which);
    }

    function carryOut(uint256 which) private {
        ++done;
        if (which == 0) allowed[everyone[PEOPLE]] = 3;
        else if (which == 1) last = abi.encode(validators(9));
        else if (which == 2) appoint(2, 1);
        else if (which == 3) appoint(3, 3);
        else appoint(PEOPLE, 2);
    }

    function appoint(uint256 count, uint256 threshold) private {
        present = people(count);
        needed = threshold;
        for (uint256 i = 0; i < count; ++i) {
            allowed[present[i]] = 1;
        }
    }

    function isPresent(uint256 person) private view returns (bool) {
        return person < present.length;
    }

    function standing(uint256 which) private view returns (uint256 count) {
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if (stands[done][which][i]) ++count;
        }
    }

    /// @notice The contract's account is the same as ours.
    function check() external view {
        require(consortium.round() == done && consortium.threshold() == needed, "round or threshold");
        requireAdministrators(present);
        require(keccak256(abi.encode(consortium.validators())) == keccak256(last), "validators");
        for (uint256 i = 0; i <= PEOPLE; ++i) {
            require(consortium.rights(everyone[i]) == allowed[everyone[i]], "rights");
        }
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes32 id = consortium.actId(calls[i]);
            require(consortium.confirmations(id) == standing(i), "confirmations");
            require(standing(i) < needed, "enough, and not carried out");
            for (uint256 j = 0; j < PEOPLE; ++j) {
                require(consortium.confirmed(id, everyone[j]) == stands[done][i][j], "confirmed");
            }
        }
    }
}

/// @title Whatever administrators do in whatever order, only what enough of them confirmed in one round happens
contract ConsortiumInvariant {
    Administrators private administrators;

    function setUp() public {
        administrators = new Administrators();
    }

    /// @notice The contracts whose functions forge calls at random.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(administrators);
    }

    /// @notice The functions among them, without set-up and check.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](3);
        selectors[0] = Administrators.confirmSome.selector;
        selectors[1] = Administrators.withdrawOne.selector;
        selectors[2] = Administrators.confirmBad.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(administrators), selectors: selectors});
    }

    function invariant_only_what_enough_confirmed_in_one_round_happens() public view {
        administrators.check();
    }
}
