// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the anchor contract offers to people, programs and other contracts
/// @notice A log is named by its id: the leaf hash of its genesis entry, which is also its tree root at size 1.
/// @dev Roles come from AccessControl, pausing from Pausable; both are visible in the ABI of LedgerAnchor.
interface ILedgerAnchor {
    /// @notice A log was registered; its root at size 1 is its id.
    /// @param log Log id.
    /// @param origin Origin line of the log's checkpoints.
    /// @param authoriser Address whose signature every anchor of the log needs.
    event LogRegistered(bytes32 indexed log, string origin, address authoriser);

    /// @notice Another key now authorises the anchors of a log.
    /// @param log Log id.
    /// @param previous Address that authorised until now.
    /// @param authoriser Address that authorises from now on.
    event AuthoriserChanged(bytes32 indexed log, address previous, address authoriser);

    /// @notice A checkpoint was anchored: proven on chain to extend the one before it.
    /// @param log Log id.
    /// @param size Number of entries that the root covers.
    /// @param root Root of the log's tree at that size.
    /// @param sender Account that sent the transaction.
    event Anchored(bytes32 indexed log, uint64 indexed size, bytes32 root, address sender);

    /// @notice A log was closed for ever.
    /// @param log Log id.
    /// @param size Last size that counts; anchors above it are disputed.
    /// @param root Root at that size.
    /// @param successor Log that goes on in its place, or zero.
    event Sealed(bytes32 indexed log, uint64 indexed size, bytes32 root, bytes32 indexed successor);

    /// @notice A prefix now belongs to another log.
    /// @param prefixHash Keccak-256 of the prefix, to search by.
    /// @param log Log id, or zero when the prefix belongs to none.
    /// @param previous Log it belonged to before, or zero.
    /// @param prefix The prefix itself.
    event PrefixMapped(bytes32 indexed prefixHash, bytes32 indexed log, bytes32 indexed previous, string prefix);

    /// @notice Someone recorded on chain that a statement awaits admission.
    /// @param log Log id.
    /// @param leafHash Leaf hash of the statement.
    /// @param sender Account that recorded it.
    event Requested(bytes32 indexed log, bytes32 indexed leafHash, address sender);

    /// @notice The log id names no registered log.
    /// @param log Log id given.
    error LogUnknown(bytes32 log);

    /// @notice A log is registered once only.
    /// @param log Log id given.
    error LogAlreadyRegistered(bytes32 log);

    /// @notice The log is sealed and takes nothing more.
    /// @param log Log id given.
    error LogIsSealed(bytes32 log);

    /// @notice An anchor must be larger than the last one.
    /// @param log Log id.
    /// @param size Size offered.
    /// @param latest Size of the last anchor.
    error SizeNotGrowing(bytes32 log, uint64 size, uint64 latest);

    /// @notice This size is anchored with another root: two trees exist, which is evidence of a fork.
    /// @param log Log id.
    /// @param size Size offered.
    /// @param anchored Root on record.
    /// @param offered Root offered.
    error RootConflict(bytes32 log, uint64 size, bytes32 anchored, bytes32 offered);

    /// @notice The consistency proof does not lead from the last anchor to the one offered.
    /// @param log Log id.
    /// @param first Size of the last anchor.
    /// @param second Size offered.
    error ConsistencyRefused(bytes32 log, uint64 first, uint64 second);

    /// @notice An authorisation is 65 bytes r, s, v with the lower s and v 27 or 28.
    error AuthorisationMalformed();

    /// @notice The authorisation is by another key, or over another chain, contract, log, size or root.
    /// @param recovered Address that the signature yields.
    /// @param authoriser Address whose signature is needed.
    error AuthorisationRefused(address recovered, address authoriser);

    /// @notice The authoriser may not send the anchor itself: two keys are needed, in two hands.
    /// @param authoriser Address that is both.
    error AuthoriserIsSender(address authoriser);

    /// @notice An authoriser must be an address other than zero.
    error AuthoriserMissing();

