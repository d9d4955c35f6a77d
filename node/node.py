"""The node: opens the stores, wires the stages, and brings them down again without losing anything.

The flow of one registration reads straight through here: HTTP hands bytes to the `Sequencer`; `Admission` decides;
the journal makes durable; the `Publisher` writes tiles and signs the checkpoint; the `AnchorWorker` takes the newest
published checkpoint to the chain. A stage that fails stops the ones before it, never the other way round: the chain may
be gone for a week.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from typing import Any, Self

from ledger.crypto.keyfile import load as load_key
from ledger.errors import UnavailableError
from ledger.log.notes import Vkey
from ledger.log.proofs import consistency_proof
from ledger.log.tiles import TileCache
from ledger.state.records import LogRecord
from ledger.statements import decode_statement
from ledger.store.documents import DocumentFolder
from ledger.store.tiles import TileReader
from node.admission import Admission, Group
from node.anchor.outbox import Outbox
from node.anchor.worker import AnchorWorker
from node.chain.accounts import Role, as_chain_signer, open_account
from node.chain.comet_state import CometNodes
from node.chain.comet_trust import ChainTrust, read_pin
from node.chain.cometbft import CometChain
from node.chain.deploy import Deployer
from node.chain.endpoints import connect
from node.chain.evm import EvmChain
from node.chain.protocol import ChainSigner, ContractMissingError, Finality, SignerUnavailableError
from node.chain.signer import ExternalSigner
from node.clock import Clock, ClockGuard, SystemClock, check_start
from node.config import COMETBFT, Config
from node.cosigning import Cosigner, QuorumError, Witnessing, read_policies
from node.document_check import DocumentCheck
from node.keyring import KeyRing
from node.metrics import Metrics
from node.publisher import Publisher
from node.questions import Questions
from node.recovery import ChainHeads, DataFolder, open_log
from node.retention import ANCHORS, pins_of, retention_of
from node.sequencer import Sequencer
from node.verifiers import VerifierPool

log = logging.getLogger(__name__)


class Node:
    """One log's node. Create it inside the event loop that will run it: `async with Node(config) as node`."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        recover_lock: bool = False,
        clock_checked: bool = False,
    ) -> None:
        """Open everything, or raise `RefusedStartError` with what stands in the way. Nothing is signed yet.

        `recover_lock` and `clock_checked` are the operator's word on a lost lock and on a clock far beyond log time.
        """
        clock = clock or SystemClock()
        self.config = config
        self.metrics = Metrics(self)
        self.started = time.time()
        folder = DataFolder(config.data_path)
        passphrase = config.passphrase()
        self.ring = KeyRing.load(config, passphrase)
        self._signers: list[ExternalSigner] = []
        self._chain = self._open_chain(folder, passphrase)
        head = None if self._chain is None else self._chain_head
        self._recovered = open_log(
            folder, config.path(config.lock), head, recover_lock=recover_lock,
            retention=retention_of(config.state),
        )  # fmt: skip
        try:
            self._assemble(folder, clock, passphrase, clock_checked)
        except BaseException:
            self._recovered.close()
            raise

    def _assemble(self, folder: DataFolder, clock: Clock, passphrase: str, clock_checked: bool) -> None:
        recovered, config = self._recovered, self.config
        self.genesis = recovered.genesis
        self.log_id = recovered.genesis.leaf
        self.index = recovered.index
        self.documents = DocumentFolder(folder.documents, config.log.reserve)
        self.served = folder.served
        self.reader = TileReader(folder.served, TileCache())
        self.questions = Questions()
        self.admission = Admission(
            recovered.index, self.ring, recovered.journal.next_index, recovered.counts,
            entry_at=self._entry_at, documents=DocumentCheck(self.documents),
        )  # fmt: skip
        parameters = self.admission.view.read(LogRecord)
        assert parameters is not None
        self.ring.check(parameters)
        self.origin = parameters.origin
        self.keys = recovered.keys
        guard = ClockGuard(clock)
        guard.now(self.admission.log_time)
        check_start(clock, self.admission.log_time, checked=clock_checked)
        self.witnesses = self._open_witnesses(folder)
        self.publisher = Publisher(
            folder.served, recovered.writer, recovered.lock, recovered.state,
            lambda size: self.ring.note_signer(self.keys.note_for(size)), self.origin,
            interval=config.log.interval, witnesses=self.witnesses,
        )  # fmt: skip
        self._hand_over_tail(recovered.tail, recovered.state.size)
        self._pool = VerifierPool(config.log.verifiers or max(1, (os.cpu_count() or 2) - 1))
        self.sequencer = Sequencer(
            self.admission, recovered.journal, recovered.index, self._pool, self.ring, guard,
            publish_within=config.log.publish_within,
            on_durable=self._take,
            observe=self.metrics.group,
        )  # fmt: skip
        self.anchors = worker = self._anchor_worker(folder, passphrase)
        self.index.tree.pins = pins_of(
            self.index,
            lambda: () if worker is None else worker.anchors(limit=ANCHORS),
            lambda: (self.publisher.published.size, self.publisher.signed_size),
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._released = False

    def _hand_over_tail(self, tail: Sequence[bytes], first: int) -> None:
        """Give the publisher the durable entries that no checkpoint covers yet."""
        group = Group(first)
        for offset, raw in enumerate(tail):
            st = decode_statement(raw)
            group.entries.append(raw)
            group.leaves.append(st.leaf)
            if st.type == "manifest":
                group.manifests.append((st.subject[1], first + offset))
        self.publisher.take(group)

    def _take(self, group: Group) -> None:
        """A group is durable: the keys that it brings are in force, and the publisher may have it."""
        for index, statement in group.key_changes:
            self.keys = self.keys.after(index, statement)
        self.publisher.take(group)

    @property
    def vkey(self) -> Vkey:
        """The verifier key of the checkpoint that is published now."""
        return self.keys.vkey_for(self.publisher.published.size)

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the stages; publishes what an earlier run left unpublished."""
        self._tasks = [
            asyncio.create_task(self.sequencer.run(), name="sequencer"),
        ]
        try:
            await self._check_signers()
            await self._pool.warm()
            await self.publisher.finish()
            await self._publish_if_cosigned()
        except BaseException:
            await self._release()
            raise
        self._tasks.append(asyncio.create_task(self.publisher.run(self.sequencer), name="publisher"))
        if self.anchors is not None:
            self.anchors.start()
        log.info("node started", extra={"log": self.log_id.hex(), "size": self.publisher.published.size})

    async def stop(self) -> None:
        """Drain: everything taken is made durable, answered and published; then files and locks are released.

        Raises the error of a last publication that failed: its entries are durable, the next start publishes them.
        """
        if self._released:  # a start that failed has released everything itself
            return
        self.publisher.stop()
        try:
            await self.sequencer.refuse_submissions()
            if self.sequencer.failure is None and self._tasks:
                await self._publish_if_cosigned()
        finally:
            await self._release()
        log.info("node stopped", extra={"size": self.publisher.published.size})

    async def _publish_if_cosigned(self) -> None:
        """Publish what there is; where witnesses are missing it stays signed, and is published when they are back."""
        try:
            await self.publisher.publish_now(self.sequencer)
        except QuorumError as error:
            log.warning("not published yet", extra={"error": error.explain()})

    async def _release(self) -> None:
        """End the stages, then release files and locks: nobody writes any more when they are closed."""
        self._released = True
        self.sequencer.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.anchors is not None:
            await asyncio.to_thread(self.anchors.stop, 4 * self.config.chain.timeout)
        self._pool.close()
        self.sequencer.close()
        self.publisher.close()
        if self.witnesses is not None:
            await self.witnesses.cosigner.close()
        self._recovered.close()

    async def failed(self) -> None:
        """Return when a stage ended by a failure, raising it: a node that cannot go on must not look alive."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = task.exception()
            if error is not None:
                raise error

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    # -- health ---------------------------------------------------------------------------------------------------

    def not_ready(self) -> str | None:
        """Why the node takes no statements now, or None."""
        failure = self.sequencer.failure or self.publisher.error
        return None if failure is None else failure.explain()

    # -- seams ----------------------------------------------------------------------------------------------------

    def _entry_at(self, index: int) -> bytes:
        return self.publisher.entry_at(index)

    def _open_witnesses(self, folder: DataFolder) -> Witnessing | None:
        policies, config = read_policies(self.config), self.config.witnesses
        if not policies:
            return None
        reader = TileReader(folder.served)  # of its own: proofs are read in another thread
        cosigner = Cosigner(
            policies, lambda old, new: consistency_proof(old, new, reader.nodes(new).get_node), config.timeout
        )
        return Witnessing(cosigner, required=config.required, refresh=config.refresh)

    def _open_chain(self, folder: DataFolder, passphrase: str) -> EvmChain | None:
        chain = self.config.chain
        if not chain.url:
            return None
        rpc = connect(chain.url, timeout=chain.timeout)
        settings: dict[str, Any] = {
            "chain_id": chain.chain_id,
            "contract": chain.contract,
            "gas_price": chain.fixed_gas_price,
            "max_gas_price": chain.max_gas_price,
            "consortium": chain.consortium,
            "sender": self._account(Role.SENDER, passphrase),
        }
        if chain.kind == COMETBFT:
            trust = ChainTrust(read_pin(self.config.path(chain.trust)), folder.followed)
            comets = CometNodes(chain.comet.split(), trust, timeout=chain.timeout, still=chain.still)
            return CometChain(rpc, comets, chain.url.split(), **settings)
        return EvmChain(rpc, finality=Finality.parse(chain.finality), **settings)

    def _account(self, role: Role, passphrase: str) -> ChainSigner:
        account = open_account(self.config, role, passphrase)
        if isinstance(account, ExternalSigner):
            self._signers.append(account)
        return account

    async def _check_signers(self) -> None:
        """Refuse to start with an account that its signer does not hold; a signer that is down may come back."""
        for signer in self._signers:
            try:
                await asyncio.to_thread(signer.check)
            except SignerUnavailableError as error:
                log.warning("the external signer cannot be asked", extra={"error": error.explain()})

    def _chain_head(self, log_id: bytes) -> ChainHeads | None:
        assert self._chain is not None
        try:
            self._chain.check()
        except ContractMissingError as error:
            log.warning("the chain has lost the contract", extra={"error": error.explain()})
            return None
        head = self._chain.head(log_id)
        if not head.size:
            return None
        try:
            final = self._chain.final_head(log_id)
        except UnavailableError as error:  # a node of the chain that keeps no older state
            log.warning("the chain tells no final head", extra={"error": error.explain()})
            final = None
        known = None if final is None or not final.size else (final.size, final.root)
        return ChainHeads((head.size, head.root), known)

    def _anchor_worker(self, folder: DataFolder, passphrase: str) -> AnchorWorker | None:
        if self._chain is None:
            return None
        authoriser = self._account(Role.AUTHORISER, passphrase)
        reader = TileReader(folder.served)  # of its own: the worker runs in another thread
        return AnchorWorker(
            self._chain,
            Outbox(folder.outbox, self.log_id),
            log_id=self.log_id,
            newest=lambda: self.publisher.published if self.publisher.published.size else None,
            consistency=lambda old, new: consistency_proof(old, new, reader.nodes(new).get_node),
            authoriser=authoriser,
            interval=self.config.chain.interval,
            first_block=self.config.chain.first_block,
            redeploy=(lambda: self._deploy_again(authoriser, passphrase)) if self.config.chain.redeploy else None,
        )

    def _deploy_again(self, authoriser: ChainSigner, passphrase: str) -> EvmChain:
        """Deploy and register on a chain that lost the contract: only by the operator's explicit flag."""
        old, config = self._chain, self.config.chain
        assert old is not None
        assert old.sender is not None
        admin = load_key(self.config.path(config.admin), passphrase)
        deployer = Deployer(
            connect(config.url, timeout=config.timeout), as_chain_signer(admin),
            gas_price=config.fixed_gas_price, chain_id=config.chain_id,
        )  # fmt: skip
        found = deployer.establish(
            log=self.log_id,
            origin=self.origin,
            sender=old.sender.address,
            authoriser=authoriser.address,
        )
        log.warning("deployed again: set chain.contract", extra={"contract": found.contract, "block": found.block})
        return old.at(found.contract)
