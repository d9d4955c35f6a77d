"""The example files are what their script makes, and hold what the demonstration says they hold."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path

import pytest

from api.demo.lines import BATTERY, ELECTRONICS, EXAMPLES, REQUESTS, read_items, read_requests
from ledger.errors import MalformedError
from ledger.identifiers import parse_subject, subject


def made() -> dict[str, bytes]:
    spec = importlib.util.spec_from_file_location("examples_make", EXAMPLES / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    files: dict[str, bytes] = module.files()
    return files


def test_making_the_examples_again_gives_the_same_bytes():
    files = made()
    assert set(files) == {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.csv")}
    for name, content in files.items():
        assert (EXAMPLES / name).read_bytes() == content, name


def test_the_examples_stay_small():
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*") if path.is_file()) < 1 << 20


def test_every_row_is_an_item_with_a_valid_identifier_and_none_comes_twice():
    items = read_items(EXAMPLES / ELECTRONICS, 9999) + read_items(EXAMPLES / BATTERY, 9999)
    names = [subject(item.identifier) for item in items]
    assert len(set(names)) == len(names) == 5000
    assert {parse_subject(name).scheme for name in names} == {"gs1", "vaa", "battery"}
    for prefix in ("gs1:01/06901234", "vaa:88.118.8/", "vaa:88.118.21/", "battery:08E"):
        assert sum(name.startswith(prefix) for name in names) > 300, prefix


def test_what_an_enterprise_keeps_to_itself_is_in_no_document():
    source = EXAMPLES / f"{ELECTRONICS}.csv"
    with source.open(encoding="utf-8-sig", newline="") as stream:
        orders = {row["客户订单"] for row in csv.DictReader(stream)}
    for item in read_items(EXAMPLES / ELECTRONICS, 200):
        assert not orders & set(item.members.values())


def test_requests_are_about_items_one_in_ten_of_any_beginning():
    requests = read_requests(EXAMPLES / REQUESTS)
    assert len(requests) == len({request.credential for request in requests}) == 500
    for items in (200, 5000):
        electronics = read_items(EXAMPLES / ELECTRONICS, items * 3 // 5)
        battery = read_items(EXAMPLES / BATTERY, items * 2 // 5)
        taken = {subject(item.identifier) for item in electronics + battery}
        assert sum(subject(request.identifier) in taken for request in requests) == items // 10


def test_a_request_with_a_wrong_check_digit_is_refused_with_its_line(tmp_path: Path):
    text = (EXAMPLES / REQUESTS).read_text(encoding="utf-8")
    assert text.count("(01)06901234000016(21)EA25060200021") == 1
    broken = tmp_path / "requests.csv"
    broken.write_text(text.replace("(01)06901234000016(21)EA25060200021", "(01)06901234000017(21)EA25060200021"))
    with pytest.raises(MalformedError) as refused:
        read_requests(broken)
    assert refused.value.where.endswith("line 4")
