// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";

import {AnchorStorage} from "./AnchorStorage.sol";
import {ILedgerAnchor} from "./ILedgerAnchor.sol";

/// @title The second signature that every anchor needs
/// @notice EIP-712 typed data: domain "LedgerAnchor" version "1", type Anchor(bytes32 log,uint64 size,bytes32 root).
/// @dev The domain separator is computed at each use instead of being kept in an immutable: so the runtime code is the
/// same bytes on every chain and one code hash identifies it, and a chain that splits is told apart by its id.
abstract contract Authorisation is AnchorStorage, IERC5267 {
    /// @notice EIP-712 type hash of an anchor.
    bytes32 public constant ANCHOR_TYPEHASH = keccak256("Anchor(bytes32 log,uint64 size,bytes32 root)");

    string private constant NAME = "LedgerAnchor";
    string private constant VERSION = "1";
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @inheritdoc ILedgerAnchor
    function authorisationDigest(bytes32 log, uint64 size, bytes32 rootHash) public view override returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256(bytes(NAME)), keccak256(bytes(VERSION)), block.chainid, address(this))
        );
        bytes32 message = keccak256(abi.encode(ANCHOR_TYPEHASH, log, size, rootHash));
        return keccak256(abi.encodePacked(hex"1901", domain, message));
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        override
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (hex"0f", NAME, VERSION, block.chainid, address(this), bytes32(0), new uint256[](0));
    }

    /// @dev Reverts unless the authorisation is the authoriser's and somebody else sends the transaction.
    /// @param log Log id.
    /// @param size Size to be anchored.
    /// @param rootHash Root to be anchored.
    /// @param authorisation 65 bytes r, s, v.
    function _requireAuthorised(bytes32 log, uint64 size, bytes32 rootHash, bytes calldata authorisation)
        internal
        view
    {
        address authoriser = logs[log].authoriser;
        if (authoriser == msg.sender) revert AuthoriserIsSender(authoriser);
        // The third value says which rule a malformed signature breaks; one error covers them all.
        // slither-disable-next-line unused-return
        (address recovered, ECDSA.RecoverError problem,) =
            ECDSA.tryRecoverCalldata(authorisationDigest(log, size, rootHash), authorisation);
        if (problem != ECDSA.RecoverError.NoError) revert AuthorisationMalformed();
        if (recovered != authoriser) revert AuthorisationRefused(recovered, authoriser);
    }
}
