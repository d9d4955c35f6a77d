"""What the enterprises' systems exported, read as `tial register --from … --map …` reads it.

Owns which files are played and how a row becomes an item or a certificate's document. The mapping from columns to
members stands beside each file, under examples/.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from api.acts import credential_subject, read_identifier
from api.cli.rows import BadRow, Columns, Reading, Source
from ledger.errors import MalformedError
from ledger.identifiers import Identifier, parse

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
ELECTRONICS: Final = "electronics/finished-goods"
BATTERY: Final = "battery/mes-traceability"
REQUESTS: Final = "certificates/requests.csv"
SHARE: Final = (3, 2)
"""Parts of the items that come from the electronics and from the battery line."""


@dataclass(frozen=True, slots=True)
class Item:
    """One product item: its identifier, and what the export says about it."""

    identifier: Identifier
    members: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """One row of the certificate requests; `credential` is the subject of the certificate to come."""

    credential: str
    applicant: str
    identifier: Identifier
    template: str
    product_class: str
    standard: str
    site: str
    report: str
    tested_on: str
    tests: tuple[Mapping[str, str], ...]
    conclusion: str
    months: int

    def members(self) -> dict[str, Any]:
        """What the certificate says beside its claims, shaped as a verifiable credential (VCDM 2.0). No floats."""
        return {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": ["VerifiableCredential", "ProductCertificate"],
            "credentialSubject": {
                "testReport": self.report,
                "testedOn": self.tested_on,
                "tests": [dict(test) for test in self.tests],
                "conclusion": self.conclusion,
            },
        }


def read_items(base: Path, most: int) -> list[Item]:
    """Read up to `most` rows of `base`.csv by the mapping in `base`.toml; MalformedError names a row that is wrong."""
    path = base.with_suffix(".csv")
    mapping = tomllib.loads(base.with_suffix(".toml").read_text(encoding="utf-8"))
    columns = Columns(
        members=mapping["map"], templates=tuple(mapping["identifier"]), known=frozenset({"identifier"}),
        only_mapped=mapping["only_mapped"],
    )  # fmt: skip
    source = Source(path, Reading(encoding=mapping["encoding"]))
    columns.check(source.header, path)
    items = []
    for row in islice(source.rows(), most):
        if isinstance(row, BadRow):
            raise MalformedError(row.detail, where=f"{path} row {row.number}")
        taken, document = columns.split(row.values)
        items.append(Item(read_identifier(taken["identifier"]), document))
    return items


def read_requests(path: Path) -> list[CertificateRequest]:
    """Read the certificate requests; MalformedError names the row that is wrong."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = []
    for number, row in enumerate(rows, 2):
        try:
            found.append(_request(row))
        except MalformedError as error:
            raise MalformedError(error.explain(), where=f"{path} line {number}") from error
        except (KeyError, ValueError) as error:
            raise MalformedError(f"A column or number is missing: {error}", where=f"{path} line {number}") from error
    return found


def _request(row: Mapping[str, str]) -> CertificateRequest:
    return CertificateRequest(
        credential=credential_subject(row["request_no"]),
        applicant=row["applicant"],
        identifier=parse(row["scheme"], row["identifier"]),
        template=row["template"],
        product_class=row["class"],
        standard=row["standard"],
        site=row["site"],
        report=row["report_no"],
        tested_on=row["tested_on"],
        tests=tuple({"name": row[f"test_{n}"], "value": row[f"value_{n}"], "unit": row[f"unit_{n}"]} for n in (1, 2)),
        conclusion=row["conclusion"],
        months=int(row["valid_months"]),
    )
