"""The memories: texts with a Zipf distribution of words within topics, and what stands in the other columns."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parity_tests.harness.names import iso_time, sql_time
from scripts.benchmark.homes.vocabulary import FUNCTION_WORDS, PEOPLE, PROJECTS, vocabulary

BASE_S: Final = 1_767_225_600  # 2026-01-01T00:00:00Z: the newest memory is from just before
SPAN_DAYS: Final = 400
TYPES: Final = ("fact", "preference", "decision", "rationale", "rule", "issue", "procedural", "episodic")
TYPE_SHARES: Final = (0.52, 0.12, 0.12, 0.06, 0.06, 0.06, 0.03, 0.03)
OPENERS: Final = (
    "",
    "Prefers",
    "Decided:",
    "Because",
    "Never",
    "Bug:",
    "To deploy,",
    "Yesterday",
)  # fmt: skip
SOURCES: Final = ("manual", "session_end", "pre-compaction", "document", "hook")
ASTRAL: Final = ("café", "naïve", "Größe", "日本語", "😀", "façade", "señor", "Ωmega")
AT_ONCE: Final = 10_000
_TRAILING = re.compile(r"[.,!?;:]+\Z")

Integers = NDArray[np.int64]
Words = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Memory:
    """One row of `memories`, the columns that are not constant."""

    id: str
    type: str
    content: str
    importance: float
    source_type: str
    source_id: str | None
    tags: str | None
    who: str
    project: str | None
    created_at: str
    last_accessed: str | None
    access_count: int
    pinned: int
    is_deleted: int
    deleted_at: str | None
    content_hash: str
    normalized_content: str


def memories(seed: int, count: int) -> Iterator[list[Memory]]:
    """`count` memories in portions, oldest first; a bigger home begins with the same texts as a smaller one."""
    seen: set[str] = set()
    for start in range(0, count, AT_ONCE):
        portion = _Portion(seed, start)
        yield [portion.memory(n, count, seen) for n in range(min(AT_ONCE, count - start))]


def texts(seed: int, start: int) -> list[str]:
    """AT_ONCE texts as `memories` has them, from number `start` on, which is a multiple of AT_ONCE."""
    return _Portion(seed, start).texts


class _Portion:
    """AT_ONCE memories, drawn together: numpy draws a million words while Python would draw a thousand."""

    def __init__(self, seed: int, start: int) -> None:
        self._start = start
        self._rng = np.random.default_rng((seed, start))
        known = vocabulary(seed)
        self._topics = [np.array(topic, dtype=object) for topic in known.topics]
        self._general = np.array(known.general, dtype=object)
        self._topic = _zipf(self._rng, len(self._topics), AT_ONCE, 0.6)
        self._type = self._rng.choice(len(TYPES), AT_ONCE, p=TYPE_SHARES)
        self.texts = self._texts()
        self._chance = self._rng.random((8, AT_ONCE))
        self._access = np.minimum(self._rng.zipf(1.9, AT_ONCE) - 1, 60)
        self._jitter = self._rng.random(AT_ONCE)

    def _texts(self) -> list[str]:
        """Between 4 and 160 words, 20 as a rule; two in a hundred are longer than recall's 500 characters."""
        lengths = np.clip(self._rng.lognormal(2.9, 0.55, AT_ONCE), 4, 160).astype(np.int64)
        total = int(lengths.sum())
        words = np.array(FUNCTION_WORDS, dtype=object)[_zipf(self._rng, len(FUNCTION_WORDS), total, 0.9)]
        kind = self._rng.random(total)
        topic_of_word = np.repeat(self._topic, lengths)
        elsewhere = kind > 0.95  # a word of another topic: texts wander
        topic_of_word[elsewhere] = _zipf(self._rng, len(self._topics), int(elsewhere.sum()), 0.6)
        for topic, own in enumerate(self._topics):
            place = np.flatnonzero((kind > 0.5) & (topic_of_word == topic))
            words[place] = own[_zipf(self._rng, len(own), len(place), 1.3)]
        general = np.flatnonzero((kind > 0.45) & (kind <= 0.5))
        words[general] = self._general[_zipf(self._rng, len(self._general), len(general), 1.1)]
        self._put((*PEOPLE, *PROJECTS), words, (kind > 0.43) & (kind <= 0.45))
        self._put(ASTRAL, words, (kind > 0.427) & (kind <= 0.43))
        self._put([str(number) for number in range(2, 9_000, 7)], words, (kind > 0.41) & (kind <= 0.427))
        flat: list[str] = words.tolist()
        ends = np.cumsum(lengths).tolist()
        return [
            self._sentence(n, flat[begin:end]) for n, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True))
        ]

    def _put(self, these: Sequence[str], words: Words, where: NDArray[np.bool_]) -> None:
        place = np.flatnonzero(where)
        words[place] = np.array(these, dtype=object)[_zipf(self._rng, len(these), len(place), 0.5)]

    def _sentence(self, number: int, words: list[str]) -> str:
        opener = OPENERS[self._type[number]]
        for comma in range(9, len(words) - 3, 11):
            words[comma] += "." if comma % 2 else ","
        if number % 13 == 0:
            words[-1] = f"src/{words[0]}/{words[-1]}.ts:{number % 400}"
        text = " ".join((opener, *words) if opener else words)
        return text[0].upper() + text[1:] + ("." if number % 3 else "")

    def memory(self, n: int, count: int, seen: set[str]) -> Memory:
        number = self._start + n
        content = self.texts[n]
        if content.lower() in seen:
            content = f"{content} ({number})"  # no two active memories have the same text
        seen.add(content.lower())
        chance = self._chance[:, n]
        created_s = int(BASE_S - SPAN_DAYS * 86_400 * (1 - (number + self._jitter[n]) / count))
        deleted = chance[0] < 0.01
        source = SOURCES[0] if chance[1] < 0.6 else SOURCES[1 + int(chance[1] * 1e4) % 4]
        accesses = int(self._access[n])
        normalized = _TRAILING.sub("", content.lower()).strip()
        digest = hashlib.sha256(normalized.encode()).hexdigest()
        return Memory(
            id=seeded_uuid("memory", digest),
            type=TYPES[self._type[n]],
            content=content,
            importance=round(0.3 + 0.7 * chance[2], 2) if chance[3] < 0.7 else 0.8,
            source_type=source,
            source_id=None if source == "manual" else f"session-{number // 23}",
            tags=self._tags(n, chance[4]),
            who=PEOPLE[int(chance[5] ** 2 * len(PEOPLE))] if chance[5] < 0.5 else "daemon",
            project=f"/home/ada/{PROJECTS[self._topic[n] % len(PROJECTS)]}" if chance[6] < 0.7 else None,
            created_at=iso_time(created_s),
            last_accessed=sql_time(int(BASE_S - chance[7] * (BASE_S - created_s))) if accesses else None,
            access_count=accesses,
            pinned=int(chance[3] > 0.98),
            is_deleted=int(deleted),
            deleted_at=iso_time(BASE_S - int(chance[6] * 20 * 86_400)) if deleted else None,
            content_hash=digest,
            normalized_content=normalized,
        )

    def _tags(self, n: int, chance: float) -> str | None:
        if chance < 0.45:
            return None
        words = self._topics[self._topic[n]]
        return ",".join(str(words[int(chance * 1e3 * (place + 1)) % 8]) for place in range(1 + int(chance > 0.75)))


def _zipf(rng: np.random.Generator, words: int, count: int, steepness: float) -> Integers:
    """`count` ranks below `words`, the first ones by far the most often."""
    weights = 1.0 / np.arange(1, words + 1) ** steepness
    found: Integers = np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(count)).clip(0, words - 1)
    return found


def seeded_uuid(*parts: object) -> str:
    """A version 4 UUID that follows from its parts."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest, version=4))
