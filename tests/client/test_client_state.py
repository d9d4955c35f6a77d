"""State proofs from a real node: what it proves is checked by the client, and nothing else is taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from api.answers import ApiError
from api.cli.main import assemble
from api.client import Client
from api.state import check_state, state_key
from ledger.errors import MalformedError
from ledger.state.records import decode_record
from ledger.statements import decode_statement
from tests.running import Acts, Running, make_log, running
from tests.world import Party

SUBJECT, ABSENT = "vaa:88.118.8/ONE", "vaa:88.118.8/NEVER"


class Town:
    """A node, a registrar with a registered identifier, and a client."""

    def __init__(self, node: Running, acts: Acts, registrar: Party, client: Client) -> None:
        self.node, self.acts, self.registrar, self.client = node, acts, registrar, client

    def settled(self) -> int:
        """Wait until everything durable is published; returns the size."""
        while (info := self.client.log()).published < info.size:
            time.sleep(0.05)
        return info.published


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    config, acts = make_log(tmp_path_factory.mktemp("state"))
    registrar = Party("registrar")
    with running(config) as node, Client(node.url) as client:
        acts.enrol(registrar, "registrar")
        node.admit(*acts.take())
        acts.delegate(registrar, "vaa/88.118.8")
        node.admit(*acts.take())
        node.admit(acts.registration(registrar, SUBJECT, "vaa/88.118.8"))
        made = Town(node, acts, registrar, client)
        made.settled()
        yield made


def test_presence_and_absence_lead_to_the_published_checkpoint(town: Town) -> None:
    size = town.settled()
    keys = [state_key(SUBJECT), state_key(ABSENT), state_key(town.registrar.did)]
    answer = town.client.state_proof([SUBJECT, ABSENT, town.registrar.did])
    manifest = town.client.entry(answer.manifest)
    checkpoint = check_state(town.client.log(), manifest, answer, keys)
    assert checkpoint.size == size == answer.manifest + 1
    raw = answer.claims[keys[0]]
    assert raw is not None
    assert decode_record("identifier", raw).holder == town.registrar.did
    assert answer.claims[keys[1]] is None
    assert town.client.state_proof(keys=keys) == answer


def test_what_does_not_fit_is_refused(town: Town) -> None:
    town.settled()
    info, keys = town.client.log(), [state_key(SUBJECT)]
    answer = town.client.state_proof([SUBJECT])
    manifest = town.client.entry(answer.manifest)
    other = town.client.entry(1)
    for changed in (
        replace(answer, claims={keys[0]: None}),
        replace(answer, claims={keys[0]: b"\x80"}),
        replace(answer, claims={}),
        replace(answer, root=bytes(32)),
        replace(answer, batch=answer.batch + 1),
        replace(answer, size=answer.size - 1),
        replace(answer, inclusion=answer.inclusion[1:]),
        replace(answer, proof=replace(answer.proof, siblings=answer.proof.siblings[1:])),
    ):
        with pytest.raises(MalformedError):
            check_state(info, manifest, changed, keys)
    with pytest.raises(MalformedError):
        check_state(info, other, answer, keys)
    with pytest.raises(MalformedError):
        check_state(info, manifest, answer, [state_key(ABSENT)])


def test_an_older_batch_proves_the_record_as_of_then(town: Town) -> None:
    town.settled()
    subject = "vaa:88.118.8/MOVED"
    before = town.client.state_proof([subject])
    town.node.admit(town.acts.registration(town.registrar, subject, "vaa/88.118.8"))
    town.settled()
    then = town.client.state_proof([subject])
    holder = Party("holder")
    town.acts.enrol(holder)
    town.node.admit(*town.acts.take())
    town.node.admit(town.acts.transfer(town.registrar, subject, holder, seq=1))
    town.settled()
    key, info = state_key(subject), town.client.log()
    for batch, holding in ((before.batch, None), (then.batch, town.registrar.did), (None, holder.did)):
        answer = town.client.state_proof([subject], batch=batch)
        check_state(info, town.client.entry(answer.manifest), answer, [key])
        raw = answer.claims[key]
        assert (None if raw is None else decode_record("identifier", raw).holder) == holding
    with pytest.raises(ApiError, match="by its subject") as caught:
        town.client.state_proof(keys=[key], batch=then.batch)
    assert (caught.value.code, caught.value.status) == ("not-retained", 404)


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({}, 400, "malformed"),
        ({"key": "00"}, 400, "malformed"),
        ({"key": "AB" * 32}, 400, "malformed"),
        ({"subject": "nonsense"}, 400, "malformed"),
        ({"key": ["00" * 32] * 65}, 400, "malformed"),
        ({"subject": SUBJECT, "batch": "0"}, 404, "not-retained"),
        ({"subject": SUBJECT, "batch": "999999"}, 404, "not-retained"),
        ({"subject": SUBJECT, "batch": "-1"}, 400, "malformed"),
        ({"subject": "batch:1"}, 404, "not-found"),
    ],
)
def test_what_cannot_be_proven_is_said_clearly(town: Town, params: dict[str, object], status: int, code: str) -> None:
    found = town.node.client.get("/v1/proofs/state", params=params)
    assert (found.status_code, found.json()["code"]) == (status, code)


def test_every_manifest_says_since_when_its_log_time_held(town: Town) -> None:
    size, last = town.settled(), None
    for index in range(1, size):
        st = decode_statement(town.client.entry(index))
        if st.type == "manifest":
            began = decode_statement(town.client.entry(0)).iat if last is None else last
            assert st.body["began"] == began
            last = st.iat


def test_the_command_checks_what_it_shows(town: Town) -> None:
    town.settled()
    found = CliRunner().invoke(assemble(), ["proof", "state", SUBJECT, "--url", town.node.url])
    assert found.exit_code == 0, found.output
    assert "checked" in found.output
    found = CliRunner().invoke(assemble(), ["proof", "state", ABSENT, "--json", "--url", town.node.url])
    assert found.exit_code == 0, found.output
    assert '"present":false' in found.output.replace(" ", "")
