// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title How the members of a consortium govern their chain together
/// @notice The chain itself reads what is kept here: who may send transactions, and which validators make blocks.
/// Administrators change it by acts: an act is a call that enough of them have confirmed, word for word.
interface IConsortium {
    /// @notice An administrator stands behind an act.
    /// @param id Id of the act.
    /// @param administrator Who confirmed it.
    /// @param count Administrators who stand behind it now.
    /// @param call What is to be called: others read it here before they confirm it too.
    event Confirmed(bytes32 indexed id, address indexed administrator, uint256 count, bytes call);

    /// @notice An administrator no longer stands behind an act.
    /// @param id Id of the act.
    /// @param administrator Who took the confirmation back.
    /// @param count Administrators who stand behind it now.
    event Withdrawn(bytes32 indexed id, address indexed administrator, uint256 count);

    /// @notice An act was carried out; confirmations of all others are void from now on.
    /// @param id Id of the act.
    /// @param round Round in which it was confirmed; the next one has begun.
    /// @param call What was called.
    event Acted(bytes32 indexed id, uint256 indexed round, bytes call);

    /// @notice An account's rights are now these.
    /// @param account The account.
    /// @param rights Sum of 1, may send transactions, and 2, may create contracts.
    event RightsSet(address indexed account, uint256 rights);

    /// @notice The validators are now these.
    /// @param validators The whole list.
    event ValidatorsSet(Validator[] validators);

    /// @notice The administrators are now these.
    /// @param administrators The whole list.
    /// @param threshold How many of them an act needs.
    event AdministratorsSet(address[] administrators, uint256 threshold);

    /// @notice Only an administrator may confirm or withdraw.
    /// @param sender Who tried.
    error NotAdministrator(address sender);

    /// @notice Only an act changes anything: the function is called by the contract itself.
    /// @param sender Who tried.
    error OnlyByAct(address sender);

    /// @notice An act calls setRights, setValidators or setAdministrators, nothing else.
    /// @param selector First four bytes of the call given.
    error CallRefused(bytes4 selector);

    /// @notice Each administrator counts once.
    /// @param id Id of the act.
    /// @param administrator Who confirmed it before.
    error AlreadyConfirmed(bytes32 id, address administrator);

    /// @notice There is no confirmation to take back.
    /// @param id Id of the act.
    /// @param administrator Who has not confirmed it.
    error NotConfirmed(bytes32 id, address administrator);

    /// @notice Rights are given to an address other than zero.
    error AccountMissing();

    /// @notice Rights are a sum of 1 and 2.
    /// @param rights What was given.
    error RightsUnknown(uint256 rights);

    /// @notice An administrator may always send transactions, else it could not confirm; dismiss it first.
    /// @param administrator Whose right was to be taken.
    error AdministratorMustSend(address administrator);

    /// @notice There are 1 to 64 validators.
    /// @param count Number given.
    error ValidatorCount(uint256 count);

    /// @notice A validator has a key other than zero.
    /// @param index Zero-based place in the list.
    error ValidatorKeyMissing(uint256 index);

    /// @notice Every validator has a key of its own.
    /// @param key The key that stands twice in the list.
    error ValidatorKeyRepeated(bytes32 key);

    /// @notice A validator has a power of 1 to 2^40.
    /// @param key Key of the validator.
    /// @param power Power given.
    error ValidatorPower(bytes32 key, uint64 power);

    /// @notice There are 1 to 32 administrators.
    /// @param count Number given.
    error AdministratorCount(uint256 count);

    /// @notice An administrator is an address other than zero.
    /// @param index Zero-based place in the list.
    error AdministratorMissing(uint256 index);

    /// @notice Every administrator stands in the list once.
    /// @param administrator The address that stands there twice.
    error AdministratorRepeated(address administrator);

    /// @notice An act needs at least one and at most all administrators.
    /// @param threshold Number given.
    /// @param count Number of administrators.
    error ThresholdOutOfRange(uint256 threshold, uint256 count);

    /// @notice One validator: two storage slots.
    /// @param key Ed25519 public key.
    /// @param power Its weight in every vote.
    struct Validator {
        bytes32 key;
        uint64 power;
    }

    /// @notice Confirms an act, and carries it out when that makes enough confirmations.
    /// @param call Encoded call of setRights, setValidators or setAdministrators.
    function act(bytes calldata call) external;

    /// @notice Takes the sender's confirmation of an act back.
    /// @param call The call that was confirmed.
    function withdraw(bytes calldata call) external;

    /// @notice Sets an account's rights. By act only.
    /// @param account The account.
    /// @param allowed Sum of 1, may send transactions, and 2, may create contracts; 0 for none.
    function setRights(address account, uint256 allowed) external;

    /// @notice Replaces the validators. By act only. The chain follows two blocks later.
    /// @param list All validators from then on.
    function setValidators(Validator[] calldata list) external;

    /// @notice Replaces the administrators. By act only. Each new one may send transactions; who is dismissed keeps the
    /// rights it has until setRights takes them.
    /// @param list All administrators from now on.
    /// @param needed How many of them an act needs.
    function setAdministrators(address[] calldata list, uint256 needed) external;

    /// @notice What an account may do: sum of 1, send transactions, and 2, create contracts.
    /// @param account The account.
    /// @return Its rights.
    function rights(address account) external view returns (uint256);

    /// @notice The validators in the order they were given.
    /// @return All of them.
    function validators() external view returns (Validator[] memory);

    /// @notice The administrators in the order they were given.
    /// @return All of them.
    function administrators() external view returns (address[] memory);

    /// @notice How many administrators an act needs.
    /// @return Their number.
    function threshold() external view returns (uint256);

    /// @notice How many acts were carried out.
    /// @return Their number.
    function round() external view returns (uint256);

    /// @notice Whether an administrator stands behind an act.
    /// @param id Id of the act.
    /// @param administrator The administrator.
    /// @return Whether it has confirmed and not withdrawn.
    function confirmed(bytes32 id, address administrator) external view returns (bool);

    /// @notice How many administrators stand behind an act.
    /// @param id Id of the act.
    /// @return Their number.
    function confirmations(bytes32 id) external view returns (uint256);

    /// @notice The id of an act in this round: Keccak-256 of the round, 32 bytes, and the call.
    /// @param call Encoded call.
    /// @return The id; in another round the same call has another one.
    function actId(bytes calldata call) external view returns (bytes32);
}
