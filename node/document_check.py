"""The node's own look at documents before admission: it may refuse, and grants no rights (DESIGN section 4).

A certification is admitted only when its document is here and agrees with the claims that its template maps. Other
documents may be put later or never; their digest is in the log either way.

Reading and parsing a document may take tens of milliseconds, so it is done beside the writer, before a statement's turn
has come (`examine`); when it has come, the template that was looked at must still be the one in force (`Fitness`).
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.credentials.mapping import check_mapping
from ledger.crypto.canonical import parse_json
from ledger.errors import LedgerError
from ledger.state.records import TemplateRecord
from ledger.state.view import View
from ledger.statements import Statement
from ledger.store.documents import DocumentFolder

Mapping = tuple[tuple[str, str], ...]


class Fitness(NamedTuple):
    """What was found out ahead: the template's mapping that was used, and what stands against the document, if any."""

    mapping: Mapping
    error: LedgerError | None


class DocumentCheck:
    """Looks at the documents of statements, in any thread."""

    def __init__(self, documents: DocumentFolder) -> None:
        self._documents = documents

    def mapping(self, statement: Statement, view: View) -> Mapping | None:
        """What the statement's document is to be compared by; None where there is nothing to compare."""
        if statement.type != "certification" or statement.digest is None:
            return None
        template = view.read(TemplateRecord, *statement.claims["template"].split("/", 1))
        return None if template is None else template.mapping

    def examine(self, statement: Statement, mapping: Mapping) -> Fitness:
        """Read the statement's document and compare it. Slow: for a thread beside the writer."""
        assert statement.digest is not None
        try:
            check_mapping(statement, mapping, parse_json(self._documents.get(statement.digest)))
        except LedgerError as error:
            return Fitness(mapping, error)
        return Fitness(mapping, None)

    def judge(self, statement: Statement, view: View, ahead: Fitness | None) -> LedgerError | None:
        """None where no document stands against admitting what the function would admit, else the reason."""
        mapping = self.mapping(statement, view)
        if mapping is None:
            return None
        if ahead is None or ahead.mapping != mapping:
            ahead = self.examine(statement, mapping)
        return ahead.error
