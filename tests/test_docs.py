"""The documentation against the program: settings, commands, codes, routes, times, dependencies, links."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from native_routes import GROUPS
from native_routes.declaration import Handler, Route
from native_routes.searching import local_model
from native_routes.searching.embedders import EmbedderState
from native_routes.searching.onnx_encoder import FILES
from proxy.cli import main
from proxy.doctor.running import FIXES
from proxy.legacy.policy import RestartPolicy
from proxy.legacy.status import LegacyState
from proxy.settings import ENVIRONMENT, Settings
from proxy.status import PAGES

ROOT = Path(__file__).resolve().parents[1]
OPERATING = (ROOT / "docs" / "operating.md").read_text()
DIFFERENCES = (ROOT / "docs" / "differences.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
DEPENDENCIES = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
ROUTES = [(group, route) for group in GROUPS for route in group.routes]
COMMAND = re.compile(r"signet-proxy((?: [a-z_]+)+)([^\n]*)")
NOT_COMMANDS = {"is", "runs", "of", "answers", "to", "with"}  # "signet-proxy runs for ..." is a sentence


def pages() -> list[Path]:
    """Every Markdown file of the checkout, without those of installed packages."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    for folder in ("docs", "proxy", "native_routes", "legacy_ts", "parity_tests", "scripts", "tests"):
        found += (path for path in (ROOT / folder).rglob("*.md") if "node_modules" not in path.parts)
    return sorted(found)


