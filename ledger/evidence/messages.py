"""What the steps say, in English and in Chinese.

Owns the texts: every reason is a message, a name in the table and the values that go into it, so that a report can be
told in either language without changing what it says. Values that come from elsewhere (an error's explanation, a
subject, a hash) stand in both languages as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from ledger.errors import MalformedError

ENGLISH: Final = "en"
CHINESE: Final = "zh"
LANGUAGES: Final = (ENGLISH, CHINESE)


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to say: its name in `TEXTS` and the values; a value may be a message itself."""

    name: str
    values: tuple[tuple[str, Any], ...] = ()

    def text(self, lang: str = ENGLISH) -> str:
        """The message in a language of `LANGUAGES`; MalformedError for another."""
        values = {name: moment(value) if name in TIMES else told(value, lang) for name, value in self.values}
        return TEXTS[self.name][_place(lang)].format(**values)


TIMES: Final = frozenset({"time", "quorum_time", "nbf", "exp", "effective", "logged"})
"""Values that are Unix seconds, and are told as dates."""
_LATEST: Final = 253_402_300_799  # end of the year 9999, the last that the calendar can show


def moment(seconds: int) -> str:
    """A Unix second as a UTC time of RFC 3339; `second N` where the calendar does not reach."""
    if not 0 <= seconds <= _LATEST:
        return f"second {seconds}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Said: TypeAlias = Message | str
"""A message, or a text that stands in both languages as it is."""


def say(name: str, /, **values: Any) -> Message:
    """Make a message of the table."""
    return Message(name, tuple(values.items()))


def told(value: Any, lang: str = ENGLISH) -> Any:
    """A message's text in that language; a text with what does not print made visible; any other value as it is.

    Texts hold what a bundle says. A line break or a terminal's escape in it must not make lines of a report, and
    nothing in it may hide or turn what stands around it.
    """
    if isinstance(value, str) and not value.isprintable():
        return "".join(sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}" for sign in value)
    return value.text(lang) if isinstance(value, Message) else value


def _place(lang: str) -> int:
    if lang not in LANGUAGES:
        raise MalformedError(f"no texts in language {lang[:20]!r}", where="lang", remedy=f"Known are {LANGUAGES}")
    return LANGUAGES.index(lang)