    /// @notice A log id, leaf hash or root of 32 zero bytes names nothing.
    error ZeroHash();

    /// @notice A seal names a size from 1 to the last anchor's; anchor first, then seal.
    /// @param log Log id.
    /// @param size Size given.
    /// @param latest Size of the last anchor.
    error SealOutOfRange(bytes32 log, uint64 size, uint64 latest);

    /// @notice A log cannot follow itself.
    /// @param successor Log id given.
    error SuccessorRefused(bytes32 successor);

    /// @notice An origin or prefix has 1 to 256 bytes.
    /// @param length Number of bytes given.
    error TextLength(uint256 length);

    /// @notice A prefix has visible ASCII characters only; others are percent-encoded.
    /// @param position Zero-based place of the byte refused.
    /// @param found The byte refused.
    error TextByte(uint256 position, bytes1 found);

    /// @notice No root is anchored at this size.
    /// @param log Log id.
    /// @param size Size given.
    error NotAnchored(bytes32 log, uint64 size);

    /// @notice The anchor lies above the size at which the log was sealed.
    /// @param log Log id.
    /// @param size Size given.
    /// @param sealedSize Size at which the log was sealed.
    error AnchorDisputed(bytes32 log, uint64 size, uint64 sealedSize);

    /// @notice When and by whom something was recorded, in one storage slot.
    struct Meta {
        uint56 blockNumber;
        uint40 time;
        address sender;
    }

    /// @notice The newest state of a log, in one storage slot.
    struct Head {
        uint64 size;
        uint40 time;
        uint64 sealedSize;
        uint8 flags;
    }

    /// @notice What was registered about a log.
    struct LogRecord {
        bytes32 originHash;
        address authoriser;
    }

    /// @notice How a log was closed; the size stands in its head.
    struct SealRecord {
        bytes32 root;
        bytes32 successor;
        Meta meta;
    }

    /// @notice One chapter in the history of a prefix.
    struct PrefixRecord {
        bytes32 log;
        Meta meta;
    }

    /// @notice Registers a log. Needs REGISTRY_ROLE.
    /// @param log Log id: leaf hash of the genesis entry.
    /// @param origin Origin line of its checkpoints, 1 to 256 bytes.
    /// @param authoriser Address whose signature every anchor will need.
    function registerLog(bytes32 log, string calldata origin, address authoriser) external;

    /// @notice Names another authoriser for a log. Needs DEFAULT_ADMIN_ROLE; works while paused, because replacing a
    /// stolen key is what a pause may be for.
    /// @param log Log id.
    /// @param authoriser The new address.
    function setAuthoriser(bytes32 log, address authoriser) external;

    /// @notice Anchors a checkpoint. Needs ANCHORER_ROLE, and an authorisation by another key. The same size and root
    /// again change nothing and succeed.
    /// @param log Log id.
    /// @param size Number of entries, above the last anchor's.
    /// @param rootHash Root of the tree at that size.
    /// @param proof Consistency path from the last anchor's size to this one.
    /// @param authorisation 65 bytes r, s, v over the EIP-712 digest of (log, size, root) by the authoriser.
    function anchor(bytes32 log, uint64 size, bytes32 rootHash, bytes32[] calldata proof, bytes calldata authorisation)
        external;

    /// @notice Closes a log for ever. Needs DEFAULT_ADMIN_ROLE. A size below the last anchor's disputes what is above.
    /// @param log Log id.
    /// @param size Last size that counts, from 1 to the last anchor's.
    /// @param rootHash Root at that size; must equal the one anchored there, if one is.
    /// @param successor Registered open log that goes on in its place, or zero for none.
    function seal(bytes32 log, uint64 size, bytes32 rootHash, bytes32 successor) external;

    /// @notice Gives a prefix to a log. Needs REGISTRY_ROLE. The log it has already: nothing changes.
    /// @param prefix For example `vaa/88.118.8`: 1 to 256 visible ASCII characters.
    /// @param log Registered log that is not sealed, or zero to take the prefix from any.
    function mapPrefix(string calldata prefix, bytes32 log) external;

