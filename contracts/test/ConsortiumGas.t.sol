// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Consortium} from "../src/Consortium.sol";
import {IConsortium} from "../src/IConsortium.sol";
import {ConsortiumTest} from "./support/ConsortiumTest.sol";
import {VM} from "./support/Vm.sol";

/// @title One confirmation a test, for .gas-snapshot
contract ConsortiumGasTest is ConsortiumTest {
    bytes private rights;
    bytes private all;

    function setUp() public override {
        super.setUp();
        rights = abi.encodeCall(IConsortium.act, (rightsCall(STRANGER, 1)));
        all = abi.encodeCall(IConsortium.act, (validatorsCall(validators(64))));
        confirm(ANN, rightsCall(STRANGER, 1));
        confirm(ANN, validatorsCall(validators(64)));
    }

    function test_confirm_without_carrying_out() public {
        VM.prank(BEN);
        consortium.act(rightsCall(STRANGER, 2));
    }

    function test_carry_out_rights() public {
        send(rights);
    }

    function test_carry_out_sixty_four_new_validators() public {
        send(all);
    }

    function send(bytes memory call) private {
        VM.prank(BEN);
        (bool accepted,) = address(consortium).call(call);
        require(accepted, "refused");
    }
}
