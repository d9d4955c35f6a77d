// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../../src/Consortium.sol";
import {IConsortium} from "../../src/IConsortium.sol";
import {VM} from "./Vm.sol";

/// @title A consortium of three administrators, two of whom act together, and four validators
abstract contract ConsortiumTest {
    address internal immutable ANN = VM.addr(11);
    address internal immutable BEN = VM.addr(12);
    address internal immutable CAT = VM.addr(13);
    address internal immutable STRANGER = VM.addr(14);

    Consortium internal consortium;

    function setUp() public virtual {
        consortium = new Consortium(three(), 2, validators(4));
    }

    function three() internal view returns (address[] memory list) {
        list = new address[](3);
        (list[0], list[1], list[2]) = (ANN, BEN, CAT);
    }

    function people(uint256 count) internal pure returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = VM.addr(100 + i);
        }
    }

    function validators(uint256 count) internal pure returns (IConsortium.Validator[] memory list) {
        list = new IConsortium.Validator[](count);
        for (uint64 i = 0; i < count; ++i) {
            list[i] = IConsortium.Validator({key: keccak256(abi.encode("key", i)), power: 10 + i});
        }
    }

    function rightsCall(address account, uint256 allowed) internal pure returns (bytes memory) {
        return abi.encodeCall(IConsortium.setRights, (account, allowed));
    }

    function validatorsCall(IConsortium.Validator[] memory list) internal pure returns (bytes memory) {
        return abi.encodeCall(IConsortium.setValidators, (list));
    }

    function administratorsCall(address[] memory list, uint256 needed) internal pure returns (bytes memory) {
        return abi.encodeCall(IConsortium.setAdministrators, (list, needed));
    }

    function confirm(address administrator, bytes memory call) internal {
        VM.prank(administrator);
        consortium.act(call);
    }

    /// @dev Two of the three confirm.
    function pass(bytes memory call) internal {
        confirm(ANN, call);
        confirm(BEN, call);
    }

    /// @dev Requires the second confirmation of a call to be refused with exactly this error.
    function fails(bytes memory call, bytes memory expected) internal {
        confirm(ANN, call);
        refused(BEN, abi.encodeCall(IConsortium.act, (call)), expected);
        require(consortium.round() == 0, "a failed act counted");
        require(consortium.confirmations(consortium.actId(call)) == 1, "a failed confirmation counted");
    }

    /// @dev Requires a call to be refused with exactly this error.
    function refused(address sender, bytes memory call, bytes memory expected) internal {
        VM.prank(sender);
        (bool accepted, bytes memory answer) = address(consortium).call(call);
        require(!accepted, "accepted");
        require(keccak256(answer) == keccak256(expected), "refused for another reason");
    }

    function requireValidators(IConsortium.Validator[] memory expected) internal view {
        require(keccak256(abi.encode(consortium.validators())) == keccak256(abi.encode(expected)), "validators");
    }

    function requireAdministrators(address[] memory expected) internal view {
        require(keccak256(abi.encode(consortium.administrators())) == keccak256(abi.encode(expected)), "administrators");
    }
}