TEXTS: Final[dict[str, tuple[str, str]]] = {
    # What a report is about
    "about_statement": ("{type} of {sub} by {iss} (entry {index})", "{iss} 对 {sub} 的 {type}（条目 {index}）"),
    "about_absence": (
        "absence: there is no registration of {about} at size {size}",
        "不存在证明：日志大小为 {size} 时没有 {about} 的登记",
    ),
    "about_history": (
        "the complete history of {about} at size {size}",
        "{about} 在日志大小为 {size} 时的完整历史",
    ),
    "about_unread": ("bytes that are no bundle", "不是证据包的字节"),
    "about_unknown_log": ("evidence about {about} of an unknown log", "关于 {about} 的证据，来自未知日志"),
    # What answers rest on
    "on_history": (
        "this log's entries, run through the rules again with every signature checked",
        "本日志的条目：按规则重新执行，并核对每个签名",
    ),
    "on_replayers": ("the replaying witnesses {names}", "重放见证方 {names}"),
    "on_witnesses": ("the witnesses {names}", "见证方 {names}"),
    "on_auditor": ("the signed report of the auditor {name}", "审计方 {name} 签署的报告"),
    "on_operator": (
        "the operator alone (trust_operator_state is set in the policy)",
        "仅凭运营方（策略中设置了 trust_operator_state）",
    ),
    "on_policy": ("the policy's id of the log {name}", "策略中日志 {name} 的标识"),
    "on_clock": ("the verifier's clock", "验证方的时钟"),
    # 1 container
    "not_a_bundle": ("This is not an evidence bundle: {why}", "这不是证据包：{why}"),
    "log_not_in_policy": ("The policy does not name log {log}", "策略未列出日志 {log}"),
    "genesis_missing": ("Entry 0 must be here: it is what the log's id names", "必须包含条目 0：日志标识由它而来"),
    "genesis_other": ("Entry 0 is not the genesis of log {log}", "条目 0 不是日志 {log} 的创世条目"),
    "genesis_origin": (
        "The genesis is of origin {found}, the policy says {expected}",
        "创世条目的来源为 {found}，策略为 {expected}",
    ),
    "index_not_here": ("Entry {index}, which it is about, is not in the bundle", "证据包缺少其所述的条目 {index}"),
    "about_other": (
        "The bundle says that it is about {about}, its entry {index} is about {sub}",
        "证据包称其关于 {about}，而条目 {index} 关于 {sub}",
    ),
    "absence_without_claim": (
        "It is about an absence, but claims no state of {about}",
        "它声称不存在，却没有关于 {about} 的状态声称",
    ),
    "absence_with_document": (
        "It is about the absence of {about}, yet shows a document, which nothing here would prove",
        "它声称 {about} 不存在，却附有文件，而此处没有任何内容可证明该文件",
    ),
    "container_ok": (
        "A bundle of {entries} entries and {claims} state claims, of log {log}",
        "证据包含 {entries} 个条目、{claims} 项状态声称，来自日志 {log}",
    ),
    # 2 suites
    "entry_not_a_statement": ("Entry {index} is not a statement: {why}", "条目 {index} 不是声明：{why}"),
    "alg_not_in_policy": (
        "Entry {index} uses algorithm {alg}, which the policy does not admit",
        "条目 {index} 使用算法 {alg}，策略不接受",
    ),
    "suites_all_ok": (
        "{count} statements, each in its one form, signed with {names}",
        "{count} 个声明，形式均唯一，以 {names} 签名",
    ),
    # 3 documents
    "no_document_type": ("A {type} carries all its content itself", "{type} 自带全部内容"),
    "not_a_document": (
        "This is not a document that a statement can be about: {why}",
        "这不是声明可指向的文档：{why}",
    ),
    "document_altered": (
        "The document was altered or is another one: its SHA-256 is {found}, signed was {signed}",
        "文档被改动或并非原件：其 SHA-256 为 {found}，签名的是 {signed}",
    ),
    "document_signed": ("The document's SHA-256 is the one that was signed", "文档的 SHA-256 与签名的一致"),
    "document_contradicts": ("Document contradicts statement: {why}", "文档与声明矛盾：{why}"),
    "document_mapped": (
        "The document's SHA-256 is the one that was signed, and its {count} mapped members equal the claims",
        "文档的 SHA-256 与签名的一致，其 {count} 个映射成员与声明项相同",
    ),
    "document_stray": (
        "A document stands in the bundle, but its statement was signed over none: its SHA-256 is {found}",
        "证据包附有文档，而所涉声明并非对文档签署：其 SHA-256 为 {found}",
    ),
    "document_missing": (
        "The document is not in the bundle: ask its holder for it, its SHA-256 is {digest}",
        "证据包中没有文档：请向持有者索取，其 SHA-256 为 {digest}",
    ),
    "document_no_template": ("There is no template {template}", "没有模板 {template}"),
    # 4 signatures
    "unsigned_key": (
        "The {what}signature of {iss} by key {kid} does not verify",
        "{iss} 以密钥 {kid} 所作的{what}签名未通过验证",
    ),
    "unsigned_nobody": (
        "{iss} has no key {kid}, so the {what}signature is nobody's",
        "{iss} 没有密钥 {kid}，因此该{what}签名不属于任何人",
    ),
    "what_consent": ("consent ", "同意"),
    "consent_elsewhere": ("The consent of {iss} was given to another act", "{iss} 的同意是对另一行为作出的"),
    "signed": ("The signature of {iss} verifies", "{iss} 的签名通过验证"),
    "signed_consents": (
        "The signature of {iss} and {count} consents verify",
        "{iss} 的签名及 {count} 个同意通过验证",
    ),
    "compromised": (
        "Key {kid} was reported as compromised from {time} on, and this act not reconfirmed",
        "密钥 {kid} 已被报告自 {time} 起失密，此行为未获重新确认",
    ),
    # 5 inclusion
    "inclusion_shape": ("The inclusion proof has the wrong shape: {why}", "包含证明形状有误：{why}"),
    "inclusion_root": (
        "The inclusion proof leads to root {found}, not to {root}",
        "包含证明得到根 {found}，而非 {root}",
    ),
    "included_all": (
        "All {count} entries are in the tree of size {size}; it is entry {index}",
        "{count} 个条目均在大小为 {size} 的树中；它是条目 {index}",
    ),
    "included_absence": (
        "All {count} entries are in the tree of size {size}",
        "{count} 个条目均在大小为 {size} 的树中",
    ),
    "no_checkpoint": ("There is no checkpoint of the log to compare with", "没有可供比较的日志检查点"),
    # 6 manifest
    "manifest_missing": (
        "The manifest at index {index}, which commits to the state, is not in the bundle",
        "证据包缺少索引 {index} 处承诺状态的清单",
    ),
    "manifest_none": ("Entry {index} is no manifest", "条目 {index} 不是清单"),
    "manifest_not_logs": (
        "The manifest at index {index} is not signed by the log's key {kid}",
        "索引 {index} 处的清单不是由日志密钥 {kid} 签署",
    ),
    "manifests_disagree": (
        "The manifest at index {index} contradicts its place or the manifests before it",
        "索引 {index} 处的清单与其位置或之前的清单相矛盾",
    ),
    "manifest_ahead": (
        "The manifest's time {time} is later than the witnesses' {quorum_time} by more than {skew} s",
        "清单时间 {time} 比见证方时间 {quorum_time} 晚超过 {skew} 秒",
    ),
    "manifest_behind": (
        "The manifest's time {time} is {lag} s before the witnesses' {quorum_time}: what ended meanwhile is not told",
        "清单时间 {time} 比见证方时间 {quorum_time} 早 {lag} 秒：其间终止的事项未能体现",
    ),
    "manifest_unwitnessed": (
        "Signed by the log for log time {time}, but no quorum of witnesses vouches for its time",
        "由日志按日志时间 {time} 签署，但没有见证方法定数担保其时间",
    ),
    "manifest_ok": (
        "Batch {number} ends the log, signed by the log's own key; log time is {time}",
        "批次 {number} 位于日志末尾，由日志自己的密钥签署；日志时间为 {time}",
    ),
    # 7 state proofs
    "state_shape": ("The state proof has the wrong shape: {why}", "状态证明形状有误：{why}"),
    "state_root": (
        "The state proof leads to root {found}, the manifest says {root}",
        "状态证明得到根 {found}，清单为 {root}",
    ),
    "state_alone": (
        "{count} records are as the manifest commits to: cannot tell (rests on the operator alone)",
        "{count} 项记录与清单的承诺一致：无法判断（仅凭运营方）",
    ),
    "state_ok": (
        "{count} records are as the manifest of this very size commits to",
        "{count} 项记录与此大小的清单所承诺的一致",
    ),
    "needs_step": ("Not asked, because step {step} is not valid", "未判断，因为步骤 {step} 不是有效"),
    # 8 checkpoint
    "checkpoint_wrong": ("The checkpoint is not this log's: {why}", "检查点不属于该日志：{why}"),
    "checkpoint_ok": ("Signed by {name}: size {size}, root {root}", "由 {name} 签署：大小 {size}，根 {root}"),
    "checkpoint_conflict": (
        "The log signed another root for size {size} before: {seen}. This is a split view: keep both as evidence",
        "日志曾为大小 {size} 签署另一个根：{seen}。这是视图分裂：请保留两者作为证据",
    ),
    "checkpoint_unpinned": (
        "Signed by a key of {name} that the policy does not pin",
        "签名密钥属于 {name}，但未在策略中固定",
    ),
    "checkpoint_old_key": (
        "Signed by a key that the log itself does not use at size {size}",
        "签名密钥并非日志在大小 {size} 时使用的密钥",
    ),
    # 9 witnesses
    "no_witnesses": ("The policy names no witnesses", "策略未列出见证方"),
    "witness_wrong": ("A cosignature does not verify: {why}", "有联署未通过验证：{why}"),
    "witnesses_few": (
        "{count} of {named} {kind} witnesses cosigned, {quorum} are needed",
        "{named} 个{kind}见证方中有 {count} 个联署，需要 {quorum} 个",
    ),
    "both": ("{first}. {second}", "{first}。{second}"),
    "seal_missing": (
        "The policy asks for the consortium's seal, and the bundle holds none",
        "策略要求联合体印章，而证据包中没有",
    ),
    "seal_malformed": ("This is not a seal: {why}", "这不是印章：{why}"),
    "seal_other_roster": (
        "The seal is of another roster than the policy's, or of this one in another order",
        "印章所属的成员名册与策略的不同，或成员顺序不同",
    ),
    "seal_elsewhere": (
        "The seal is over size {size} of log {log}, not over this checkpoint",
        "印章针对日志 {log} 的大小 {size}，而非此检查点",
    ),
    "seal_conflict": (
        "The consortium sealed another root for this very size: {root}. Keep both as evidence",
        "联合体为同一大小加盖了另一个根：{root}。请保留两者作为证据",
    ),
    "seal_few": (
        "{count} members sealed, the policy asks for {threshold}",
        "{count} 个成员加盖，策略要求 {threshold} 个",
    ),
    "seal_wrong": ("The seal does not hold: {why}", "印章不成立：{why}"),
    "seal_untold": ("The seal cannot be judged: {why}", "无法判断印章：{why}"),
    "seal_ok": (
        "{count} of {named} members of the consortium sealed it, {threshold} are needed",
        "联合体 {named} 个成员中有 {count} 个加盖印章，需要 {threshold} 个",
    ),
    "on_chain_node": (
        "the word of the chain's node that this node asks",
        "本节点所询问的链节点的说法",
    ),
    "on_members": ("the members {names}", "成员 {names}"),
    "witnesses_ok": (
        "{count} of {named} {kind} witnesses cosigned, {quorum} are needed; a quorum vouched at {time}",
        "{named} 个{kind}见证方中有 {count} 个联署，需要 {quorum} 个；法定数在 {time} 作出担保",
    ),
    "kind_plain": ("plain", "普通"),
    "kind_replaying": ("replaying", "重放"),
    # 10 chain
    "no_chain_policy": ("The policy names no chain", "策略未列出链"),
    "no_chain_evidence": ("The bundle holds no chain evidence", "证据包中没有链上证据"),
    "chain_untrusted": ("The chain evidence is not what the policy trusts: {why}", "链上证据不在策略信任之内：{why}"),
    "chain_wrong": ("The chain evidence contradicts: {why}", "链上证据有矛盾：{why}"),
    "chain_size": (
        "The bundle speaks of an anchor of size {stated}, the chain evidence proves size {size}",
        "证据包称锚定大小为 {stated}，链上证据证明的是 {size}",
    ),
    "chain_beyond": (
        "The anchor of size {size} is newer than the checkpoint of size {checkpoint}",
        "大小为 {size} 的锚定比大小为 {checkpoint} 的检查点新",
    ),
    "chain_inconsistent": (
        "The checkpoint of size {checkpoint} is not consistent with the anchor of size {size}",
        "大小为 {checkpoint} 的检查点与大小为 {size} 的锚定不一致",
    ),
    "chain_sealed": (
        "The log was sealed on the chain at size {sealed}, root {root}: the checkpoint of size {checkpoint} is beyond",
        "该日志已在链上于大小 {sealed}、根 {root} 处封存：大小为 {checkpoint} 的检查点不在其内",
    ),
    "chain_disputed": (
        "The log was sealed on the chain below size {size}: this anchor does not count",
        "该日志已在链上于大小 {size} 以下封存：此锚定无效",
    ),
    "chain_expired": (
        "The header of block {block} is of {time}, further back than the trusting period of {period} s",
        "区块 {block} 的头部时间为 {time}，超出 {period} 秒的信任期",
    ),
    "chain_pin_expired": (
        "The validators of the policy are those of {time}, older than the trusting period of {period} s: pin newer",
        "策略所列验证者为 {time} 时的验证者，超出 {period} 秒的信任期：请固定较新的验证者",
    ),
    "chain_future": (
        "The header of block {block} is of {time}, which is ahead of the verifier's clock",
        "区块 {block} 的头部时间为 {time}，超前于验证方时钟",
    ),
    "chain_not_yet": (
        "Anchored up to size {size}: entry {index} waits for the next anchor",
        "已锚定到大小 {size}：条目 {index} 等待下一次锚定",
    ),
    "chain_absence": (
        "Anchored up to size {size}: nothing is anchored yet about the state at size {checkpoint}",
        "已锚定到大小 {size}：大小 {checkpoint} 处的状态尚未锚定",
    ),
    "chain_ok": (
        "Entry {index} lies under the anchor of size {size} (block {block}), and the checkpoint extends it",
        "条目 {index} 在大小为 {size} 的锚定（区块 {block}）之下，检查点由其延续而来",
    ),
    "chain_ok_absence": (
        "The checkpoint is the anchor of size {size} (block {block})",
        "检查点即大小为 {size} 的锚定（区块 {block}）",
    ),
    # 11 entitled at issuance
    "then_refused": (
        "The rules refuse it as entry {index}: {why} [{reason}]",
        "规则拒绝其作为条目 {index}：{why} [{reason}]",
    ),
    "then_doubtful": (
        "It rests on entry {index}, which nobody can vouch for: {why}",
        "其依据条目 {index}，而该条目无人可担保：{why}",
    ),
    "then_broken": ("The history does not hold together: {why}", "历史不能自洽：{why}"),
    "then_unread": ("The history cannot be read: {why}", "历史无法读取：{why}"),
    "then_ok": (
        "{iss} was entitled to this act when it became entry {index}",
        "在其成为条目 {index} 时，{iss} 有权作出此行为",
    ),
    # 12 entitled now
    "now_unknown_rules": ("This program does not know rules version {rules}", "本程序不认识规则版本 {rules}"),
    "now_ok": ("{iss} is entitled to such acts", "{iss} 有权作出此类行为"),
    # 13 status
    "no_record": ("There is no record of {sub}", "没有 {sub} 的记录"),
    "absent": (
        "There is no registration of {about} at size {size}: the state holds no record of it",
        "日志大小为 {size} 时没有 {about} 的登记：状态中没有其记录",
    ),
    "not_absent": ("There is a record of {about} at size {size}", "日志大小为 {size} 时有 {about} 的记录"),
    "credential_other": (
        "The credential was issued by entry {entry}, not by this one",
        "该凭证由条目 {entry} 签发，而非此条目",
    ),
    "credential_identifier": (
        "The credential is {state}, but the identifier that it is about is {identifier}",
        "凭证状态为 {state}，但其所指标识为 {identifier}",
    ),
    "thing_credential": ("The credential", "凭证"),
    "thing_accreditation": ("The accreditation", "认可资质"),
    "thing_delegation": ("The delegation (held by {holder})", "委托（由 {holder} 持有）"),
    "thing_delegation_above": ("A delegation above it (held by {holder})", "其上级委托（由 {holder} 持有）"),
    "delegation_orphaned": (
        "{thing} ended when one above it was given anew",
        "{thing}已随其上级委托的重新授予而终止",
    ),
    "delegation_anew": (
        "The prefix was given anew since, on other terms: it is held by {holder}",
        "该前缀此后已按其他条件重新授予：持有者为 {holder}",
    ),
    "state_since": (
        "{thing} is {state} since {effective}{why}, logged at {logged}",
        "{thing}自 {effective} 起为 {state}{why}，记录于 {logged}",
    ),
    "because": (" for {reason}", "，原因 {reason}"),
    "not_yet_valid": (
        "{thing} is not yet valid: it begins at {nbf}, log time is {time}",
        "{thing}尚未生效：始于 {nbf}，日志时间为 {time}",
    ),
    "not_yet_valid_clock": (
        "{thing} is not yet valid: it begins at {nbf}, the verifier's clock says {time}",
        "{thing}尚未生效：始于 {nbf}，验证方时钟为 {time}",
    ),
    "expired": ("{thing} expired at {exp}, log time is {time}", "{thing}已于 {exp} 到期，日志时间为 {time}"),
    "expired_clock": (
        "{thing} expired at {exp}, the verifier's clock says {time}",
        "{thing}已于 {exp} 到期，验证方时钟为 {time}",
    ),
    "in_force": ("{thing} is {state}, valid from {nbf} to {exp}", "{thing}为 {state}，有效期 {nbf} 至 {exp}"),
    "transferred_again": (
        "The identifier was passed on since: generation {generation}, held by {holder}",
        "该标识此后已再次转移：第 {generation} 代，持有者 {holder}",
    ),
    "registered_again": (
        "The identifier was registered again as generation {generation} by entry {entry}",
        "该标识已由条目 {entry} 重新登记为第 {generation} 代",
    ),
    "identifier_is": (
        "The identifier is {state}, generation {generation}, held by {holder}",
        "标识为 {state}，第 {generation} 代，持有者 {holder}",
    ),
    "status_changed": (
        "It was changed since: {state} from {effective} on, logged at {logged}",
        "此后状态已变更：自 {effective} 起为 {state}，记录于 {logged}",
    ),
    "status_stands": (
        "It is {state} from {effective} on, as the statement says",
        "自 {effective} 起为 {state}，与声明一致",
    ),
    "template_is": ("The template version is {state}", "模板版本为 {state}"),
    "actor_keys": (
        "The actor {name!r} has {usable} of {count} keys in force",
        "参与方 {name!r} 的 {count} 个密钥中有 {usable} 个有效",
    ),
    # 4, 11 and 13 of a history
    "history_signed": (
        "The signatures of all {count} statements verify, and none is by a key reported as compromised",
        "全部 {count} 个声明的签名通过验证，且无一使用被报告失密的密钥",
    ),
    "history_doubt": ("Entry {index} is in doubt: {why}", "条目 {index} 存疑：{why}"),
    "history_admitted": (
        "The rules admit all {count} statements as the entries that they are",
        "规则接受全部 {count} 个声明作为其所在条目",
    ),
    "history_lacks": ("The history is not complete: {why}", "历史不完整：{why}"),
    "history_complete": (
        "These are all {count} statements about {about}, none is missing; they leave it {state}",
        "以上为关于 {about} 的全部 {count} 个声明，无一遗漏；其结果状态为 {state}",
    ),
    # 14 freshness
    "fresh_nobody": (
        "No quorum of witnesses and no chain header says when this checkpoint was the newest",
        "没有见证方法定数，也没有链上区块头说明该检查点何时为最新",
    ),
    "fresh_unasked": (
        "It was the newest {age} s ago; the policy does not say how old is too old",
        "{age} 秒前它是最新的；策略未规定多旧为过旧",
    ),
    "fresh_stale": (
        "It was the newest {age} s ago, the policy takes at most {limit} s: ask for newer evidence",
        "{age} 秒前它是最新的，策略最多接受 {limit} 秒：请索取更新的证据",
    ),
    "fresh_ahead": (
        "It was vouched for at {time}, which is ahead of the verifier's clock by {ahead} s: set the clock",
        "其担保时间为 {time}，超前验证方时钟 {ahead} 秒：请校准时钟",
    ),
    "fresh_ok": (
        "It was the newest {age} s ago, the policy takes at most {limit} s",
        "{age} 秒前它是最新的，策略最多接受 {limit} 秒",
    ),
    # Trust
    "capped": (
        "{reason}: cannot tell (rests on the operator alone)",
        "{reason}：无法判断（仅凭运营方）",
    ),
    "missing": ("The bundle does not hold what this needs: {why}", "证据包缺少所需内容：{why}"),
}
"""Each message in the languages of `LANGUAGES`, in that order; values stand in braces."""
