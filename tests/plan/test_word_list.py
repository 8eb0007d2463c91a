"""A list of words gives what a dict would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.plan.word_list import WordList

WORDS = st.text(st.sampled_from("ab'é漢"), max_size=4)


@given(st.dictionaries(WORDS, st.integers(1, 2**33), max_size=20), WORDS)
def test_it_is_as_a_dict(counts: dict[str, int], other: str) -> None:
    found = WordList(counts)
    assert len(found) == len(counts)
    for word in (*counts, other):
        assert found.count(word) == min(counts.get(word, 0), 2**32 - 1)
        assert (word in found) == (word in counts)
