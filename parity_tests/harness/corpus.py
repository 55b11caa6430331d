"""The recorded answers on disk: one readable JSON file for each scenario, bound to the scenario's text and home."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from native_routes import contract
from parity_tests.harness import tree
from parity_tests.harness.homes import build
from parity_tests.harness.homes.configs import config_text
from parity_tests.harness.scenario import Scenario, WriteFile
from parity_tests.harness.tree import Object, Tree
from parity_tests.harness.vectors import text_vector

CORPUS_PATH: Final = Path(__file__).resolve().parents[1] / "corpus"
_FORMAT: Final = 3  # raise it when what is seen changes, so that older recordings are refused
USUAL: Final = "usual"
LONGEST_PROSE_CHARS: Final = 1500
_OWN_CHARS: Final = 60


class CorpusError(Exception):
    """A recording is missing, or belongs to another text of its scenario; the message says how to record it."""


@dataclass(frozen=True, slots=True)
class Recording:
    scenario: str
    digest: str  # of the scenario's text and of its home
    contract: str
    cases: Mapping[str, Tree]  # case -> expectation, in order
    titles: Mapping[str, str] = field(default_factory=dict)  # case -> its request, for readers of the file

    def text(self) -> str:
        usual = self._usual_headers()
        head: list[tuple[str, Tree]] = [
            ("scenario", self.scenario),
            ("digest", self.digest),
            ("contract", self.contract),
            ("usual_headers", usual),
            ("cases", [self._case(case, expected, usual) for case, expected in self.cases.items()]),
        ]
        return tree.pretty(Object(head)) + "\n"

    def _usual_headers(self) -> Tree:
        """The headers that most cases have: written once."""
        seen = [
            tree.stringify(expected.get("headers")) for expected in self.cases.values() if isinstance(expected, Object)
        ]
        counted = Counter(text for text in seen if text != "null").most_common(1)
        return tree.parse(counted[0][0]) if counted else None

    def _case(self, case: str, expected: Tree, usual: Tree) -> Tree:
        pairs = list(expected.pairs) if isinstance(expected, Object) else []
        pairs = [(name, USUAL if name == "headers" and value == usual else value) for name, value in pairs]
        return Object([("case", case.rpartition("#")[2]), ("request", self.titles.get(case, "")), *pairs])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError when the text is not a recording."""
        data = tree.parse(text)
        if not isinstance(data, Object) or not isinstance(cases := data.get("cases"), list):
            raise ValueError("not a recording")
        name, usual = str(data.get("scenario")), data.get("usual_headers")
        expectations: dict[str, Tree] = {}
        titles = {}
        for item in cases:
            if not isinstance(item, Object):
                raise ValueError("not a recording")
            case = f"{name}#{item.get('case')}"
            titles[case] = str(item.get("request"))
            pairs = [(key, usual if value == USUAL and key == "headers" else value) for key, value in item.pairs[2:]]
            expectations[case] = Object(pairs)
        return cls(name, str(data.get("digest")), str(data.get("contract")), expectations, titles)


def path_of(name: str, folder: Path = CORPUS_PATH) -> Path:
    return folder / f"{name}.json"


def write(recording: Recording, folder: Path = CORPUS_PATH) -> Path:
    path = path_of(recording.scenario, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(recording.text(), encoding="utf-8")
    return path


def read(scenario: Scenario, folder: Path = CORPUS_PATH) -> Recording:
    """The scenario's recording. Raises CorpusError when there is none, or only one of another text or home."""
    again = f"record it: scripts/parity record {scenario.name} --legacy-daemon PATH"
    path = path_of(scenario.name, folder)
    if not path.is_file():
        raise CorpusError(f"{scenario.name} has no recording; {again}")
    try:
        recording = Recording.parse(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorpusError(f"{path.name}: {error}; {again}") from error
    if recording.digest != binding(scenario):
        raise CorpusError(
            f"{scenario.name}, its home {scenario.home} or the harness has changed since it was recorded; {again}"
        )
    if recording.contract != contract.VERSION:
        raise CorpusError(f"{scenario.name} was recorded from {recording.contract}, not {contract.VERSION}; {again}")
    return recording


def binding(scenario: Scenario) -> str:
    """What a recording depends on besides the daemon."""
    return f"{_FORMAT}-{scenario.digest}-{home_digest(scenario.home)}-{_surroundings_digest(scenario)}"


def _surroundings_digest(scenario: Scenario) -> str:
    """Of the configuration that the scenario names, and of what its model server says."""
    configs = [scenario.config or "", *(step.text or "" for step in scenario.steps if isinstance(step, WriteFile))]
    vector = text_vector("a text") if "${embedder}" in "".join(map(config_text, configs)) else []
    return hashlib.sha256("\0".join([*map(config_text, configs), repr(vector)]).encode()).hexdigest()[:8]


@lru_cache(maxsize=16)
def home_digest(name: str) -> str:
    """Of a home's content at one fixed base."""
    home = build.build(name, 1_800_000_000)
    digest = hashlib.sha256(home.design.config.encode())
    for path, text in sorted(home.design.files.items()):
        digest.update(f"{path}\0{text}\0".encode())
    with home.lock:
        return _content_digest(home, digest)


def _content_digest(home: build.Home, digest: hashlib._Hash) -> str:
    tables = [row[0] for row in home.database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
    for table in tables:
        if not table.startswith(("memories_fts", "vec_embeddings_")):
            digest.update(table.encode())
            for row in home.database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608  (names of the schema)
                digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:12]


def digest_of(recordings: Iterable[Recording]) -> str:
    """One digest for a set of recordings, whatever their order."""
    texts = sorted(recording.text() for recording in recordings)
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def prose(recording: Recording, own: str) -> list[str]:
    """Texts so long that they may be somebody's prose, unless they begin as a text of ours: each needs a digest."""
    out = []
    for case, expected in recording.cases.items():
        for path, value in tree.leaves(expected):
            if not isinstance(value, str) or (len(value) > _OWN_CHARS and value[:_OWN_CHARS] in own):
                continue
            if len(value) > LONGEST_PROSE_CHARS or (path == ("body",) and "<html" in value.lower()):
                out.append(f"{case} {tree.path_text(path)}: {len(value)} characters; give it a digest rule")
    return out


def own_texts(scenario: Scenario) -> str:
    """Everything that the scenario and its home say."""
    home = build.build(scenario.home, 1_800_000_000)
    with home.lock:
        rows = list(home.database.execute("SELECT content FROM memories UNION SELECT raw_content FROM documents"))
    texts = [str(text) for (text,) in rows]
    texts += [*home.design.files.values(), *scenario.files.values()]
    for send in scenario.sends():
        body = (send.body or b"").decode("utf-8", "replace")
        try:
            texts += [value for _, value in tree.leaves(tree.parse(body)) if isinstance(value, str)]
        except ValueError:
            texts.append(body)
    return "\0".join(texts)
