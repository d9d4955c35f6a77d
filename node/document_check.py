"""The node's own look at documents before admission: it may refuse, and grants no rights (DESIGN section 4).

A certification is admitted only when its document is here and agrees with the claims that its template maps. Other
documents may be put later or never; their digest is in the log either way.
"""

from __future__ import annotations

from ledger.credentials.mapping import check_mapping
from ledger.crypto.canonical import parse_json
from ledger.errors import LedgerError
from ledger.state.records import TemplateRecord
from ledger.state.view import View
from ledger.statements import Statement
from ledger.store.documents import DocumentFolder


class DocumentCheck:
    """Callable that the sequencer asks about every decoded statement."""

    def __init__(self, documents: DocumentFolder, view: View) -> None:
        self._documents = documents
        self._view = view

    def __call__(self, statement: Statement) -> LedgerError | None:
        """None where the documents do not stand against admission, else the reason."""
        if statement.type != "certification" or statement.digest is None:
            return None
        template = self._view.read(TemplateRecord, *statement.claims["template"].split("/", 1))
        if template is None:
            return None  # the transition function will say so by its own name
        try:
            check_mapping(statement, template.mapping, parse_json(self._documents.get(statement.digest)))
        except LedgerError as error:
            return error
        return None
