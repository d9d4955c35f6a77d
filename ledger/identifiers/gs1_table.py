"""The GS1 application identifiers (AIs): shape of the data, pairs required and forbidden, Digital Link keys.

Owns the facts of the GS1 General Specifications section 3 and the GS1 Digital Link standard section 4, as of the GS1
syntax dictionary of July 2026, in rows of our own: AIs with equal rules share a row. Code lists that change without us
(countries, currencies, packaging, coupons) are checked for shape only.

A row is `AIs|flags|data|needs|excludes|qualifiers`:
AIs: `11 15-6` is 11, 15, 16; `310m` is 3100 to 3105. Flags: f = predefined length, no separator after it; a = may be
an attribute of a Digital Link. Data: `n` digits, `x` set 82, `y` set 39, `z` base64url, the length or range of
lengths, then checks (ledger.identifiers.gs1_values); `[...]` optional. Needs: one of the groups must be present, `+`
joins a group, ITEM stands for the AIs that identify a trade item; `n` in an AI stands for any digit. Excludes: none
of them may be present; `=` is the AI's own family. Qualifiers: empty unless the AI is a primary key; `.` for a key
without qualifiers; `/` between alternative ordered lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_ITEM = "01,02,03,8006,8026"
_ROWS = """
00|fa|n18:mod10|||.
01|fa|n14:mod10||255,37|22,10,21/235
02|fa|n14:mod10|37|01,03|
03|f|n14:mod10||01,02,37,235|
10|a|x1-20|ITEM||
11 13 15-6|fa|n6:day0|ITEM||
12|fa|n6:day0|8020||
17|fa|n6:day0|01,02,03,255,8006,8026||
20|fa|n2|ITEM||
21||x1-20|01,03,8006|235|
22||x1-20|01||
235||x1-28|01||
240-1|a|x1-30|ITEM||
242|a|n1-6|01,02,8006,8026||
243|a|x1-20|01,03||
250|a|x1-30|01+21,03+21,8006+21||
251|a|x1-30|01,03,8006||
253|a|n13:mod10 [x1-17]|||.
254||x1-20|414||
255|a|n13:mod10 [n1-12]||01,02,415,8006,8020,8026|.
30|a|n1-8|01,02||
310m 311m 312m 313m 314m 315m 316m 320m 321m 322m 323m 324m 325m 326m|fa|n6|01,02|=|
327m 328m 329m 350m 351m 352m 356m 357m 360m 361m 364m 365m 366m|fa|n6|01,02|=|
330m 331m 332m 333m 334m 335m 336m 340m 341m 342m 343m 344m 345m|fa|n6|00,01|=|
346m 347m 348m 349m 353m 354m 355m 362m 363m 367m 368m 369m|fa|n6|00,01|=|
337m|fa|n6|01|=|
37|a|n1-8|00+02,00+8026||
3900-9|a|n1-15|255,8020|=,391n,394n,8111|
3910-9|a|n3 n1-15|8020|=|
3920-9|a|n1-15|01+30,01+31nn,01+32nn,01+35nn,01+36nn|=,393n|
3930-9|a|n3 n1-15|30,31nn,32nn,35nn,36nn|=|
3940-3|a|n4|255|=,8111|
395m|a|n6|30,31nn,32nn,35nn,36nn|392n,393n,=,8005|
400 90|a|x1-30|||
401|a|x1-30:gcp|||.
402|a|n17:mod10|||.
403 4308 4319|a|x1-30|00||
410-3 416|fa|n13:mod10|||
414|fa|n13:mod10|||254/7040
415|fa|n13:mod10|8020||8020
417|fa|n13:mod10|||7040
420|a|x1-20||421|
421|a|n3 x1-9||4307|
422|a|n3|ITEM|426|
423 425|a|n3 [n3] [n3] [n3] [n3]|01,02,03|426|
424|a|n3|01,02,03|426|
426|a|n3|01,02,03||
427|a|x1-3|01+422,02+422,03+422||
4300-1 4310-1 4320|a|x1-35:percent|00||
4302 4304-6 4312 4314-6|a|x1-70:percent|00||
4303|a|x1-70:percent|4302||
4307 4317|a|x2|00||
4309|a|n10:latitude n10:longitude|00||
4313|a|x1-70:percent|4312||
4318|a|x1-20|00||
4321-3|a|n1:yesno|00||
4324-5|a|n6:day0 n4:clock|00||
4326|a|n6:day|00||
4330|a|n6 [x1:hyphen]|00|4331|
4331|a|n6 [x1:hyphen]|00|4330|
4332|a|n6 [x1:hyphen]|00|4333|
4333|a|n6 [x1:hyphen]|00|4332|
7001|a|n13|01,02,8006,8026||
7002|a|x1-30|01,02||
7003|a|n6:day n4:clock|01,02,03||
7004|a|n1-4|01+10,03+10||
7005|a|x1-12|01,02||
7006|a|n6:day|01,02||
7007|a|n6:day [n6:day]|01,02||
7008|a|x1-3|01,02||
7009|a|x1-10|01,02||
7010|a|x1-2|01,02,03||
7011|a|n6:day [n4:clock]|01,02,03||
7020|a|x1-20|01+416,03+416,8006+416||
7021 8012|a|x1-20|01,03,8006||
7022|a|x1-20|01+7021,03+7021,8006+7021||
7023|a|x1-30:gcp|||
7030-9|a|n3 x1-27|01,02||
7040||n1 x1 x1 x1:importer|||
7041||x1-4|00||
710-7|a|x1-20|01||
7230-9|a|x2 x1-28|01,8004||
7240|a|x1-20|01,8006|03|
7241|a|n2:media|8017,8018||
7242|a|x1-25|8017,8018||
7250|a|n8:longday|8018|7251|
7251|a|n8:longday n4:clock|8018|7250|
7252|a|n1:sex|8018||
7253-4|a|x1-40:percent|8017,8018|7256,7259|
7255|a|x1-10|8017,8018|7256,7259|
7256|a|x1-90:percent|8017,8018||
7257|a|x1-70:percent|8018||
7258|a|x3:birth|8018+7259||
7259|a|x1-40:percent|8018|7256|
8001|a|n4:nonzero n5:nonzero n3:nonzero n1:winding n1|01||
8002|a|x1-20|||
8003|a|n1:zero n13:mod10 [x1-16]|||.
8004|a|x1-30:gcp|||7040
8005|a|n6|01,02||
8006|a|n14:mod10 n4:piece||01,03,37|22,10,21
8007|a|x1-34:iban|415||
8008|a|n6:day n2:hour [n2:sixty] [n2:sixty]|01,02,03||
8009|a|x1-50|00,01,03||
8010|a|y1-30:gcp|||8011
8011||n1-12:nozero|8010||
8013|a|x1-25:pair:gcp|||.
8014||x1-25:pair:gcp:letter|01||
8017|a|n18:mod10||8018|8019
8018|a|n18:mod10||8017|8019
8019||n1-10|8017,8018||
8020||x1-25|415||
8026|a|n14:mod10 n4:piece|37|02,03,8006|
8030|a|z1-90|00,01+21,03+21,253,255,8003,8004,8006+21,8010+8011,8017,8018||
8040||n15|01+21||
8041||n15|01+21+8040||
8042||n32|01+21+8040||
8043||n18 [n1-2]|01+21+8040||
8110 8112|a|x1-70|||
8111|a|n4|255||
8200||x1-70|01||
91-9|a|x1-90|||
"""
_PART = re.compile(r"(\[)?([nxyz])(1-)?([0-9]+)((?::[a-z0-9]+)*)\]?")


@dataclass(frozen=True, slots=True)
class Part:
    """One component of an AI's data: `kind` n, x, y or z, the bounds of its length, the names of its checks."""

    kind: str
    least: int
    most: int
    optional: bool
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is known of one AI. `qualifiers` is None unless the AI is a Digital Link primary key."""

    ai: str
    fixed: bool
    attribute: bool
    parts: tuple[Part, ...]
    needs: tuple[tuple[str, ...], ...]
    excludes: tuple[str, ...]
    qualifiers: tuple[tuple[str, ...], ...] | None

    @property
    def length(self) -> int:
        """The longest data, in characters."""
        return sum(part.most for part in self.parts)


def find_ai(text: str, start: int = 0) -> Rule | None:
    """Return the rule of the AI with which `text` begins at `start`; AIs are prefix-free."""
    for size in (2, 3, 4):
        rule = TABLE.get(text[start : start + size])
        if rule is not None:
            return rule
    return None


@cache
def pattern_matches(pattern: str, ai: str) -> bool:
    """Whether `ai` is meant by `pattern`, in which `n` stands for any digit."""
    return len(pattern) == len(ai) and all(p in {"n", c} for p, c in zip(pattern, ai, strict=True))


def _parts(text: str) -> tuple[Part, ...]:
    parts = []
    for optional, kind, ranged, most, checks in _PART.findall(text):
        names = tuple(checks.split(":")[1:])
        parts.append(Part(kind, 1 if ranged else int(most), int(most), bool(optional), names))
    return tuple(parts)


def _expand(cell: str) -> list[str]:
    found = []
    for item in cell.split():
        first, dash, last = item.partition("-")
        if item.endswith("m"):
            found += [item[:-1] + str(digit) for digit in range(6)]
        elif dash:
            found += [first[:-1] + str(digit) for digit in range(int(first[-1]), int(last) + 1)]
        else:
            found.append(item)
    return found


def _groups(cell: str, between: str, within: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group.split(within)) for group in cell.split(between)) if cell else ()


def _table() -> dict[str, Rule]:
    table = {}
    for row in _ROWS.split("\n")[1:-1]:
        ais, flags, data, needs, excludes, keys = row.split("|")
        parts = _parts(data)
        required = _groups(needs.replace("ITEM", _ITEM), ",", "+")
        qualifiers = None if not keys else () if keys == "." else _groups(keys, "/", ",")
        for ai in _expand(ais):
            family = tuple(f"{ai[:3]}n" if other == "=" else other for other in excludes.split(",") if other)
            table[ai] = Rule(ai, "f" in flags, "a" in flags, parts, required, family, qualifiers)
    return table


TABLE: dict[str, Rule] = _table()
KEYS: tuple[str, ...] = tuple(ai for ai, rule in TABLE.items() if rule.qualifiers is not None)
