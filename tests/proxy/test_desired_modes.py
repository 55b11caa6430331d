"""`.daemon/cutover.yaml`: what is accepted, what is refused and how, and what survives a change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.desired_modes import FILE_BYTES_LIMIT, DesiredModesError, DesiredModesFile, Mode, edit, parse

KNOWN = ("health", "recall", "memories", "embeddings")


def a_file(folder: Path, text: str | None = None) -> DesiredModesFile:
    path = folder / ".daemon" / "cutover.yaml"
    if text is not None:
        path.parent.mkdir()
        path.write_text(text)
    return DesiredModesFile(path, KNOWN)


def test_modes_are_read_in_the_order_of_the_file() -> None:
    modes = parse("# mine\ngroups:\n  recall: native # fast\n  memories: 'shadow'\n", KNOWN)

    assert list(modes.items()) == [("recall", Mode.NATIVE), ("memories", Mode.SHADOW)]


def test_groups_without_entries_mean_all_defaults() -> None:
    assert parse("groups:\n", KNOWN) == {}
    assert parse("groups: {}\n", KNOWN) == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("groups:\n  recal: native\n", "line 2: unknown group 'recal'"),
        ("groups:\n  recall: fast\n", "line 2: unknown mode 'fast': expected legacy, shadow or native"),
        ("groups:\n  recall: native\n  recall: legacy\n", "line 3: group 'recall' is named twice"),
        ("groups:\n  recall: [native]\n", "line 2: unknown mode"),
        ("groups: native\n", "expected lines such as"),
        ("group:\n  recall: native\n", "expected one top-level key, `groups:`"),
        ("groups: {}\nother: 1\n", "expected one top-level key, `groups:`"),
        ("", "expected one top-level key, `groups:`"),
        ("groups:\n  recall: native\n bad\n", "not YAML"),
        ("groups:\n\trecall: native\n", "line 2: not YAML"),
        ("groups:\n  recall: x\n  nope: native\n", "line 2: unknown mode 'x'"),
    ],
)
def test_a_file_that_is_not_understood_is_refused_with_line_and_cause(text: str, problem: str) -> None:
    with pytest.raises(DesiredModesError) as refused:
        parse(text, KNOWN)

    assert problem in str(refused.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(DesiredModesError) as refused:
        parse("groups:\n  recall: x\n  nope: native\n", KNOWN)

    assert "'x'" in str(refused.value)
    assert "'nope'" in str(refused.value)


def test_a_change_keeps_comments_order_and_indentation() -> None:
    text = "# see ticket 7\ngroups:\n    recall: native   # since May\n    # later\n    memories: legacy\n"

    changed = edit(text, {"recall": Mode.LEGACY, "embeddings": Mode.SHADOW})

    assert changed == (
        "# see ticket 7\ngroups:\n    recall: legacy   # since May\n    # later\n"
        "    memories: legacy\n    embeddings: shadow\n"
    )


def test_a_change_writes_the_file_when_there_is_none(tmp_path: Path) -> None:
    file = a_file(tmp_path)

    loaded = file.change({}, {"recall": Mode.NATIVE})

    assert loaded.modes == {"recall": Mode.NATIVE}
    assert file.load().modes == {"recall": Mode.NATIVE}


def test_a_change_takes_in_an_edit_that_was_not_read_yet(tmp_path: Path) -> None:
    file = a_file(tmp_path, "groups:\n  memories: shadow\n")

    loaded = file.change({}, {"recall": Mode.NATIVE})

    assert loaded.modes == {"memories": Mode.SHADOW, "recall": Mode.NATIVE}


@pytest.mark.parametrize("text", ["groups:\n  broken", "groups: {memories: shadow}\n"])
def test_a_file_that_cannot_be_edited_is_replaced_and_kept_beside(tmp_path: Path, text: str) -> None:
    file = a_file(tmp_path, text)

    file.change({"memories": Mode.SHADOW}, {"recall": Mode.NATIVE})

    assert file.load().modes == {"memories": Mode.SHADOW, "recall": Mode.NATIVE}
    assert file.path.with_name("cutover.yaml.bak").read_text() == text


def test_a_huge_or_binary_file_is_refused_without_reading_it_whole(tmp_path: Path) -> None:
    file = a_file(tmp_path, "#" * (FILE_BYTES_LIMIT + 1))
    assert "larger than" in (file.load().problem or "")

    file.path.write_bytes(b"groups:\n  \xff\xfe")
    assert file.load().problem == "not UTF-8 text"


@pytest.mark.parametrize("blocked", ["daemon folder", "file"])
def test_a_write_that_the_disk_refuses_names_file_and_fix(tmp_path: Path, blocked: str) -> None:
    file = a_file(tmp_path, "groups:\n  recall: native\n")
    if blocked == "file":
        file.path.with_name("cutover.yaml.new").mkdir()
    else:
        os.rename(file.path.parent, tmp_path / "moved")
        (tmp_path / ".daemon").write_text("not a folder")

    with pytest.raises(DesiredModesError) as refused:
        file.change({}, {"recall": Mode.LEGACY})

    assert str(file.path) in str(refused.value)
    assert "writable" in str(refused.value)
