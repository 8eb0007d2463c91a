"""How far a piece of work is, in words: bytes as people read them, and the time left told by what came in this run."""

from __future__ import annotations

import pytest

from engine.runs.fold import fold
from lora_tui.progress import amount


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((12, 30, "pictures", 10.0), "12 of 30 pictures, 15 s left"),
        ((3_100_000_000, 6_900_000_000, "bytes", 0.0), "3.1 GB of 6.9 GB"),
        ((2_000_000_000, 6_000_000_000, "bytes", 10.0), "2.0 GB of 6.0 GB, 20 s left"),
        ((4_000_000_000, 6_000_000_000, "bytes", 10.0, 3_000_000_000), "4.0 GB of 6.0 GB, 20 s left"),
        ((3_000_000_000, 6_000_000_000, "bytes", 10.0, 3_000_000_000), "3.0 GB of 6.0 GB"),
        ((5_000_000, 0, "bytes", 10.0), "5.0 MB"),
        ((5, 0, "pictures", 10.0), ""),
    ],
)
def test_amounts(given, words):
    assert amount(*given) == words


def test_a_phase_knows_what_was_done_before_it_began():
    def phase(state: str, done: int) -> dict[str, object]:
        return {"kind": "phase", "time": 1.0, "name": "downloading", "state": state, "done": done, "total": 9}

    assert fold([phase("start", 4), phase("progress", 6)]).phases["downloading"].first == 4
    assert fold([phase("start", 4), phase("end", 6), phase("start", 0)]).phases["downloading"].first == 0
