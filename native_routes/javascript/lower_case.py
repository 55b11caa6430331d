"""Lower case as JavaScript has it, whatever Unicode version this Python knows."""

from __future__ import annotations

import re
from typing import Final

# Capital letters of Unicode 16 and 17: Bun knows them, Python 3.11 to 3.13 do not.
_LOWER: Final = {
    0x1C89: 0x1C8A,
    0xA7CB: 0x264,
    0xA7CC: 0xA7CD,
    0xA7CE: 0xA7CF,
    0xA7D2: 0xA7D3,
    0xA7D4: 0xA7D5,
    0xA7DA: 0xA7DB,
    0xA7DC: 0x19B,
    **{capital: capital + 0x20 for capital in range(0x10D50, 0x10D66)},
    **{capital: capital + 0x1B for capital in range(0x16EA0, 0x16EB9)},
}
_NEWER: Final = re.compile(f"[{''.join(map(chr, _LOWER))}]")


def lower_case(text: str) -> str:
    """`text.toLowerCase()`. A capital sigma beside one of the newest letters may become the other small sigma."""
    lower = text.lower()
    if lower.isascii() or not _NEWER.search(lower):
        return lower
    return lower.translate(_LOWER)
