"""The form in which content is stored, and its hash. Expected values are those of Signet 0.58.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_routes.changing.content import NormalContent, hash_of, normalize
from native_routes.javascript.primitives import WHITE_SPACE

HELLO = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"


@pytest.mark.parametrize(
    ("content", "storage", "normalized", "content_hash"),
    [
        ("Hello  World.", "Hello World.", "hello world", HELLO),
        ("hello world", "hello world", "hello world", HELLO),
        ("Hello World ?!", "Hello World ?!", "hello world", HELLO),
        ("!!!", "!!!", "!!!", "e84c538e7fe250730ef62de220c40dfa808d3008c0cdb437181564b88b8714b8"),
        ("\u0130stanbul \u039f\u0394\u039f\u03a3.", "\u0130stanbul \u039f\u0394\u039f\u03a3.",
         "i\u0307stanbul \u03bf\u03b4\u03bf\u03c2",
         "c291de8bd6f0cc8a649e9f6442dfd91de197c6db14b733cb5ec535091e0b1a70"),
        ("a\x85b \x1cc", "a\x85b \x1cc", "a\x85b \x1cc",
         "0384d3f1a846249ab7ce9e3ed1d5bcc817e42a8f0082bc0a4df4ded6e3c5821a"),
        ("\ufeff x \xa0 y\u2028z ", "x y z", "x y z",
         "00d9bf1235b65cc60a23478250f3f8e37b23ca973e7442a4415a28f489b1a0d7"),
        ("stra\xdfe \u1e9e", "stra\xdfe \u1e9e", "stra\xdfe \xdf",
         "53110024bc5c103fc2fbfc9a636f210b1896b132b5f9882ae85479c76ba45d75"),
        ("x .", "x .", "x", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
        ("x. ;", "x. ;", "x.", "c92f00b196e2fb020317afd79909f3894536d631a3366d77c9653176e12a5c4f"),
        ("trail\u2026", "trail\u2026", "trail\u2026",
         "e41a153734fb37e8b96b31262b9dea285c419a8d7d2ed1be46a13464d40822a0"),
        ("lone \ud83d end", "lone \ud83d end", "lone \ud83d end",
         "5abfaa5986dbac495ab2057449ec0b2d10818eee71c388d0f64e73033eaab405"),
    ],
)  # fmt: skip
def test_content_is_normalized_as_recorded(content: str, storage: str, normalized: str, content_hash: str) -> None:
    assert normalize(content) == NormalContent(storage, normalized, content_hash)


def test_white_space_alone_is_nothing() -> None:
    assert normalize(WHITE_SPACE) == NormalContent("", "", hash_of(""))


@given(st.text(alphabet=st.sampled_from("aA \t.,!?;:\x85\ufeff\u0130\u03a3\ud83d")))
def test_stored_form_is_its_own_and_has_the_same_hash(content: str) -> None:
    stored = normalize(content)
    again = normalize(stored.storage)
    assert (again.storage, again.hash) == (stored.storage, stored.hash)
    assert bool(stored.normalized) == bool(stored.storage)
