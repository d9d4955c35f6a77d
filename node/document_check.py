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
    """Callable that admission asks about every statement that the function allows."""

    def __init__(self, documents: DocumentFolder) -> None:
        self._documents = documents

    def __call__(self, statement: Statement, view: View) -> LedgerError | None:
        """None where the documents do not stand against admitting what the function would admit, else the reason."""
        if statement.type != "certification" or statement.digest is None:
            return None
        template = view.read(TemplateRecord, *statement.claims["template"].split("/", 1))
        assert template is not None, "the function admits no certification without its template"
        try:
            check_mapping(statement, template.mapping, parse_json(self._documents.get(statement.digest)))
        except LedgerError as error:
            return error
        return None
