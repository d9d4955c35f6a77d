"""The published GS1 cases, and our table of application identifiers against the GS1 syntax dictionary."""

from __future__ import annotations

import json
import re

import pytest

from ledger.identifiers import IdentifierError
from ledger.identifiers.gs1_digital_link import build_uri, parse_uri
from ledger.identifiers.gs1_elements import format_scanned, parse_bracketed, parse_scanned
from ledger.identifiers.gs1_table import TABLE

# Options of the engine the cases were taken from that we do not have: words for AIs in paths, which the standard has
# withdrawn, and unknown AIs. A case that such an option makes valid cannot run; one that stays invalid does.
ABSENT = {"PermitConvenienceAlphas", "PermitUnknownAIs"}
CASES = {  # file: cases, of which left out
    "parse_dl_uri.json": (118, 4),
    "generate_dl_uri.json": (22, 1),
    "parse_ai_bracketed.json": (27, 0),
    "process_ai_unbracketed.json": (79, 0),
}


def _answer(name, case):
    options = case.get("options", {})
    if name == "parse_dl_uri.json":
        link = parse_uri(case["uri"], zero_suppressed=options.get("PermitZeroSuppressedGTINinDLuris", False))
        return format_scanned(link.elements), case["ai_string"]
    if name == "generate_dl_uri.json":
        elements = parse_bracketed(case["bracketed"])
        return build_uri(elements) if case["stem"] is None else build_uri(elements, case["stem"]), case["uri"]
    if name == "parse_ai_bracketed.json":
        return format_scanned(parse_bracketed(case["bracketed"])), case["ai_string"]
    return bool(parse_scanned(case["unbracketed"])), True


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_published_cases_pass(vectors, name):
    cases = json.loads((vectors("gs1-digital-link") / name).read_text())
    left_out = 0
    for case in cases:
        if case["valid"] and ABSENT & {option for option, value in case.get("options", {}).items() if value}:
            left_out += 1
            continue
        if case["valid"]:
            answer, expected = _answer(name, case)
            assert answer == expected, case
        else:
            with pytest.raises(IdentifierError):
                _answer(name, case)
    assert (len(cases), left_out) == CASES[name]


CHECKS = {
    "csum": "mod10", "csumalpha": "pair", "gcppos1": "gcp", "yymmd0": "day0", "yymmdd": "day", "yyyymmdd": "longday",
    "hhmi": "clock", "hh": "hour", "mi": "sixty", "ss": "sixty", "iso5218": "sex", "pcenc": "percent",
    "latitude": "latitude", "longitude": "longitude", "yesno": "yesno", "hyphen": "hyphen", "mediatype": "media",
    "posinseqslash": "birth", "nonzero": "nonzero", "winding": "winding", "zero": "zero", "pieceoftotal": "piece",
    "iban": "iban", "nozeroprefix": "nozero", "hasnondigit": "letter", "importeridx": "importer",
}  # fmt: skip
SHAPE_ONLY = {  # code lists that change, and company prefixes inside data that is digits anyway
    "iso3166", "iso3166999", "iso3166alpha2", "iso4217", "packagetype", "couponcode", "couponposoffer", "gcppos2",
}  # fmt: skip
COMPONENT = re.compile(r"(\[?)([NXYZ])(\.\.)?(\d+)\]?((?:,\w+)*)")


def _dictionary_rules(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line[:1].isdigit():
            continue
        ais, *words = re.split(r"\s#", line)[0].split()
        flags = "" if COMPONENT.fullmatch(words[0]) else words.pop(0)
        parts, attributes = [], {"req": "", "ex": "", "dlpkey": None}
        for word in words:
            found = COMPONENT.fullmatch(word)
            if found is None:
                name, _, value = word.partition("=")
                attributes[name] = value
                continue
            optional, kind, ranged, most, checks = found.groups()
            names = [check for check in checks.split(",") if check and check not in SHAPE_ONLY]
            names = tuple(CHECKS[check] for check in names if kind != "N" or check != "gcppos1")
            parts.append((kind.lower(), 1 if ranged else int(most), int(most), bool(optional), names))
        first, _, last = ais.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first)), flags, tuple(parts), attributes


def _groups(text, between, within):
    return {tuple(group.split(within)) for group in text.split(between)} if text else set()


def test_the_table_agrees_with_the_syntax_dictionary(vectors):
    seen = set()
    for ai, flags, parts, attributes in _dictionary_rules(vectors("gs1-digital-link") / "gs1-syntax-dictionary.txt"):
        rule = TABLE[ai]
        seen.add(ai)
        assert rule.fixed == ("*" in flags), ai
        assert rule.attribute == ("?" in flags), ai
        assert tuple((p.kind, p.least, p.most, p.optional, p.checks) for p in rule.parts) == parts, ai
        assert set(rule.needs) == _groups(attributes["req"], ",", "+"), ai
        assert set(rule.excludes) == set(filter(None, attributes["ex"].split(","))), ai
        keys = attributes["dlpkey"]
        lists = None if keys is None else tuple(tuple(names.split(",")) for names in keys.split("|") if names)
        assert rule.qualifiers == lists, ai
    assert seen == set(TABLE)
