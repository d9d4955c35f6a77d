// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {IConsortium} from "../src/IConsortium.sol";
import {ConsortiumTest} from "./support/ConsortiumTest.sol";
import {VM} from "./support/Vm.sol";

/// @title The slots of STORAGE.md, read and written as the chain's application does
contract ConsortiumStorageTest is ConsortiumTest {
    function test_what_the_constructor_writes() public view {
        requireRights(ANN, 1);
        requireRights(BEN, 1);
        requireRights(CAT, 1);
        requireRights(STRANGER, 0);
        requireValidatorSlots(validators(4));
        requireAdministratorSlots(three());
        require(slot(3) == bytes32(uint256(2)), "threshold");
        require(slot(4) == 0, "round");
        requireOnlySeven();
    }

    function test_what_acts_write() public {
        bytes memory pending = rightsCall(STRANGER, 2);
        pass(rightsCall(STRANGER, 3));
        pass(validatorsCall(validators(7)));
        confirm(CAT, pending);
        requireRights(STRANGER, 3);
        requireValidatorSlots(validators(7));
        require(slot(4) == bytes32(uint256(2)), "round");
        bytes32 id = keccak256(bytes.concat(bytes32(uint256(2)), pending));
        require(uint256(load(confirmationSlot(id, CAT))) == 1, "confirmed");
        require(uint256(load(confirmationSlot(id, ANN))) == 0, "not confirmed");
        require(uint256(load(mapSlot(id, 6))) == 1, "confirmations");
        VM.prank(CAT);
        consortium.withdraw(pending);
        require(load(confirmationSlot(id, CAT)) == 0 && load(mapSlot(id, 6)) == 0, "withdrawn");
        requireOnlySeven();
    }

    function test_shorter_lists_leave_nothing_behind() public {
        pass(validatorsCall(validators(64)));
        pass(validatorsCall(validators(2)));
        requireValidatorSlots(validators(2));
        uint256 data = uint256(keccak256(abi.encode(uint256(1))));
        for (uint256 i = 4; i < 130; ++i) {
            require(load(bytes32(data + i)) == 0, "an old validator");
        }
        pass(administratorsCall(people(1), 1));
        requireAdministratorSlots(people(1));
        data = uint256(keccak256(abi.encode(uint256(2))));
        require(load(bytes32(data + 1)) == 0 && load(bytes32(data + 2)) == 0, "an old administrator");
        require(slot(3) == bytes32(uint256(1)), "threshold");
    }

    /// @dev A genesis has the code and the filled storage, and never ran a constructor.
    function test_a_storage_filled_by_hand_is_a_working_consortium() public {
        address place = address(0xC05);
        VM.etch(place, address(consortium).code);
        write(place, mapSlot(bytes32(uint256(uint160(ANN))), 0), 1);
        write(place, mapSlot(bytes32(uint256(uint160(BEN))), 0), 3);
        IConsortium.Validator[] memory list = validators(3);
        write(place, bytes32(uint256(1)), 3);
        uint256 data = uint256(keccak256(abi.encode(uint256(1))));
        for (uint256 i = 0; i < 3; ++i) {
            write(place, bytes32(data + 2 * i), uint256(list[i].key));
            write(place, bytes32(data + 2 * i + 1), list[i].power);
        }
        write(place, bytes32(uint256(2)), 2);
        data = uint256(keccak256(abi.encode(uint256(2))));
        write(place, bytes32(data), uint160(ANN));
        write(place, bytes32(data + 1), uint160(BEN));
        write(place, bytes32(uint256(3)), 2);
        consortium = Consortium(place);
        requireValidators(list);
        require(consortium.administrators().length == 2 && consortium.administrators()[1] == BEN, "administrators");
        require(consortium.rights(BEN) == 3 && consortium.threshold() == 2 && consortium.round() == 0, "the rest");
        pass(rightsCall(STRANGER, 1));
        require(consortium.rights(STRANGER) == 1, "an act");
    }

    function write(address place, bytes32 where, uint256 word) private {
        VM.store(place, where, bytes32(word));
    }

    function load(bytes32 where) private view returns (bytes32) {
        return VM.load(address(consortium), where);
    }

    function slot(uint256 number) private view returns (bytes32) {
        return load(bytes32(number));
    }

    function mapSlot(bytes32 key, uint256 number) private pure returns (bytes32) {
        return keccak256(abi.encode(key, number));
    }

    function confirmationSlot(bytes32 id, address administrator) private pure returns (bytes32) {
        return keccak256(abi.encode(administrator, mapSlot(id, 5)));
    }

    function requireRights(address account, uint256 expected) private view {
        require(uint256(load(mapSlot(bytes32(uint256(uint160(account))), 0))) == expected, "rights");
    }

    function requireValidatorSlots(IConsortium.Validator[] memory list) private view {
        require(uint256(slot(1)) == list.length, "number of validators");
        uint256 data = uint256(keccak256(abi.encode(uint256(1))));
        for (uint256 i = 0; i < list.length; ++i) {
            require(load(bytes32(data + 2 * i)) == list[i].key, "key");
            require(uint256(load(bytes32(data + 2 * i + 1))) == list[i].power, "power");
        }
    }

    function requireAdministratorSlots(address[] memory list) private view {
        require(uint256(slot(2)) == list.length, "number of administrators");
        uint256 data = uint256(keccak256(abi.encode(uint256(2))));
        for (uint256 i = 0; i < list.length; ++i) {
            require(uint256(load(bytes32(data + i))) == uint160(list[i]), "administrator");
        }
    }

    /// @dev Maps have nothing at their own slot, and no slot follows the seventh.
    function requireOnlySeven() private view {
        require(slot(0) == 0 && slot(5) == 0 && slot(6) == 0, "a map's own slot");
        for (uint256 i = 7; i < 32; ++i) {
            require(slot(i) == 0, "an eighth slot");
        }
    }
}
