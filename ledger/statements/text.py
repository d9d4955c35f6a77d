"""Which text may stand in a statement: NFC, nothing invisible that changes what a reader sees.

Owns one rule, for decoder and encoder alike (DESIGN rule 11: refuse, do not repair). Trusts the `unicodedata` of the
running interpreter for Unicode 14.0 only, the version that every supported Python has: characters assigned later are
refused by a fixed list, because a node and an auditor on different Python versions must agree on what is NFC.
"""

from __future__ import annotations

import re
import unicodedata

# Controls: C0, DEL and C1; line and paragraph separators; the marks, embeddings, overrides and isolates that reorder
# text on a screen (Unicode UAX 9); the byte order mark.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"

# Ranges assigned between Unicode 14.0 (Python 3.11) and 15.1 (Python 3.13).
_ASSIGNED_AFTER_14 = (
    (0xCF3, 0xCF3), (0xECE, 0xECE), (0x2FFC, 0x2FFF), (0x31EF, 0x31EF), (0x10EFD, 0x10EFF), (0x1123F, 0x11241),
    (0x11B00, 0x11B09), (0x11F00, 0x11F10), (0x11F12, 0x11F3A), (0x11F3E, 0x11F59), (0x1342F, 0x1342F),
    (0x13439, 0x13455), (0x1B132, 0x1B132), (0x1B155, 0x1B155), (0x1D2C0, 0x1D2D3), (0x1DF25, 0x1DF2A),
    (0x1E030, 0x1E06D), (0x1E08F, 0x1E08F), (0x1E4D0, 0x1E4F9), (0x1F6DC, 0x1F6DC), (0x1F774, 0x1F776),
    (0x1F77B, 0x1F77F), (0x1F7D9, 0x1F7D9), (0x1FA75, 0x1FA77), (0x1FA87, 0x1FA88), (0x1FAAD, 0x1FAAF),
    (0x1FABB, 0x1FABD), (0x1FABF, 0x1FABF), (0x1FACE, 0x1FACF), (0x1FADA, 0x1FADB), (0x1FAE8, 0x1FAE8),
    (0x1FAF7, 0x1FAF8), (0x2B739, 0x2B739), (0x2EBF0, 0x2EE5D), (0x31350, 0x323AF),
)  # fmt: skip

_control = re.compile(f"[{_CONTROLS}]").search
_too_new = re.compile("[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in _ASSIGNED_AFTER_14) + "]").search


def text_problem(text: str) -> str:
    """Say what is wrong with `text` as text of a statement; empty when nothing is."""
    if text.isascii() and text.isprintable():  # for ASCII, printable is exactly U+0020 to U+007E
        return ""
    found = _control(text)
    if found:
        return f"the text holds the control character U+{ord(found[0]):04X}"
    found = _too_new(text)
    if found:
        return f"the text holds U+{ord(found[0]):04X}, which Unicode 14.0 does not assign"
    for char in text:
        if unicodedata.category(char) in {"Cn", "Cs"}:
            return f"the text holds U+{ord(char):04X}, which is no assigned character"
    if not unicodedata.is_normalized("NFC", text):
        return "the text is not in Unicode normal form C"
    return ""
