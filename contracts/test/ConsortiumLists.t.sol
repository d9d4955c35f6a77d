// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {IConsortium} from "../src/IConsortium.sol";
import {ConsortiumTest} from "./support/ConsortiumTest.sol";
import {VM} from "./support/Vm.sol";

/// @title What acts may set: rights, validators, administrators, within their limits
contract ConsortiumListsTest is ConsortiumTest {
    function test_rights_are_given_and_taken() public {
        uint256[5] memory steps = [uint256(3), 2, 1, 0, 1];
        for (uint256 i = 0; i < steps.length; ++i) {
            pass(rightsCall(STRANGER, steps[i]));
            require(consortium.rights(STRANGER) == steps[i], "rights");
        }
    }

    function test_unknown_rights_and_no_account_are_refused() public {
        fails(rightsCall(STRANGER, 4), abi.encodeWithSelector(IConsortium.RightsUnknown.selector, 4));
        fails(
            rightsCall(STRANGER, type(uint256).max),
            abi.encodeWithSelector(IConsortium.RightsUnknown.selector, type(uint256).max)
        );
        fails(rightsCall(address(0), 1), abi.encodeWithSelector(IConsortium.AccountMissing.selector));
    }

    function test_an_administrator_is_not_silenced_before_it_is_dismissed() public {
        bytes memory expected = abi.encodeWithSelector(IConsortium.AdministratorMustSend.selector, CAT);
        fails(rightsCall(CAT, 0), expected);
        fails(rightsCall(CAT, 2), expected);
        pass(rightsCall(CAT, 3));
        require(consortium.rights(CAT) == 3, "may be given more");
        address[] memory two = new address[](2);
        (two[0], two[1]) = (ANN, BEN);
        pass(administratorsCall(two, 2));
        require(consortium.rights(CAT) == 3, "dismissal leaves the rights");
        pass(rightsCall(CAT, 0));
        require(consortium.rights(CAT) == 0, "now they can be taken");
    }

    function testFuzz_validators_are_replaced_as_a_whole(uint8 first, uint8 second) public {
        IConsortium.Validator[] memory some = validators(1 + first % 64);
        pass(validatorsCall(some));
        requireValidators(some);
        IConsortium.Validator[] memory others = validators(1 + second % 64);
        others[0].power = 1 << 40;
        confirm(ANN, validatorsCall(others));
        VM.expectEmit(false, false, false, true, address(consortium));
        emit IConsortium.ValidatorsSet(others);
        confirm(BEN, validatorsCall(others));
        requireValidators(others);
    }

    function test_the_most_validators_with_the_most_power() public {
        IConsortium.Validator[] memory most = validators(64);
        uint256 total = 0;
        for (uint256 i = 0; i < 64; ++i) {
            most[i].power = 1 << 40;
            total += most[i].power;
        }
        pass(validatorsCall(most));
        requireValidators(most);
        require(total == 1 << 46, "a tally of votes stays far below 2^60");
    }

    function test_too_few_and_too_many_validators_are_refused() public {
        fails(validatorsCall(validators(0)), abi.encodeWithSelector(IConsortium.ValidatorCount.selector, 0));
        fails(validatorsCall(validators(65)), abi.encodeWithSelector(IConsortium.ValidatorCount.selector, 65));
        requireValidators(validators(4));
    }

    function testFuzz_a_validator_without_power_or_with_too_much_is_refused(uint8 size, uint8 where, uint64 power)
        public
    {
        if (power > 0 && power <= 1 << 40) power = power % 2 == 0 ? 0 : power + (1 << 40);
        IConsortium.Validator[] memory list = validators(1 + size % 64);
        IConsortium.Validator memory bad = list[where % list.length];
        bad.power = power;
        fails(validatorsCall(list), abi.encodeWithSelector(IConsortium.ValidatorPower.selector, bad.key, power));
        requireValidators(validators(4));
    }

    function testFuzz_a_key_of_zero_is_refused(uint8 size, uint8 where) public {
        IConsortium.Validator[] memory list = validators(1 + size % 64);
        uint256 index = where % list.length;
        list[index].key = 0;
        fails(validatorsCall(list), abi.encodeWithSelector(IConsortium.ValidatorKeyMissing.selector, index));
    }

    function testFuzz_a_key_that_stands_twice_is_refused(uint8 size, uint8 from, uint8 to) public {
        IConsortium.Validator[] memory list = validators(2 + size % 63);
        uint256 source = from % list.length;
        uint256 target = to % list.length;
        if (source == target) target = (source + 1) % list.length;
        list[target].key = list[source].key;
        fails(validatorsCall(list), abi.encodeWithSelector(IConsortium.ValidatorKeyRepeated.selector, list[source].key));
    }

    function testFuzz_administrators_are_replaced_and_each_may_send(uint8 size, uint8 needed) public {
        address[] memory list = people(1 + size % 32);
        uint256 threshold = 1 + needed % list.length;
        pass(rightsCall(list[0], 2));
        confirm(ANN, administratorsCall(list, threshold));
        VM.expectEmit(false, false, false, true, address(consortium));
        emit IConsortium.AdministratorsSet(list, threshold);
        confirm(BEN, administratorsCall(list, threshold));
        requireAdministrators(list);
        require(consortium.threshold() == threshold && consortium.round() == 2, "threshold");
        require(consortium.rights(list[0]) == 3, "what it had it keeps");
        for (uint256 i = 1; i < list.length; ++i) {
            require(consortium.rights(list[i]) == 1, "may send");
        }
        refused(
            ANN,
            abi.encodeCall(IConsortium.act, (rightsCall(STRANGER, 1))),
            abi.encodeWithSelector(IConsortium.NotAdministrator.selector, ANN)
        );
    }

    function test_too_few_and_too_many_administrators_are_refused() public {
        fails(administratorsCall(people(0), 0), abi.encodeWithSelector(IConsortium.AdministratorCount.selector, 0));
        fails(administratorsCall(people(33), 2), abi.encodeWithSelector(IConsortium.AdministratorCount.selector, 33));
        requireAdministrators(three());
    }

    function testFuzz_a_threshold_that_nobody_or_not_even_all_reach_is_refused(uint8 size, uint256 needed) public {
        address[] memory list = people(1 + size % 32);
        if (needed != 0 && needed <= list.length) needed += list.length;
        fails(
            administratorsCall(list, needed),
            abi.encodeWithSelector(IConsortium.ThresholdOutOfRange.selector, needed, list.length)
        );
    }

    function testFuzz_an_administrator_of_zero_or_twice_is_refused(uint8 size, uint8 where) public {
        address[] memory list = people(2 + size % 31);
        uint256 index = where % list.length;
        address kept = list[index];
        list[index] = address(0);
        fails(administratorsCall(list, 1), abi.encodeWithSelector(IConsortium.AdministratorMissing.selector, index));
        list[index] = kept;
        list[(index + 1) % list.length] = kept;
        fails(administratorsCall(list, 1), abi.encodeWithSelector(IConsortium.AdministratorRepeated.selector, kept));
    }

    function test_the_constructor_has_the_same_limits() public {
        VM.expectRevert(abi.encodeWithSelector(IConsortium.AdministratorCount.selector, 0));
        new Consortium(people(0), 1, validators(1));
        VM.expectRevert(abi.encodeWithSelector(IConsortium.ThresholdOutOfRange.selector, 3, 2));
        new Consortium(people(2), 3, validators(1));
        VM.expectRevert(abi.encodeWithSelector(IConsortium.ValidatorCount.selector, 0));
        new Consortium(people(2), 2, validators(0));
    }
}