    /// @notice Records that a statement awaits admission. Open to every account. The first record stands.
    /// @param log Log id.
    /// @param leafHash Leaf hash of the statement.
    function request(bytes32 log, bytes32 leafHash) external;

    /// @notice Stops all writes but those to roles and authorisers. Needs PAUSER_ROLE. Reads go on.
    function pause() external;

    /// @notice Ends a pause. Needs PAUSER_ROLE.
    function unpause() external;

    /// @notice Root anchored at a size.
    /// @param log Log id.
    /// @param size Number of entries.
    /// @return Root, or zero where none is anchored.
    function root(bytes32 log, uint64 size) external view returns (bytes32);

    /// @notice When and by whom a size was anchored.
    /// @param log Log id.
    /// @param size Number of entries.
    /// @return blockNumber Block of the anchor, or zero.
    /// @return time Unix seconds of that block.
    /// @return sender Account that sent it.
    function meta(bytes32 log, uint64 size) external view returns (uint56 blockNumber, uint40 time, address sender);

    /// @notice Newest state of a log.
    /// @param log Log id.
    /// @return size Size of the last anchor; zero for an unregistered log.
    /// @return time Unix seconds of the block that anchored it.
    /// @return sealedSize Last size that counts, once sealed.
    /// @return flags Bit 0: sealed; bit 1: anchors above `sealedSize` exist and are disputed.
    function head(bytes32 log) external view returns (uint64 size, uint40 time, uint64 sealedSize, uint8 flags);

    /// @notice What was registered about a log.
    /// @param log Log id.
    /// @return originHash SHA-256 of the origin.
    /// @return authoriser Address whose signature every anchor needs.
    function logs(bytes32 log) external view returns (bytes32 originHash, address authoriser);

    /// @notice How a log was closed.
    /// @param log Log id.
    /// @return rootHash Root at the sealed size.
    /// @return successor Log that goes on in its place, or zero.
    /// @return recorded When and by whom.
    function seals(bytes32 log) external view returns (bytes32 rootHash, bytes32 successor, Meta memory recorded);

    /// @notice When and by whom a statement's admission was first requested.
    /// @param log Log id.
    /// @param leafHash Leaf hash of the statement.
    /// @return blockNumber Block of the request, or zero.
    /// @return time Unix seconds of that block.
    /// @return sender Account that sent it.
    function requests(bytes32 log, bytes32 leafHash)
        external
        view
        returns (uint56 blockNumber, uint40 time, address sender);

    /// @notice Log that a prefix belongs to now.
    /// @param prefix The prefix.
    /// @return Log id, or zero.
    function logOf(string calldata prefix) external view returns (bytes32);

    /// @notice Every log that a prefix belonged to, oldest first.
    /// @param prefix The prefix.
    /// @return The records; the last one holds now.
    function prefixHistory(string calldata prefix) external view returns (PrefixRecord[] memory);

    /// @notice Proves to another contract that a leaf is in an anchored log. Reverts where it cannot tell: unknown log,
    /// size not anchored, or disputed.
    /// @param log Log id.
    /// @param size Size of an anchored checkpoint.
    /// @param index Zero-based place of the leaf.
    /// @param leafHash SHA-256(0x00 || entry).
    /// @param proof Inclusion path, from the leaf's sibling up.
    /// @return Whether the proof holds.
    function verifyInclusion(bytes32 log, uint64 size, uint64 index, bytes32 leafHash, bytes32[] calldata proof)
        external
        view
        returns (bool);

    /// @notice What the authoriser signs, for this chain and this contract.
    /// @param log Log id.
    /// @param size Number of entries.
    /// @param rootHash Root at that size.
    /// @return EIP-712 digest.
    function authorisationDigest(bytes32 log, uint64 size, bytes32 rootHash) external view returns (bytes32);
}
