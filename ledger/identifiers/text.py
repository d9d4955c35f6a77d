"""Text of identifiers: what may stand in one, how an error points at a character, percent-encoding for subjects.

Owns the rules that hold for every scheme: bounded length, Unicode normal form C, nothing invisible, no full-width
letters or digits, one repertoire of characters for ever. The repertoire is Unicode 3.2, whose data every Python carries
as `unicodedata.ucd_3_2_0`, and the Chinese ideographs added up to Unicode 14: a node and an auditor with different
Python versions must agree on each text. Percent-encoding follows RFC 3986 sections 2.1 and 3.3, in exactly one form.
"""

from __future__ import annotations

import re
import unicodedata
from typing import ClassVar

from ledger.errors import MalformedError

MAX_INPUT = 4096  # characters that any parser looks at; a Digital Link with its query fits
MAX_NORMAL = 512  # bytes of UTF-8 in a normal form
SHOWN = 48  # characters of the input that an error repeats

_IDEOGRAPHS = (
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B738), (0x2B740, 0x2B81D),
    (0x2B820, 0x2CEA1), (0x2CEB0, 0x2EBE0), (0x30000, 0x3134A),
)  # fmt: skip
# Letters and marks that are drawn as nothing: Hangul and Khmer fillers, joiners, variation selectors.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_PLAIN = re.compile(r"[!-~](?:[ -~]*[!-~])?").fullmatch
_PATH = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/]*").fullmatch
_escaped_run = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-F]{2})*").match
_PERCENT = re.compile(r"%([0-9A-F]{2})")
_ENCODED = [chr(b) if _PATH(chr(b)) else f"%{b:02X}" for b in range(256)]


class IdentifierError(MalformedError):
    """A text that is no identifier of the scheme asked for. `position` counts characters from 1; 0 means the whole."""

    code: ClassVar[str] = "malformed-identifier"

    def __init__(self, detail: str, *, where: str = "", remedy: str = "", position: int = 0) -> None:
        super().__init__(detail, where=where or (f"character {position}" if position else ""), remedy=remedy)
        self.position = position


def show(text: str) -> str:
    """Quote `text` for an error: bounded, and with everything invisible escaped."""
    return ascii(text) if len(text) <= SHOWN else ascii(text[:SHOWN]) + "..."


def describe(char: str) -> str:
    """Name a character for a person: as itself when it prints in ASCII, else by code point and name."""
    if "!" <= char <= "~":
        return f"'{char}'"
    return f"U+{ord(char):04X} {unicodedata.name(char, 'without a name')}"


def wrong_character(title: str, text: str, index: int, expected: str, remedy: str = "") -> IdentifierError:
    """Build the error for the character at `index` (from 0), or for a text that ends there."""
    if index >= len(text):
        detail = f"{title}: {show(text)} ends after {len(text)} characters; expected {expected}"
    else:
        detail = f"{title}: character {index + 1} of {show(text)} is {describe(text[index])}; expected {expected}"
    return IdentifierError(detail, position=index + 1, remedy=remedy)


def check_text(title: str, text: str, limit: int = MAX_INPUT) -> None:
    """Refuse text that no identifier may hold. `limit`: most bytes of UTF-8."""
    if len(text) <= limit and _PLAIN(text):
        return
    if not text:
        raise IdentifierError(f"{title}: the text is empty", remedy="Give the identifier")
    if len(text) > limit or (not text.isascii() and len(text.encode("utf-8", "surrogatepass")) > limit):
        raise IdentifierError(
            f"{title}: the text has {len(text)} characters, more than {limit} bytes",
            remedy=f"Shorten it to at most {limit} bytes of UTF-8",
        )
    for index, char in enumerate(text):
        problem, remedy = _character_problem(char)
        if problem:
            raise IdentifierError(
                f"{title}: character {index + 1} of {show(text)} is {describe(char)}, {problem}",
                position=index + 1,
                remedy=remedy,
            )
    if text[0] == " " or text[-1] == " ":
        place = 1 if text[0] == " " else len(text)
        raise IdentifierError(
            f"{title}: {show(text)} has a space at its end", position=place, remedy="Remove spaces before and after"
        )
    if not unicodedata.is_normalized("NFC", text):
        composed = unicodedata.normalize("NFC", text)
        index = next((i for i, (a, b) in enumerate(zip(text, composed, strict=False)) if a != b), len(composed))
        raise IdentifierError(
            f"{title}: {show(text)} is not in Unicode normal form C from character {index + 1} on",
            position=index + 1,
            remedy="Normalise the text to NFC where it is made",
        )


def _character_problem(char: str) -> tuple[str, str]:
    """Say what is wrong with one character, and the remedy; two empty texts when nothing is."""
    if " " <= char <= "~":
        return "", ""
    code = ord(char)
    category = unicodedata.ucd_3_2_0.category(char)
    if 0xFF10 <= code <= 0xFF19 or 0xFF21 <= code <= 0xFF3A or 0xFF41 <= code <= 0xFF5A:
        return "a full-width form, which is never folded", f"Type the ordinary '{chr(code - 0xFEE0)}'"
    if category == "Cc":
        return "a control character", "Remove it"
    if category in {"Cf", "Zl", "Zp"} or _INVISIBLE.match(char):
        return "invisible, or reorders what a reader sees", "Remove it"
    if category == "Zs":
        return "a space that looks like another", "Use the ordinary space U+0020"
    if category == "Cs":
        return "half of a surrogate pair", "Encode the text correctly"
    if category == "Co":
        return "a private character without a common meaning", "Remove it"
    if category == "Cn" and not any(low <= code <= high for low, high in _IDEOGRAPHS):
        return "outside the fixed repertoire (Unicode 3.2 and the Chinese ideographs)", "Use another character"
    return "", ""


def check_fixed(
    title: str, text: str, length: int, alphabet: frozenset[str], meaning: str, *, remedy: str = ""
) -> None:
    """Refuse `text` unless it has exactly `length` characters, all of `alphabet` (described by `meaning`)."""
    for index, char in enumerate(text):
        if char not in alphabet:
            raise wrong_character(title, text, index, meaning, remedy)
    if len(text) != length:
        raise IdentifierError(
            f"{title}: {show(text)} has {len(text)} characters; expected {length}",
            position=min(len(text), length) + 1,
            remedy=remedy or f"Give all {length} characters, without separators",
        )


def escape(text: str) -> str:
    """Percent-encode `text` for a subject: path characters of RFC 3986 and '/' stay, every other byte is %XX."""
    if _PATH(text):
        return text
    return "".join([_ENCODED[byte] for byte in text.encode()])


def unescape(text: str) -> str:
    """Undo `escape`; refuse any text that `escape` does not make."""
    if _PATH(text):
        return text
    run = _escaped_run(text)
    end = run.end() if run else 0
    if end < len(text):
        raise wrong_character(
            "percent-encoding",
            text,
            end,
            "a path character of RFC 3986, or % and two upper-case hexadecimal digits",
            "Percent-encode the UTF-8 bytes of this character",
        )
    plain = decode_percent(text)
    if escape(plain) != text:
        raise IdentifierError(
            f"percent-encoding: {show(text)} encodes characters that stand for themselves",
            remedy=f"Write {show(escape(plain))}",
        )
    return plain


def decode_percent(text: str) -> str:
    """Decode well-formed escapes in ASCII text; IdentifierError when their bytes are not UTF-8."""
    raw = _PERCENT.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise IdentifierError(
            f"percent-encoding: the bytes of {show(text)} are not UTF-8 from byte {error.start + 1} on",
            remedy="Percent-encode the UTF-8 form of the text",
        ) from error
