"""Requests that are all different: what people ask of a home, words from its own memories in it.

No answer cache decides a figure, as no request comes twice, neither in a round nor in another.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count, cycle
from typing import Final
from urllib.parse import quote, urlencode

from scripts.benchmark.generator import Request
from scripts.benchmark.homes import corpus
from scripts.benchmark.homes.build import HomeSpec
from scripts.benchmark.homes.vocabulary import FUNCTION_WORDS, PEOPLE, PROJECTS, TOPIC_WORDS
from scripts.benchmark.rows import MeasurementError

Questions = Iterator[Request]

_PHRASES: Final = (
    "what did {person} say about {0} {1}",
    "how do we handle {0} in {project}",
    "why did we choose {0} over {1}",
    "when was the {0} {1} last changed",
    "{project} {0} {1} decision",
    "who knows about {0}",
    "notes on {0} and {1} with {person}",
    "is there a rule about {0} for {project}",
    "what went wrong with the {0} after the {1}",
    "{person} prefers which {0}",
)
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_COMMON: Final = frozenset(FUNCTION_WORDS)
_TRIES: Final = 1_000
FORGOTTEN_SAMPLE: Final = 100  # memories in each sample of `forgets`
_PORTIONS: Final = 3  # of texts that questions are about


def recalls(spec: HomeSpec, salt: str) -> Questions:
    """POST /api/memory/recall; 2 to 12 words, one in ten for one type of memory only."""
    for query, rng in _distinct(spec, f"recall {salt}", _query):
        body: dict[str, object] = {"query": query, "limit": rng.choice((5, 10, 10, 10, 20))}
        if rng.random() < 0.1:
            body["type"] = rng.choice(corpus.TYPES[:5])
        yield Request("POST", "/api/memory/recall", json.dumps(body, ensure_ascii=False))


def searches(spec: HomeSpec, salt: str) -> Questions:
    """GET /memory/search; one to three words that stand together in a memory, as FTS5 understands them."""
    for query, rng in _distinct(spec, f"search {salt}", _keywords):
        fields = {"q": query} | ({"type": rng.choice(corpus.TYPES[:5])} if rng.random() < 0.15 else {})
        fields |= {"limit": str(rng.choice((10, 20, 50)))} if rng.random() < 0.5 else {}
        yield Request("GET", f"/memory/search?{urlencode(fields, quote_via=quote)}")


def common_searches(spec: HomeSpec, salt: str) -> Questions:
    """GET /memory/search for words that many memories have: either of some, one with a stop word, the start of one."""
    for query, _ in _distinct(spec, f"common {salt}", _common_words):
        yield Request("GET", f"/memory/search?{urlencode({'q': query}, quote_via=quote)}")


def pages(spec: HomeSpec, salt: str) -> Questions:
    """GET /api/memories, a hundred from anywhere among the newest thousand."""
    rng = random.Random(f"pages {salt}")
    while True:
        yield Request("GET", f"/api/memories?limit=100&offset={rng.randrange(min(1_000, spec.memories))}")


def first_page(spec: HomeSpec, salt: str) -> Questions:
    """GET /api/memories?limit=100, always the same: there is only one first page."""
    while True:
        yield Request("GET", "/api/memories?limit=100")


def remembers(spec: HomeSpec, salt: str) -> Questions:
    """POST /api/memory/remember with texts that the home does not have, none long enough to be cut into chunks."""
    rng = random.Random(f"remember {salt}")
    for start in count(step=corpus.AT_ONCE):
        for number, text in enumerate(corpus.texts(spec.seed + 1, start)):
            body = {"content": f"{text[:440]} {salt}-{start + number}", "who": rng.choice(PEOPLE)}
            if rng.random() < 0.3:
                body["tags"] = ",".join(_words(text)[:2])
            yield Request("POST", "/api/memory/remember", json.dumps(body, ensure_ascii=False))


def retags(spec: HomeSpec, salt: str) -> Questions:
    """PATCH of a memory's tags, one memory after the other; those that `forgets` takes are never among them."""
    for number, memory_id in enumerate(cycle(_living(spec)[::2])):
        body = {"tags": f"bench,{salt}-{number}", "reason": "bench"}
        yield Request("PATCH", f"/api/memory/{memory_id}", json.dumps(body))


