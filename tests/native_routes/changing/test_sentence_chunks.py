"""Long texts in pieces: where they are cut, and that nothing of them is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_routes.changing.sentence_chunks import sentence_chunks
from native_routes.javascript.values import utf16_length


@pytest.mark.parametrize(
    ("text", "target", "chunks"),
    [
        ("One. Two. Three.", 9, ["One. Two.", "Three."]),
        ("One. Two. Three.", 100, ["One. Two. Three."]),
        ("One.Two! Three", 4, ["One.Two!", "Three"]),
        ("A long sentence stays whole", 20, ["A long sentence stays whole"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        ("Short. " + "x" * 25 + ". End.", 10, ["Short.", "x" * 10, "x" * 10, "xxxxx.", "End."]),
        ("x" * 20, 10, ["x" * 20]),
        ("   ", 10, []),
        ("", 10, []),
        ("Wide.\u3000Blank?\u2028Line!\ufeffEnd", 6, ["Wide.", "Blank?", "Line!", "End"]),
        ("x" * 130, 60.5, ["x" * 60, "x" * 61, "x" * 9]),
        ("日本語。日本語。", 3, ["日本語", "。日本", "語。"]),
    ],
)
def test_pieces_end_with_sentences_where_these_are_short_enough(text: str, target: float, chunks: list[str]) -> None:
    assert sentence_chunks(text, target) == chunks


def test_lengths_are_counted_in_utf16_units() -> None:
    assert sentence_chunks("😀" * 30, 30) == ["😀" * 30]
    assert sentence_chunks("😀" * 32, 30) == ["😀" * 15, "😀" * 15, "😀" * 2]


def test_a_cut_inside_a_pair_moves_behind_it() -> None:
    assert sentence_chunks("x" + "😀" * 32, 30) == ["x" + "😀" * 15, "😀" * 15, "😀" * 2]


@given(st.text(alphabet=st.sampled_from("ab .!?\n😀é"), max_size=200), st.floats(min_value=2, max_value=50))
def test_no_character_is_lost_or_torn(text: str, target: float) -> None:
    chunks = sentence_chunks(text, target)
    assert "".join("".join(chunks).split()) == "".join(text.split())
    assert all(chunk and utf16_length(chunk) <= 2 * target + 1 for chunk in chunks)
