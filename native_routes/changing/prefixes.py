"""`critical:` and `[tags]:` before what is to be remembered, and the type of a memory, which its words tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from native_routes.javascript.lower_case import lower_case
from native_routes.javascript.primitives import WHITE_SPACE, trim

CRITICAL: Final = "critical:"
USUAL_IMPORTANCE: Final = 0.8
# Where several occur, the first of this list counts, not the first in the text.
HINTS: Final = (
    ("prefer", "preference"),
    ("likes", "preference"),
    ("want", "preference"),
    ("decided", "decision"),
    ("agreed", "decision"),
    ("will use", "decision"),
    ("learned", "learning"),
    ("discovered", "learning"),
    ("til ", "learning"),
    ("bug", "issue"),
    ("issue", "issue"),
    ("broken", "issue"),
    ("never", "rule"),
    ("always", "rule"),
    ("must", "rule"),
)
_TAGGED: Final = re.compile(rf"\[([^\]]+)\]:[{WHITE_SPACE}]*(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prefixed:
    content: str  # without the prefixes
    tags: str | None  # lower case, between commas; "" for tags that are all blank
    pinned: bool
    importance: float


def read_prefixes(text: str) -> Prefixed:
    """Each prefix once, `critical:` before tags; in the other order the second one is content."""
    content = trim(text)
    critical = content[: len(CRITICAL)].lower() == CRITICAL
    if critical:
        content = trim(content[len(CRITICAL) :])
    tags = None
    tagged = _TAGGED.fullmatch(content)
    if tagged is not None:
        tags = ",".join(filter(None, (lower_case(trim(tag)) for tag in tagged[1].split(","))))
        content = trim(tagged[2])
    return Prefixed(content, tags, critical, 1 if critical else USUAL_IMPORTANCE)


def infer_type(content: str) -> str:
    lower = lower_case(content)
    return next((type_ for hint, type_ in HINTS if hint in lower), "fact")
