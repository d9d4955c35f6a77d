"""C2SP tlog-policy files: strict parsing, quorums, and quorums that cannot be split."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.log.notes import COSIGNATURE, ED25519, Vkey
from ledger.log.policy import MAX_LINES_OF_A_KIND, MAX_POLICY, TlogPolicy
from tests.world import key

LOG = Vkey("example.org/log", ED25519, key("a log").public_key)


def witness(n: int, name: str = "") -> Vkey:
    return Vkey(name or f"witness.example/{n}", COSIGNATURE, key(f"witness {n}").public_key)


def lines(count: int) -> str:
    return "".join(f"witness W{n} {witness(n).format()}\n" for n in range(count))


def policy(text: str) -> TlogPolicy:
    return TlogPolicy.parse(text.encode())


def test_the_specifications_example_is_read_and_evaluated():
    text = (
        f"log {LOG.format()}\n\n# X\n{lines(6)}"
        "group X-witnesses 2 W0 W1 W2\n\t group  Y-witnesses\tany W3 W4 W5 \n"
        "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    )
    read = policy(text)
    assert [log.vkey for log in read.logs] == [LOG]
    for size in range(7):
        for some in combinations(range(6), size):
            wanted = len({0, 1, 2} & set(some)) >= 2 and bool({3, 4, 5} & set(some))
            assert read.satisfied([witness(n) for n in some]) == wanted
    assert not read.splittable  # any two quorums share one of W0 to W2
    read.require_strong()


def test_urls_are_kept_and_names_are_opaque():
    raw = b"log " + LOG.format().encode() + b" https://log.example/\nwitness \xff\xe2\x84\xaa "
    raw += witness(0).format().encode() + b" https://w.example/x\nwitness K " + witness(1).format().encode()
    read = TlogPolicy.parse(raw + b"\nquorum \xff\xe2\x84\xaa\n")
    assert read.logs[0].url == "https://log.example/"
    assert (read.witnesses[0].url, read.witnesses[1].url) == ("https://w.example/x", "")
    assert read.satisfied([witness(0)])
    assert not read.satisfied([witness(1)])


def test_the_quorum_none_is_met_and_never_strong():
    read = policy("quorum none\n")
    assert read.satisfied([])
    assert read.quorum_time({}) is None
    with pytest.raises(MalformedError, match="common"):
        read.require_strong()


@pytest.mark.parametrize(
    "text",
    [
        "", "quorum none", "quorum none\nquorum none\n", "quorum W9\n", "quorum\n", "quorum a b\n",
        "witness W0\nquorum none\n", f"witness none {witness(0).format()}\nquorum none\n",
        f"witness A {witness(0).format()}\nwitness A {witness(1).format()}\nquorum none\n",
        f"witness A {witness(0).format()}\nwitness B {witness(0, 'other').format()}\nquorum none\n",
        f"witness A {LOG.format()}\nquorum none\n", f"log {witness(0).format()}\nquorum none\n",
        f"log {LOG.format()}\nlog {LOG.format()}\nquorum none\n", f"log {LOG.format()} a b\nquorum none\n",
        f"witness A {witness(0).format()[:-4]}AAA=\nquorum none\n",
        lines(2) + "group G 0 W0 W1\nquorum G\n", lines(2) + "group G 3 W0 W1\nquorum G\n",
        lines(2) + "group G 01 W0 W1\nquorum G\n", lines(2) + "group G ١ W0 W1\nquorum G\n",
        lines(2) + "group G 1\nquorum G\n", lines(2) + "group G 1 W0 W0\nquorum G\n",
        lines(2) + "group G 1 W0\ngroup H 1 W0 W1\nquorum H\n", lines(2) + "group G 1 G\nquorum G\n",
        lines(2) + "group G 1 none\nquorum G\n", lines(2) + "group W0 1 W1\nquorum W0\n",
        "group G all W0\n" + lines(1) + "quorum G\n", "Quorum none\n", "quorum none\r\n", "quorum none\x00\n",
        "quorum\x0bnone\n", "quorum none # no comments here\n", "#\n" * MAX_POLICY,
        lines(MAX_LINES_OF_A_KIND + 1) + "quorum none\n",
    ],
)  # fmt: skip
def test_whatever_is_not_a_policy_is_refused(text: str):
    with pytest.raises(MalformedError):
        policy(text)


def test_an_error_names_its_line():
    with pytest.raises(MalformedError) as caught:
        policy(f"# a comment\n{lines(1)}group G 2 W0\nquorum G\n")
    assert caught.value.where == "line 3"


@pytest.mark.parametrize(("threshold", "count", "strong"), [(1, 1, True), (1, 2, False), (2, 3, True), (2, 4, False)])
def test_half_or_less_is_not_strong(threshold: int, count: int, strong: bool):
    names = " ".join(f"W{n}" for n in range(count))
    read = policy(lines(count) + f"group G {threshold} {names}\nquorum G\n")
    assert read.splittable is not strong


@st.composite
def policies(draw: st.DrawFn) -> TlogPolicy:
    """Random nestings of up to six witnesses."""
    text = lines(6)
    free = [f"W{n}" for n in range(6)]
    for number in range(draw(st.integers(1, 4))):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        free = [name for name in free if name not in members] + [f"G{number}"]
        text += f"group G{number} {draw(st.integers(1, len(members)))} {' '.join(members)}\n"
    return policy(text + f"quorum {draw(st.sampled_from(free))}\n")


@given(policies())
@settings(max_examples=80, deadline=None)
def test_splittable_means_that_two_disjoint_quorums_exist(read: TlogPolicy):
    everyone = set(range(6))
    met = {
        frozenset(some)
        for size in range(7)
        for some in combinations(range(6), size)
        if read.satisfied([witness(n) for n in some])
    }
    assert read.splittable == any(frozenset(everyone - some) in met for some in met)


@given(policies(), st.lists(st.integers(0, 50), min_size=6, max_size=6))
@settings(max_examples=80, deadline=None)
def test_the_quorum_time_is_the_newest_that_a_quorum_reaches(read: TlogPolicy, times: list[int]):
    held = {witness(n): time for n, time in enumerate(times)}
    reached = [at for at in times if read.satisfied([vkey for vkey, time in held.items() if time >= at])]
    assert read.quorum_time(held) == max(reached, default=None)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes):
    try:
        TlogPolicy.parse(data)
    except MalformedError:
        return
