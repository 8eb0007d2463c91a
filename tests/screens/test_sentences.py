"""Every state of the table in words: sign, word, what to do."""

from __future__ import annotations

from typing import get_args

import pytest

from engine.runs.fold import fold
from engine.runs.lock import LockInfo
from engine.runs.log import ENDED_AT_ONCE
from engine.runs.state import Observation, State, derive
from lora_tui.letters import in_ascii
from lora_tui.screens.sentences import SIGNS, ago, at, header, sentence, what_happened
from lora_tui.widgets.paint import sparkline

HELD, FREE = LockInfo("held", pid=1, acquired=100.0), LockInfo("free", pid=1, acquired=100.0)
ELSEWHERE = LockInfo("held", pid=1, host="their\x1bhost", acquired=100.0, elsewhere=True)
JOB = {"kind": "job", "job": "train", "total_steps": 10, "device": "CPU"}
PHASE = {"kind": "phase", "name": "encoding pictures", "state": "progress", "done": 412, "total": 1500}
STEP = {"kind": "step", "step": 3, "loss": 0.1, "seconds": 2.0}
CHECKPOINT = {"kind": "checkpoint", "step": 2, "path": "checkpoints/step-00000002", "bytes": 1}
END = {"kind": "end", "code": "x"}


def seen(lock: LockInfo, now: float, *events: dict[str, object]) -> Observation:
    log = [{"seq": number, "time": 100.0 + number, **event} for number, event in enumerate(events, 1)]
    snapshot = fold(log)
    return Observation(derive(snapshot, lock, now), snapshot, lock, now)


def key(action: str) -> str:
    return f"<{action}>"


@pytest.mark.parametrize(
    ("observation", "head", "said"),
    [
        (seen(LockInfo("never"), 100), "○ queued", ("!", "No engine has begun")),
        (seen(HELD, 104, JOB, PHASE), "● preparing: encoding pictures 412 of 1,500", ("ok", "begins by itself")),
        (seen(HELD, 104, JOB, STEP), "● training   last word from the engine just now", ("ok", "All is well")),
        (seen(HELD, 104, JOB, STEP, {"kind": "paused"}), "‖ paused", ("!", "<pause> lets it go on")),
        (seen(HELD, 190, JOB, STEP), "◐ silent", ("!", "takes 2.0 s. <log> shows the log, <stop>")),
        (seen(FREE, 190, JOB, STEP, END | {"status": "finished"}), "✓ finished", ("ok", "Finished.")),
        (seen(FREE, 190, JOB, STEP, END | {"status": "stopped"}), "✗ stopped", ("!", "<resume_run> goes on")),
        (seen(FREE, 190, JOB, STEP, CHECKPOINT, END | {"status": "failed"}), "✗ failed", ("x", "goes on from step 2.")),
        (seen(FREE, 190, JOB, STEP, CHECKPOINT), "✗ died", ("x", "<resume_run> goes on from step 2.")),
        (seen(ELSEWHERE, 190, JOB, STEP), r"? unknown   on another machine (their\x1b", ("!", "only be looked at")),
    ],
)  # fmt: skip
def test_each_state_has_a_sign_a_word_and_advice(observation, head, said):
    assert head in header(observation, ("zibo", "run"), 100)[1].plain
    mark, words = sentence(observation, key, resumable=True)
    assert mark == said[0]
    assert said[1] in words


@pytest.mark.parametrize("before", [PHASE, STEP])
def test_memory_that_ran_out_is_said_for_a_while_before_anything_else(before):
    oom = {"kind": "oom", "step": 4, "message": "Memory ran out \x1b[31m.", "change": {"batch_size": 1}}
    beat = {"kind": "heartbeat", "disk_free_bytes": 5}
    fresh = seen(HELD, 110, JOB, before, oom, beat, {"kind": "warning", "code": "x", "message": "Another."})
    assert sentence(fresh, key, True) == ("!", r"Memory ran out \x1b[31m.")
    assert "Memory" not in sentence(seen(HELD, 250, JOB, before, oom, PHASE), key, True)[1]


def test_every_state_has_a_sign_and_ascii_can_spell_it():
    assert set(SIGNS) == set(get_args(State))
    for state, (sign, _) in SIGNS.items():
        assert in_ascii(sign).isascii(), state


def test_disk_that_fills_up_is_told_before_a_save_fails():
    beat = {"kind": "heartbeat", "disk_free_bytes": 1_200_000_000}
    mark, words = sentence(seen(HELD, 104, JOB, STEP, beat), key, resumable=False)
    assert mark == "!"
    assert words.startswith("Only 1.2 GB are left on the disk.")


def test_last_words_of_a_dead_engine_are_shown_and_a_running_one_needs_none():
    log = ["first", "second", "third", "Killed"]
    told = [line.plain for line in what_happened(seen(FREE, 190, JOB, STEP), log, 80)]
    assert "without a last word" in " ".join(told)
    assert told[-1].endswith("Killed")
    assert not any("first" in line for line in told)
    assert what_happened(seen(HELD, 104, JOB, STEP), log, 80) == []


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (["step", ENDED_AT_ONCE], "Somebody interrupted the engine twice at step 3"),
        (["Traceback (most recent call last):", "  File …", "ValueError: no"], "broke down at step 3"),
        (["all is well"], "Most often memory has run out"),
        ([], "Most often memory has run out"),
    ],
)
def test_memory_is_blamed_only_where_the_log_says_nothing_else(log, words):
    told = [line.plain for line in what_happened(seen(FREE, 190, JOB, STEP), log, 200)]
    assert words in told[0]


def test_a_run_of_which_nothing_is_known_has_no_date():
    run = Observation("died", fold([]), FREE, 190)
    assert [line.plain for line in header(run, ("zibo", "1"), 80)][1].strip() == "✗ died"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "just now"), (9.9, "just now"), (48, "40 s ago"), (150, "2 min ago"), (9000, "2 h ago")]
)
def test_how_long_ago_changes_seldom(seconds, words):
    assert ago(seconds) == words


def test_clock_times_name_the_day_where_it_is_another():
    noon = 1795348800.0  # Sunday 22 November 2026, 12:00 UTC
    assert at(noon + 3600, noon) == "13:00"
    assert at(noon + 86400, noon) == "Mon 12:00"
    assert at(noon + 30 * 86400, noon) == "22 Dec 12:00"


def test_small_curve_of_anything_is_never_too_wide_and_never_fails():
    nan = float("nan")
    for history in ([], [1.0], [1.0, 1.0], [nan, nan], [1.0, nan, 3.0], [float("inf"), 1.0, 2.0], list(range(1000))):
        for width in (0, 1, 2, 10):
            assert len(sparkline(history, width)) <= width
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