def sources() -> list[Path]:
    return sorted(path for folder in ("proxy", "native_routes") for path in (ROOT / folder).rglob("*.py"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def section(page: str, heading: str) -> str:
    """The text below a heading up to the next one of its level or above."""
    level, _, _ = heading.partition(" ")
    lines = iter(page.splitlines())
    assert any(line == heading for line in lines), f"no heading {heading!r}"
    ends = re.compile(rf"#{{1,{len(level)}}} ")
    taken: list[str] = []
    in_code = False
    for line in lines:
        in_code ^= line.startswith("```")
        if ends.match(line) and not in_code:
            break
        taken.append(line)
    return "\n".join(taken)


def rows(text: str) -> list[list[str]]:
    """Cells of every table row, heads and rules left out."""
    tables = re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    cells = [[cell.strip() for cell in line[1:-1].split(" | ")] for table in tables for line in table.splitlines()[2:]]
    return [row for row in cells if row]


def in_backticks(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# ---- settings


def shown(value: Any) -> str:
    if value in (None, "", frozenset(), ()):
        return "none"
    if isinstance(value, bool):
        return str(int(value))
    return f"`{str(value).replace('/home/you', '~')}`"


def settings_table(*, from_environment: bool) -> list[list[str]]:
    defaults = Settings.from_env({"HOME": "/home/you"})
    return [
        [f"`{f.metadata['env'] or f.name}`", shown(getattr(defaults, f.name)), f.metadata["meaning"]]
        for f in fields(Settings)
        if bool(f.metadata["env"]) is from_environment
    ]


def test_every_setting_stands_in_the_manual_with_its_default_and_meaning() -> None:
    variables, limits = section(OPERATING, "## Settings").split("Fixed, not settings:")

    assert rows(variables) == settings_table(from_environment=True)
    assert rows(limits) == settings_table(from_environment=False)


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_signet_variable_on_a_page_is_a_setting_or_the_daemons(page: Path) -> None:
    daemons = {"SIGNET_VEC_PATH", "SIGNET_LOG_FILE"}
    if page.is_relative_to(ROOT / "legacy_ts"):
        return
    assert set(re.findall(r"\bSIGNET_[A-Z_]+[A-Z]\b", page.read_text())) <= ENVIRONMENT.keys() | daemons


# ---- commands


def commands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Leaf commands by their words: "cutover set"."""
    for name, command in group.commands.items():
        words = f"{above} {name}".strip()
        if isinstance(command, click.Group):
            yield from commands(command, words)
        else:
            yield words, command


COMMANDS = dict(commands(main))
GROUP_WORDS = {words.rpartition(" ")[0] for words in COMMANDS} - {""}


def options(command: click.Command) -> set[str]:
    return {name for parameter in command.params if isinstance(parameter, click.Option) for name in parameter.opts}


def test_every_command_has_a_section_that_names_its_options_and_no_section_is_left_over() -> None:
    text = section(OPERATING, "## Commands")
    headings = re.findall(r"^### `signet-proxy ([^`]+)`$", text, re.MULTILINE)

    assert sorted(headings) == sorted(COMMANDS)
    for words, command in COMMANDS.items():
        about = section(OPERATING, f"### `signet-proxy {words}`")
        assert all(option in about for option in options(command)), words


def mentioned() -> Iterator[tuple[str, list[str], list[str]]]:
    """(page, words, options) of every `signet-proxy ...` inside code on any page."""
    for page in pages():
        text = page.read_text()
        code = [*re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL), *in_backticks(re.sub("```", "", text))]
        for found in COMMAND.finditer("\n".join(code)):
            words = found[1].split()
            if words[0] not in NOT_COMMANDS:
                yield named(page), words, re.findall(r"(?<=\s)--[a-z-]+", found[2])


def test_every_command_that_a_page_names_exists_with_its_options() -> None:
    seen = 0
    for page, words, given in mentioned():
        if " ".join(words) in GROUP_WORDS:
            continue
        command = COMMANDS.get(words[0]) or COMMANDS.get(" ".join(words[:2]))
        assert command is not None, (page, words)
        assert set(given) <= options(command) | {"--help"}, (page, words)
        seen += 1
    assert seen > len(COMMANDS)


# ---- codes


def constants(module: ast.Module, argument: ast.expr) -> set[str]:
    """Texts that an argument can be: itself, what a name of the module was given, each state behind "legacy_"."""
    if isinstance(argument, ast.Constant):
        return {str(argument.value)}
    if isinstance(argument, ast.JoinedStr):
        assert ast.unparse(argument.values[0]) == "'legacy_'"
        return {f"legacy_{state.value}" for state in LegacyState}
    assert isinstance(argument, ast.Name), ast.dump(argument)
    given = [
        node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [argument.id]
    ]
    assert given, argument.id
    return {str(n.value) for value in given for n in ast.walk(value) if isinstance(n, ast.Constant)}


def codes_of(constructor: str, paths: list[Path]) -> set[str]:
    """What the calls of a constructor have as their second argument."""
    codes: set[str] = set()
    for path in paths:
        module = ast.parse(path.read_text())
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == constructor:
                codes |= constants(module, node.args[1])
    return codes


def listed_codes(heading: str) -> set[str]:
    first = next(part for part in section(OPERATING, heading).split("\n\n") if part.startswith("| code"))
    return {code for row in rows(first) for code in in_backticks(row[0])}


def test_every_error_code_of_the_proxy_is_explained_and_no_other() -> None:
    written = {code for path in sources() for code in re.findall(r"x-signet-proxy-error: (\w+)", path.read_text())}

    assert listed_codes("### Failures") == codes_of("Failure", sources()) | written


def test_every_reason_code_of_readiness_is_explained_and_no_other() -> None:
    emitted = codes_of("Finding", [ROOT / "proxy" / "readiness.py"])

    assert listed_codes("### Degraded") == emitted - {"legacy_ready"}  # which is no finding
    assert set(FIXES) == emitted - {"legacy_ready"}


# ---- what it tells over HTTP


def test_every_metric_and_every_page_is_in_the_manual_and_no_other() -> None:
    text = section(OPERATING, "## Health, status, metrics")
    emitted = {name for path in sources() for name in re.findall(r'"(signet_proxy_\w+)"', path.read_text())}

    assert set(re.findall(r"signet_proxy_\w+", text)) == emitted
    assert set(re.findall(r"`(/_proxy/\w+)`", text)) == set(PAGES)


# ---- differences


def stricter_rows() -> list[list[str]]:
    together: dict[tuple[str, str | None, str], list[str]] = {}
    for group, route in ROUTES:
        if route.stricter:
            together.setdefault((group.name, route.needs, route.stricter), []).append(f"`{route.method} {route.path}`")
    return [[", ".join(names), "any valid token", f"`{needs}`", why] for (_, needs, why), names in together.items()]


def test_every_stricter_route_is_a_difference_as_declared() -> None:
    assert rows(section(DIFFERENCES, "## Routes that ask for more")) == stricter_rows()


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_route_that_a_page_names_exists(page: Path) -> None:
    declared = {(route.method, route.path) for _, route in ROUTES} | {
        (method, path) for path, methods in PAGES.items() for method in methods
    }
    for method, path in re.findall(r"`(GET|HEAD|POST|PUT|PATCH|DELETE|ALL) (/[^`\s]*)`", page.read_text()):
        assert ("GET" if method == "HEAD" else method, path) in declared, f"{method} {path}"


def test_every_handler_that_says_it_differs_is_a_difference() -> None:
    differing = [route for _, route in ROUTES if route.handler and "Differs:" in (described(route.handler) or "")]

    assert differing
    assert not [f"{r.method} {r.path}" for r in differing if f"`{r.method} {r.path}`" not in DIFFERENCES]


def described(handler: Handler) -> str | None:
    """The docstring of a handler, of one that is imported when it is asked for too."""
    module, _, name = handler.__qualname__.rpartition(".")
    return getattr(importlib.import_module(module), name).__doc__ if module else handler.__doc__


def test_every_route_of_ours_is_a_difference() -> None:
    ours: list[Route] = [route for _, route in ROUTES if route.ours]

    assert all(f"`{route.method} {route.path}`" in DIFFERENCES for route in ours)


# ---- architecture and decisions


def test_the_times_of_supervision_are_those_of_the_policy() -> None:
    stated = {row[0].strip("`"): row[1] for row in rows(section(ARCHITECTURE, "## Supervision")) if len(row) == 2}
    policy = {f.name: str(f.default) for f in fields(RestartPolicy)}

    assert {name: value for name, value in stated.items() if name in policy} == policy


def test_every_state_of_the_daemon_is_in_the_diagram() -> None:
    diagram = section(ARCHITECTURE, "## Supervision").partition("```mermaid")[2].partition("```")[0]

    assert set(re.findall(r"^ +(\w+) -->", diagram, re.MULTILINE)) == {state.value for state in LegacyState}


def test_number_of_routes_is_as_declared() -> None:
    assert f"All {len(ROUTES)} routes" in ARCHITECTURE


def test_every_dependency_has_its_reason_and_every_reason_its_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    required = list(project["project"]["dependencies"])
    extras = project["project"]["optional-dependencies"]
    for part in (extras, project["dependency-groups"]):
        required += [requirement for requirements in part.values() for requirement in requirements]
    names = {re.split(r"[<>=;\[ ]", requirement)[0] for requirement in required}

    assert {name for row in rows(DEPENDENCIES) for name in in_backticks(row[0]) if name not in extras} == names


def test_files_states_and_times_of_the_local_model_are_those_of_the_program() -> None:
    text = section(OPERATING, "## The local embedding model")

    assert f"`{local_model.MODELS_FOLDER}/{local_model.MODEL}/`" in text
    assert {*FILES, *(state.value for state in EmbedderState)} <= set(in_backticks(text))
    assert f"again after {local_model.LOOK_AGAIN_S:g} s" in text
    assert f"again after {local_model.COOL_S:g} s" in text
    assert f"{local_model.DIMENSIONS} numbers" in text


def test_the_index_lists_every_decision() -> None:
    folder = ROOT / "docs" / "decisions"
    linked = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())

    assert linked == sorted(path.name for path in folder.glob("[0-9]*.md"))


# ---- links and names


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), target


@pytest.mark.parametrize("page", pages(), ids=named)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    inside = r"`((?:proxy|native_routes|legacy_ts|scripts|tests|docs|migrations|parity_tests|\.ci)/[\w/.-]*)`"
    for name in re.findall(inside, page.read_text()):
        assert (ROOT / name).exists(), name


def test_every_page_that_the_code_names_exists() -> None:
    for path in (*sources(), *(ROOT / "scripts").rglob("*.py"), ROOT / "pyproject.toml"):
        for name in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text()):
            assert (ROOT / name).exists(), (path.name, name)


def test_every_section_that_the_code_names_exists() -> None:
    for path in sources():
        for name, heading in re.findall(r'`(docs/[\w/-]+\.md)`, section "([^"]+)"', path.read_text()):
            assert f"## {heading}" in (ROOT / name).read_text().splitlines(), (path.name, heading)


@pytest.mark.parametrize("page", pages(), ids=named)
def test_no_page_has_a_path_of_the_machine_it_was_written_on(page: Path) -> None:
    home = re.compile(r"/(?:home/(?!you\b)\w+|root|Users)/|/tmp/")

    assert not home.search(page.read_text())


def test_the_scripts_that_contributing_names_answer_to_their_shell() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    scripts = set(re.findall(r"\bscripts/(\w+)\b", text))

    assert scripts >= {"test", "check", "lock", "bench"}
    for name in scripts:
        done = subprocess.run(("sh", "-n", str(ROOT / "scripts" / name)), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
