"""A memory's content in the form in which it is stored, and the hash by which equal contents are found."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from native_routes.javascript.lower_case import lower_case
from native_routes.javascript.primitives import WHITE_SPACE, trim

# Runs of white space, but for a single space, which stays.
_BLANKS: Final = re.compile(f" [{WHITE_SPACE}]+|[{WHITE_SPACE.replace(' ', '')}][{WHITE_SPACE}]*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
TRAILING_PUNCTUATION: Final = ".,!?;:"


@dataclass(frozen=True, slots=True)
class NormalContent:
    """`storage` is "" for nothing but white space. Lone surrogates stay in the texts as they are."""

    storage: str
    normalized: str  # never empty unless `storage` is
    hash: str  # SHA-256 of `normalized`, 64 hexadecimal digits


def normalize(content: str) -> NormalContent:
    """Contents that differ in white space, case or trailing punctuation have one hash.

    Legacy: normalizeAndHashContent. Content of nothing but such punctuation is hashed with it.
    """
    storage = _BLANKS.sub(" ", trim(content))
    lower = lower_case(storage)
    normalized = trim(lower.rstrip(TRAILING_PUNCTUATION)) or lower
    return NormalContent(storage, normalized, hash_of(normalized))


def hash_of(text: str) -> str:
    """SHA-256 of the text in UTF-8, each lone surrogate as U+FFFD."""
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        octets = _SURROGATE.sub("\ufffd", text).encode()
    return hashlib.sha256(octets).hexdigest()
