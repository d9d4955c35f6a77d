from __future__ import annotations

import pytest

from api.http import limits
from api.http.limits import Operator, RateLimiter, hex_digest, plain_number
from api.http.problems import RateError
from ledger.errors import MalformedError
from node.config import Config, ConfigError, HttpConfig


def test_a_client_gets_its_burst_and_then_has_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: clock[0])
    limiter = RateLimiter(rate=2.0, burst=3)
    for _ in range(3):
        limiter.take("a")
    with pytest.raises(RateError) as refused:
        limiter.take("a")
    assert refused.value.wait == 1
    limiter.take("b")
    clock[0] += 0.5
    limiter.take("a")
    with pytest.raises(RateError):
        limiter.take("a")


def test_rate_zero_is_no_limit() -> None:
    limiter = RateLimiter(rate=0, burst=1)
    for _ in range(1000):
        limiter.take("a")


def test_remembered_clients_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CLIENTS", 10)
    limiter = RateLimiter(rate=1, burst=5)
    for number in range(100):
        limiter.take(str(number))
    assert len(limiter._buckets) == 10


@pytest.mark.parametrize("text", ["", "-1", "01", "1.0", "１", "0x1", "1e3", " 1", str(2**64), "9" * 40])
def test_numbers_have_one_form(text: str) -> None:
    with pytest.raises(MalformedError):
        plain_number(text, "index")


@pytest.mark.parametrize("text", ["", "AB" * 32, "ab" * 31, "ab" * 33, "zz" * 32])
def test_digests_have_one_form(text: str) -> None:
    with pytest.raises(MalformedError):
        hex_digest(text, "digest")


def test_a_short_or_missing_operator_token_is_refused(tmp_path) -> None:
    config = Config(base=tmp_path, http=HttpConfig(operator_token_file="token"))
    with pytest.raises(ConfigError):
        Operator.from_config(config)
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text("short")
    with pytest.raises(ConfigError, match="shorter"):
        Operator.from_config(config)
    (tmp_path / "token").write_text("long enough for an operator")
    Operator.from_config(config)
    (tmp_path / "token").chmod(0o640)
    with pytest.raises(ConfigError, match="read by others"):
        Operator.from_config(config)