def rewrites(spec: HomeSpec, salt: str) -> Questions:
    """PATCH of a memory's content, by texts that the home does not have: each takes a new vector."""
    for memory_id, remembered in zip(cycle(_living(spec)[::2]), remembers(spec, f"rewrite {salt}"), strict=False):
        body = {"content": json.loads(remembered.body)["content"], "reason": "bench"}
        yield Request("PATCH", f"/api/memory/{memory_id}", json.dumps(body, ensure_ascii=False))


def forgets(spec: HomeSpec, salt: str) -> Questions:
    """DELETE of memories, each once: other ones for each sample, and as many for the load as are left."""
    mine = _living(spec)[1::2]
    samples = {"sample before": mine[:FORGOTTEN_SAMPLE], "sample after": mine[FORGOTTEN_SAMPLE : 2 * FORGOTTEN_SAMPLE]}
    for memory_id in samples.get(salt, mine[2 * FORGOTTEN_SAMPLE :]):
        yield Request("DELETE", f"/api/memory/{memory_id}?reason=bench")


@lru_cache(maxsize=1)
def _living(spec: HomeSpec) -> list[str]:
    """Ids of memories that are neither forgotten nor pinned."""
    found = (memory for portion in corpus.memories(spec.seed, spec.memories) for memory in portion)
    return [memory.id for memory in found if not memory.is_deleted and not memory.pinned]


def again(questions: Callable[[HomeSpec, str], Questions], distinct: int) -> Callable[[HomeSpec, str], Questions]:
    """The first `distinct` of these questions over and over."""

    def repeated(spec: HomeSpec, salt: str) -> Questions:
        few = [question for question, _ in zip(questions(spec, salt), range(distinct), strict=False)]
        while True:
            yield from few

    return repeated


Make = Callable[[random.Random, str], str]


def _distinct(spec: HomeSpec, salt: str, make: Make) -> Iterator[tuple[str, random.Random]]:
    """What `make` makes of this home's texts, each only once."""
    rng = random.Random(f"{spec.seed} {salt}")
    texts = [text for text in _texts(spec, rng) if len(_words(text)) >= 4]
    seen: set[str] = set()
    tries = 0
    while (tries := tries + 1) < _TRIES:
        made = make(rng, rng.choice(texts))
        if made not in seen:
            seen.add(made)
            tries = 0
            yield made, rng
    raise MeasurementError(f"a home of {spec.memories} memories is too small for more than {len(seen)} questions")


def _texts(spec: HomeSpec, rng: random.Random) -> list[str]:
    starts = range(0, spec.memories, corpus.AT_ONCE)
    chosen = rng.sample(starts, min(_PORTIONS, len(starts)))
    return [text for start in chosen for text in corpus.texts(spec.seed, start)[: spec.memories - start]]


def _query(rng: random.Random, text: str) -> str:
    words, kind = _words(text), rng.random()
    if kind < 0.40:
        return " ".join(rng.sample(words, min(len(words), rng.randint(2, 6))))
    if kind < 0.65:
        said = re.sub(r"[^\w\s]", "", text).split()
        length = min(len(said), rng.randint(4, 12))
        start = rng.randint(0, len(said) - length)
        return " ".join(said[start : start + length])
    return rng.choice(_PHRASES).format(*rng.sample(words, 2), person=rng.choice(PEOPLE), project=rng.choice(PROJECTS))


def _keywords(rng: random.Random, text: str) -> str:
    words = rng.sample(_words(text), rng.choice((1, 2, 2, 3)))
    if rng.random() < 0.1:
        words[-1] = words[-1][:4] + "*"
    return " ".join(words)


def _common_words(rng: random.Random, _: str) -> str:
    words = rng.sample(rng.choice(TOPIC_WORDS).split(), rng.choice((2, 3, 4)))
    kind = rng.random()
    if kind < 0.4:
        return " OR ".join(words)
    if kind < 0.8:
        return f"{rng.choice(FUNCTION_WORDS[:30])} {words[0]} OR {rng.choice(FUNCTION_WORDS[:30])} {words[1]}"
    return f"{words[0][:3]}* OR {words[1][: rng.choice((3, 4))]}*"


def _words(text: str) -> list[str]:
    """Those that say something, in their order."""
    return [word for word in dict.fromkeys(_WORD.findall(text.lower())) if word not in _COMMON]
