// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {IConsortium} from "../src/IConsortium.sol";
import {ConsortiumTest} from "./support/ConsortiumTest.sol";
import {VM} from "./support/Vm.sol";

/// @title Acts: as many administrators as it takes, each once, for these words, in this round
contract ConsortiumActTest is ConsortiumTest {
    function test_one_of_one_acts_at_once() public {
        address[] memory alone = new address[](1);
        alone[0] = ANN;
        consortium = new Consortium(alone, 1, validators(1));
        confirm(ANN, rightsCall(STRANGER, 3));
        require(consortium.rights(STRANGER) == 3 && consortium.round() == 1, "not done");
    }

    function test_two_of_three_need_two() public {
        bytes memory call = rightsCall(STRANGER, 1);
        bytes32 id = consortium.actId(call);
        confirm(CAT, call);
        require(consortium.rights(STRANGER) == 0 && consortium.round() == 0, "done by one");
        require(consortium.confirmations(id) == 1 && consortium.confirmed(id, CAT), "confirmation");
        require(!consortium.confirmed(id, ANN), "not hers");
        confirm(ANN, call);
        require(consortium.rights(STRANGER) == 1 && consortium.round() == 1, "not done by two");
    }

    function test_the_id_is_the_hash_of_round_and_call() public {
        bytes memory call = rightsCall(STRANGER, 1);
        require(consortium.actId(call) == keccak256(bytes.concat(bytes32(0), call)), "round 0");
        pass(call);
        require(consortium.actId(call) == keccak256(bytes.concat(bytes32(uint256(1)), call)), "round 1");
    }

    function test_confirmations_and_acts_are_announced() public {
        bytes memory call = rightsCall(STRANGER, 2);
        bytes32 id = consortium.actId(call);
        VM.expectEmit(true, true, false, true, address(consortium));
        emit IConsortium.Confirmed(id, ANN, 1, call);
        confirm(ANN, call);
        VM.expectEmit(true, true, false, true, address(consortium));
        emit IConsortium.Confirmed(id, BEN, 2, call);
        VM.expectEmit(true, true, false, true, address(consortium));
        emit IConsortium.Acted(id, 0, call);
        VM.expectEmit(true, false, false, true, address(consortium));
        emit IConsortium.RightsSet(STRANGER, 2);
        confirm(BEN, call);
    }

    function test_a_stranger_neither_confirms_nor_withdraws() public {
        bytes memory call = rightsCall(STRANGER, 1);
        bytes memory expected = abi.encodeWithSelector(IConsortium.NotAdministrator.selector, STRANGER);
        refused(STRANGER, abi.encodeCall(IConsortium.act, (call)), expected);
        refused(STRANGER, abi.encodeCall(IConsortium.withdraw, (call)), expected);
    }

    function test_nobody_counts_twice() public {
        bytes memory call = rightsCall(STRANGER, 1);
        confirm(ANN, call);
        refused(
            ANN,
            abi.encodeCall(IConsortium.act, (call)),
            abi.encodeWithSelector(IConsortium.AlreadyConfirmed.selector, consortium.actId(call), ANN)
        );
        require(consortium.rights(STRANGER) == 0, "done by one");
    }

    function test_two_different_calls_do_not_add_up() public {
        confirm(ANN, rightsCall(STRANGER, 1));
        confirm(BEN, rightsCall(STRANGER, 3));
        require(consortium.rights(STRANGER) == 0 && consortium.round() == 0, "added up");
    }

    function test_a_withdrawn_confirmation_does_not_count_and_can_be_given_again() public {
        bytes memory call = rightsCall(STRANGER, 1);
        bytes32 id = consortium.actId(call);
        confirm(ANN, call);
        VM.expectEmit(true, true, false, true, address(consortium));
        emit IConsortium.Withdrawn(id, ANN, 0);
        VM.prank(ANN);
        consortium.withdraw(call);
        confirm(BEN, call);
        require(consortium.rights(STRANGER) == 0 && consortium.confirmations(id) == 1, "counted");
        confirm(ANN, call);
        require(consortium.rights(STRANGER) == 1, "not done");
    }

    function test_only_one_s_own_confirmation_is_withdrawn_and_once() public {
        bytes memory call = rightsCall(STRANGER, 1);
        bytes32 id = consortium.actId(call);
        confirm(ANN, call);
        bytes memory withdraw = abi.encodeCall(IConsortium.withdraw, (call));
        refused(BEN, withdraw, abi.encodeWithSelector(IConsortium.NotConfirmed.selector, id, BEN));
        VM.prank(ANN);
        consortium.withdraw(call);
        refused(ANN, withdraw, abi.encodeWithSelector(IConsortium.NotConfirmed.selector, id, ANN));
    }

    function test_what_was_done_is_not_done_again_by_the_confirmations_of_before() public {
        bytes memory call = rightsCall(STRANGER, 3);
        pass(call);
        pass(rightsCall(STRANGER, 0));
        confirm(CAT, call);
        require(consortium.rights(STRANGER) == 0, "replayed");
        require(consortium.confirmations(consortium.actId(call)) == 1, "old confirmations counted");
    }

    function test_an_act_voids_what_others_have_confirmed() public {
        bytes memory call = rightsCall(STRANGER, 3);
        confirm(ANN, call);
        pass(rightsCall(address(1), 1));
        confirm(BEN, call);
        require(consortium.rights(STRANGER) == 0, "a confirmation outlived its round");
        confirm(CAT, call);
        require(consortium.rights(STRANGER) == 3 && consortium.round() == 2, "not done");
    }

    function test_a_dismissed_administrator_s_confirmation_is_void() public {
        bytes memory call = rightsCall(STRANGER, 3);
        confirm(CAT, call);
        address[] memory two = new address[](2);
        (two[0], two[1]) = (ANN, BEN);
        pass(administratorsCall(two, 2));
        confirm(ANN, call);
        require(consortium.rights(STRANGER) == 0, "the dismissed one counted");
        refused(
            CAT,
            abi.encodeCall(IConsortium.act, (call)),
            abi.encodeWithSelector(IConsortium.NotAdministrator.selector, CAT)
        );
    }

    function test_nobody_calls_the_three_functions_directly() public {
        address[3] memory senders = [ANN, STRANGER, address(0)];
        for (uint256 i = 0; i < senders.length; ++i) {
            bytes memory expected = abi.encodeWithSelector(IConsortium.OnlyByAct.selector, senders[i]);
            refused(senders[i], rightsCall(STRANGER, 1), expected);
            refused(senders[i], validatorsCall(validators(1)), expected);
            refused(senders[i], administratorsCall(people(1), 1), expected);
        }
    }

    function test_an_act_within_an_act_is_refused() public {
        bytes memory inner = abi.encodeCall(IConsortium.act, (rightsCall(STRANGER, 1)));
        refused(
            ANN,
            abi.encodeCall(IConsortium.act, (inner)),
            abi.encodeWithSelector(IConsortium.CallRefused.selector, IConsortium.act.selector)
        );
    }

    function testFuzz_no_other_call_is_confirmed(bytes memory call) public {
        bytes4 selector = bytes4(call);
        VM.assume(
            selector != IConsortium.setRights.selector && selector != IConsortium.setValidators.selector
                && selector != IConsortium.setAdministrators.selector
        );
        refused(
            ANN,
            abi.encodeCall(IConsortium.act, (call)),
            abi.encodeWithSelector(IConsortium.CallRefused.selector, selector)
        );
    }

    function test_calls_too_short_to_name_a_function_are_refused() public {
        for (uint256 length = 0; length < 4; ++length) {
            bytes memory call = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                call[i] = IConsortium.setRights.selector[i];
            }
            refused(
                ANN,
                abi.encodeCall(IConsortium.act, (call)),
                abi.encodeWithSelector(IConsortium.CallRefused.selector, bytes4(call))
            );
        }
    }

    function testFuzz_a_call_with_broken_arguments_changes_nothing(bytes32 word) public {
        VM.assume(uint256(word) > type(uint160).max);
        bytes memory noAddress = abi.encodePacked(IConsortium.setRights.selector, word, uint256(1));
        fails(noAddress, abi.encodeWithSignature("FailedCall()"));
    }

    function test_arguments_cut_short_change_nothing() public {
        fails(abi.encodePacked(IConsortium.setRights.selector), abi.encodeWithSignature("FailedCall()"));
    }

    function testFuzz_exactly_the_threshold_is_needed(uint8 size, uint8 needed) public {
        uint256 count = 1 + uint256(size) % 32;
        uint256 threshold = 1 + uint256(needed) % count;
        address[] memory list = people(count);
        consortium = new Consortium(list, threshold, validators(1));
        for (uint256 i = 0; i < threshold; ++i) {
            require(consortium.rights(STRANGER) == 0, "too early");
            confirm(list[count - 1 - i], rightsCall(STRANGER, 1));
        }
        require(consortium.rights(STRANGER) == 1 && consortium.round() == 1, "not done");
    }
}
