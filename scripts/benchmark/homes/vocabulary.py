"""The words of a made-up person's memories: topics with words of their own, and how often each is said.

A few hundred words are English, so that texts read like notes; the long tail is made of syllables. The same seed always
gives the same words, on any machine: the embedder's process and the builder rely on that.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

TOPIC_WORDS: Final = (
    "database index migration query schema transaction backup replica",
    "server deploy rollback container pipeline staging release cluster",
    "parser token grammar syntax compiler lexer tree visitor",
    "garden tomato compost soil seedling harvest greenhouse pruning",
    "recipe sourdough oven flour garlic risotto simmer pastry",
    "violin rehearsal concert sonata orchestra tuning metronome score",
    "budget invoice expense salary tax account receipt savings",
    "travel flight passport hotel luggage itinerary train ferry",
    "running marathon pace stretch injury shoes interval cadence",
    "socket latency proxy header timeout bandwidth router packet",
    "design layout colour font contrast button sidebar mockup",
    "review branch commit merge conflict refactor linter reviewer",
    "embedding vector model training dataset inference tokenizer benchmark",
    "school homework teacher exam classroom notebook lecture essay",
    "doctor appointment vaccine allergy prescription clinic headache sleep",
    "kitchen renovation plumber tiles cabinet paint contractor drill",
    "camera lens exposure portrait negative darkroom shutter tripod",
    "bicycle gear brake chain saddle puncture helmet commute",
    "podcast microphone episode editing guest transcript intro sponsor",
    "novel chapter character dialogue draft editor publisher metaphor",
    "security password certificate encryption vault firewall audit exploit",
    "memory cache allocation garbage leak heap pointer profiler",
    "test fixture coverage assertion flaky snapshot regression harness",
    "meeting agenda standup retrospective stakeholder roadmap deadline sprint",
    "language verb vocabulary accent translation dictionary idiom grammar",
    "harbour sailing mooring tide anchor regatta rudder compass",
    "cat veterinary kibble litter whiskers adoption leash puppy",
    "chess opening endgame tournament bishop blunder rating clock",
    "frontend component router hydration bundle stylesheet accessibility tooltip",
    "kernel driver interrupt scheduler syscall firmware module bootloader",
    "telescope galaxy eclipse observatory comet orbit nebula eyepiece",
    "insurance contract lawyer lease landlord clause deposit signature",
)
_FUNCTION_WORDS: Final = (
    "the to and of in for with on is that we it as be this not by from when are should was use after before because "
    "only until into over always never new first last more than same each about still every without between during "
    "also but has have can will must may now again soon later here there which who what so if or at an a"
)
_PEOPLE: Final = (
    "Ada Bilal Chiara Dmitri Elif Farah Goran Hana Ines Jonas Kenji Leila Mateo Nadia Omar Priya Quentin Rosa Sven "
    "Tomas Ulrike Valentina Wanjiru Xin Yusuf Zoë Søren Łukasz Béatrice Jürgen 美咲 Наташа"
)
_PROJECTS: Final = "atlas beacon corvid driftwood ember fjord gristmill hollyhock isthmus juniper kestrel lodestar"
FUNCTION_WORDS: Final = _FUNCTION_WORDS.split()
PEOPLE: Final = _PEOPLE.split()
PROJECTS: Final = _PROJECTS.split()
_ONSETS: Final = ("b", "br", "c", "cl", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "pl", "qu",
                  "r", "s", "sh", "sk", "sl", "st", "t", "tr", "v", "w", "z")  # fmt: skip
_VOWELS: Final = ("a", "e", "i", "o", "u", "a", "e", "i", "o", "ai", "ou")
_CODAS: Final = ["", "", "", "", "", "", "n", "r", "l", "s", "m", "th", "nd"]
TAIL_WORDS: Final = 240  # of each topic
GENERAL_WORDS: Final = 4_000  # that any topic may use


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`topics[t]` are the words of topic t and `general` everybody's, each list by falling frequency."""

    topics: tuple[tuple[str, ...], ...]
    general: tuple[str, ...]

    @property
    def words(self) -> dict[str, int]:
        """Lower-case word -> its number; a word of several topics has the number of its first."""
        everything = [word for topic in self.topics for word in topic]
        everything += [*self.general, *(name.lower() for name in (*PEOPLE, *PROJECTS)), *FUNCTION_WORDS]
        return {word: number for number, word in enumerate(dict.fromkeys(everything))}

    def topic_of(self) -> dict[str, int]:
        """Word -> topic, for words that have one."""
        return {word: number for number, topic in reversed(list(enumerate(self.topics))) for word in topic}


@lru_cache(maxsize=2)
def vocabulary(seed: int) -> Vocabulary:
    rng = random.Random(f"words {seed}")
    taken = {word for line in TOPIC_WORDS for word in line.split()} | set(FUNCTION_WORDS)
    topics = tuple((*line.split(), *_made_up(rng, TAIL_WORDS, taken)) for line in TOPIC_WORDS)
    return Vocabulary(topics, tuple(_made_up(rng, GENERAL_WORDS, taken)))


def _made_up(rng: random.Random, count: int, taken: set[str]) -> list[str]:
    words: list[str] = []
    while len(words) < count:
        word = "".join(_syllable(rng) for _ in range(rng.choice((2, 2, 2, 3))))
        if word not in taken:
            taken.add(word)
            words.append(word)
    return words


def _syllable(rng: random.Random) -> str:
    return rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)
