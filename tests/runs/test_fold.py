"""The sum of a log, and what a resumed engine takes back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runs.fold import Snapshot, fold
from engine.runs.lock import LockInfo
from engine.runs.state import derive, last_progress


def log(*events: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Events with the envelope filled in; one a second unless they say when."""
    for seq, event in enumerate(events, 1):
        yield {"v": 1, "seq": seq, "time": float(seq), **event}


def job(**fields: Any) -> dict[str, Any]:
    return {"kind": "job", "job": "train", "total_steps": 10, "total_epochs": 2, "pid": 1, **fields}


def step(number: int, loss: float | None = 0.5, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "step",
        "step": number,
        "epoch": 1,
        "epoch_step": number,
        "loss": loss,
        "loss_avg": loss,
        "seconds": 1.0,
        **fields,
    }


def test_a_whole_run() -> None:
    snapshot = fold(
        log(
            job(device="cpu"),
            {"kind": "phase", "name": "caching latents", "state": "start", "done": 0, "total": 24, "unit": "pictures"},
            {"kind": "phase", "name": "caching latents", "state": "progress", "done": 12},
            {"kind": "phase", "name": "caching latents", "state": "end", "done": 24},
            step(1, d=1e-4, lr={"unet": 1.0}),
            {"kind": "sample", "step": 1, "path": "samples/a.png", "prompt": "p", "seed": 3, "weight": 1},
            {"kind": "checkpoint", "step": 1, "path": "checkpoints/step-00000001", "bytes": 9},
            {"kind": "oom", "step": 1, "change": "batch 1"},
            {"kind": "command", "id": "5-1", "command": "checkpoint", "result": "done", "message": ""},
            step(2, 0.25),
            {"kind": "saved", "path": "output/x.safetensors", "epoch": 1, "step": 2, "bytes": 7},
            {"kind": "end", "status": "finished", "message": "", "output": "result.json"},
        )
    )
    assert (snapshot.job, snapshot.device, snapshot.total_steps, snapshot.total_epochs) == ("train", "cpu", 10, 2)
    assert (snapshot.step, snapshot.epoch, snapshot.loss, snapshot.loss_avg) == (2, 1, 0.25, 0.25)
    assert (list(snapshot.steps), list(snapshot.losses)) == ([1, 2], [0.5, 0.25])
    phase = snapshot.phases["caching latents"]
    assert (phase.done, phase.total, phase.unit, phase.open) == (24, 24, "pictures", False)
    assert snapshot.phase is None
    assert [sample.path for sample in snapshot.samples] == ["samples/a.png"]
    assert [saved.path for saved in snapshot.saved] == ["output/x.safetensors"]
    assert snapshot.checkpoints[0].bytes == 9
    assert (snapshot.warnings[0].code, snapshot.warnings[0].change) == ("oom", "batch 1")
    assert snapshot.answers == {"5-1": ("checkpoint", "done", "")}
    assert snapshot.end is not None
    assert snapshot.end.output == "result.json"
    assert (snapshot.first_event_time, snapshot.last_event_time) == (1.0, 12.0)


def test_a_validation_told_again_counts_once_and_one_of_a_step_taken_back_not_at_all() -> None:
    told = [{"kind": "validation", "step": number, "loss": loss} for number, loss in ((2, 0.5), (4, 0.25), (4, 0.375))]
    snapshot = fold(log(step(1), *told))
    assert snapshot.validation == [(2, 0.5), (4, 0.375)]
    assert snapshot.validation_loss == 0.375
    fold(log({"kind": "resumed", "from_step": 3}), snapshot)
    assert (snapshot.validation, snapshot.validation_loss) == ([(2, 0.5)], 0.5)
    fold(log({"kind": "validation", "step": 4, "loss": None}), snapshot)
    assert snapshot.validation_loss is None


def test_resumed_drops_the_steps_that_will_be_done_again() -> None:
    snapshot = fold(
        log(
            job(),
            *(step(number) for number in range(1, 8)),
            {"kind": "sample", "step": 4, "path": "a"},
            {"kind": "sample", "step": 6, "path": "b"},
            {"kind": "saved", "step": 6, "epoch": 1, "path": "c"},
            job(pid=2),
            {"kind": "resumed", "from_step": 5},
        )
    )
    assert list(snapshot.steps) == [1, 2, 3, 4, 5]
    assert len(snapshot.losses) == 5
    assert snapshot.step == 5
    assert [sample.path for sample in snapshot.samples] == ["a"]
    assert snapshot.saved == []
    assert snapshot.pid == 2


def test_a_resumed_run_sums_up_like_an_undisturbed_one() -> None:
    whole = fold(log(job(), *(step(number, number / 10) for number in range(1, 9))))
    broken = fold(
        log(
            job(),
            *(step(number, number / 10) for number in range(1, 7)),
            job(),
            {"kind": "resumed", "from_step": 4},
            *(step(number, number / 10) for number in range(5, 9)),
        )
    )
    assert (broken.steps, broken.losses, broken.step, broken.loss) == (
        whole.steps,
        whole.losses,
        whole.step,
        whole.loss,
    )


def test_an_engine_that_starts_over_without_saying_so() -> None:
    snapshot = fold(log(job(), step(1), step(2), step(3), job(), step(1, 0.9)))
    assert (list(snapshot.steps), list(snapshot.losses)) == ([1], [0.9])


def test_a_new_engine_ends_the_end_and_the_pause() -> None:
    snapshot = fold(log(job(), step(1), {"kind": "paused"}, {"kind": "end", "status": "stopped"}, job()))
    assert snapshot.end is None
    assert not snapshot.paused
    assert snapshot.phases == {}


def test_pause_and_resume_keep_all_steps_and_the_pace() -> None:
    snapshot = fold(
        log(job(), step(1), step(2), step(3), {"kind": "paused"}, {"kind": "resumed", "from_step": 3, "time": 9999.0})
    )
    assert list(snapshot.steps) == [1, 2, 3]
    assert not snapshot.paused
    assert snapshot.usual_gap == 1.0
    assert snapshot.seconds_left is None  # until the pace is known again


def test_time_left_is_known_after_two_steps() -> None:
    first = fold(log(job(), step(1)))
    assert first.seconds_left is None
    assert fold([{"seq": 3, "time": 4.0, **step(2)}], first).seconds_left == 16.0


def test_the_usual_gap_shrugs_off_one_slow_step() -> None:
    snapshot = fold(log(job(), *(step(n, seconds=60.0 if n == 4 else 1.0) for n in range(1, 7))))
    assert snapshot.usual_gap == 1.0


def test_steps_that_are_written_together_do_not_look_fast() -> None:
    snapshot = fold(log(job(time=0.0), *(step(n, seconds=3.0, time=30.0 + n / 1000) for n in range(1, 6))))
    assert snapshot.usual_gap == 3.0
    assert snapshot.seconds_left == 15.0


def test_unknown_kinds_and_damaged_fields_are_passed_over() -> None:
    snapshot = fold(
        log(
            job(total_steps="many", versions=3),
            {"kind": "from the future", "x": 1},
            step(1, float("nan"), lr=[1], epoch=None),
            {"kind": "sample", "seed": "x", "weight": "y"},
            {"kind": "heartbeat", "time": "noon"},
        )
    )
    assert snapshot.total_steps == 0
    assert snapshot.loss is None
    assert snapshot.samples[0].seed is None


def test_a_phase_that_begins_again_is_the_current_one() -> None:
    snapshot = fold(
        log(
            job(),
            {"kind": "phase", "name": "sampling", "state": "end"},
            {"kind": "phase", "name": "training", "state": "start"},
            {"kind": "phase", "name": "sampling", "state": "start"},
        )
    )
    assert snapshot.phase is not None
    assert snapshot.phase.name == "sampling"


def phase(name: str, state: str) -> dict[str, Any]:
    return {"kind": "phase", "name": name, "state": state}


def test_phases_before_the_job_event_belong_to_the_same_engine() -> None:
    before = [phase(name, state) for name in ("loading libraries", "reading pictures") for state in ("start", "end")]
    life = [*before, job(), phase("encoding pictures", "start")]
    names = ["loading libraries", "reading pictures", "encoding pictures"]
    snapshot = fold(log(*life))
    assert list(snapshot.phases) == names
    assert snapshot.life_began == 1.0
    again = fold(log(*life, step(1), phase("sampling", "start"), *life))
    assert list(again.phases) == names
    assert again.life_began == 9.0


def test_an_engine_that_begins_again_is_not_ended_even_before_its_job_event() -> None:
    snapshot = fold(log(job(), step(1), {"kind": "end", "status": "failed"}, phase("loading libraries", "start")))
    assert snapshot.end is None
    assert not snapshot.stepping
    assert snapshot.phase is not None


def test_all_histories_run_side_by_side_and_are_taken_back_together() -> None:
    snapshot = fold(log(job(), *(step(n, n / 10, d=n * 1e-4, lr={"unet": n * 1e-3}) for n in range(1, 8))))
    histories = (snapshot.steps, snapshot.losses, snapshot.loss_avgs, snapshot.lrs, snapshot.ds)
    assert {len(history) for history in histories} == {7}
    assert (snapshot.lrs[-1], snapshot.ds[-1]) == (7e-3, 7e-4)
    fold([{"seq": 9, "kind": "resumed", "from_step": 4, "time": 20.0}], snapshot)
    assert {len(history) for history in histories} == {4}
    assert (snapshot.loss, snapshot.loss_avg, snapshot.d, snapshot.step, snapshot.rewound) == (0.4, 0.4, 4e-4, 4, 1)
    fold([{"seq": 9, "kind": "resumed", "from_step": 0, "time": 20.0}], snapshot)
    assert (snapshot.loss, snapshot.loss_avg, snapshot.d, snapshot.step, snapshot.epoch) == (None, None, None, 0, 0)


def test_what_is_no_number_is_a_gap_in_the_history() -> None:
    snapshot = fold(log(step(1, None), step(2, math.inf, d="x"), step(3, 0.5, lr=[1])))
    assert [math.isnan(loss) for loss in snapshot.losses] == [True, True, False]
    assert all(math.isnan(value) for value in (*snapshot.ds, *snapshot.lrs))


def test_memory_of_the_newest_heartbeat() -> None:
    beat = {"rss_bytes": 5, "peak_rss_bytes": 6, "ram_used_bytes": 7, "ram_total_bytes": 8, "disk_free_bytes": 9}
    snapshot = fold(log({"kind": "heartbeat", **beat}))
    memory = snapshot.memory
    assert (memory.time, memory.rss_bytes, memory.peak_rss_bytes) == (1.0, 5, 6)
    assert (memory.ram_used_bytes, memory.ram_total_bytes, memory.disk_free_bytes) == (7, 8, 9)
    assert fold(log({"kind": "heartbeat", "rss_bytes": True})).memory.rss_bytes is None
    assert Snapshot().memory.rss_bytes is None


def test_a_checkpoint_that_was_removed_is_gone() -> None:
    made = [{"kind": "checkpoint", "step": n, "epoch": 1, "path": f"checkpoints/step-{n}", "bytes": 3} for n in (1, 2)]
    snapshot = fold(log(step(1), step(2), *made, {"kind": "checkpoint-removed", "path": "checkpoints/step-1"}))
    assert [checkpoint.step for checkpoint in snapshot.checkpoints] == [2]


def test_a_lora_that_was_removed_is_gone() -> None:
    made = [{"kind": "saved", "step": n, "epoch": 1, "path": f"output/{n}", "bytes": 3} for n in (1, 2)]
    snapshot = fold(log(step(1), step(2), *made, {"kind": "saved-removed", "path": "output/1"}))
    assert [saved.step for saved in snapshot.saved] == [2]


def test_work_done_again_is_told_once() -> None:
    again = [
        {"kind": "sample", "step": 2, "path": "samples/a.png", "seed": 1},
        {"kind": "saved", "step": 2, "epoch": 1, "path": "output/a", "bytes": 1},
        {"kind": "checkpoint", "step": 2, "path": "checkpoints/a", "bytes": 1},
    ]
    newer = [{**event, "bytes": 2, "seed": 2} for event in again]
    snapshot = fold(log(step(1), step(2), *again, {"kind": "sample", "step": 2, "path": "samples/b.png"}, *newer))
    assert [(sample.path, sample.seed) for sample in snapshot.samples] == [
        ("samples/b.png", None),
        ("samples/a.png", 2),
    ]
    assert [saved.bytes for saved in snapshot.saved] == [2]
    assert [checkpoint.bytes for checkpoint in snapshot.checkpoints] == [2]


def test_a_picture_that_was_asked_for_and_a_pause_that_gives_memory_back() -> None:
    path = "samples/step00000001_asked_5-1.png"
    snapshot = fold(log(step(1), {"kind": "sample", "step": 1, "path": path, "asked": True}))
    assert snapshot.samples[0].asked
    fold([{"seq": 3, "kind": "paused", "step": 1, "released": True}], snapshot)
    assert (snapshot.paused, snapshot.released) == (True, True)
    fold([{"seq": 4, "kind": "resumed", "from_step": 1}], snapshot)
    assert (snapshot.paused, snapshot.released, snapshot.resumed_from) == (False, False, 1)


@pytest.mark.parametrize("number", ["7", True, None, 7.5, -1, 0, [7], {"a": 7}, 10**30, math.nan])
def test_a_step_without_a_number_is_no_step(number: object) -> None:
    snapshot = fold(log(job(), step(1), step(2), {**step(3), "step": number}))
    assert (snapshot.step, list(snapshot.steps)) == (2, [1, 2])


def test_a_damaged_time_does_not_turn_the_clock_back() -> None:
    snapshot = fold(log(step(1), step(2), {"kind": "heartbeat", "time": "noon"}, {"kind": "heartbeat", "time": None}))
    assert snapshot.last_event_time == 2.0


def test_breaks_between_engines_and_jumps_of_the_clock_are_no_work() -> None:
    times = [100.0, 120.0, 9000.0, 9010.0, 50.0, 55.0]
    snapshot = fold({"seq": n, "kind": "heartbeat", "time": time} for n, time in enumerate(times, 1))
    assert snapshot.worked_seconds == 20.0 + 10.0 + 5.0


def test_the_phase_between_two_steps_is_told_whatever_the_clock_says() -> None:
    sampling = {"kind": "phase", "name": "sampling", "state": "start"}
    snapshot = fold(log(job(), {"kind": "phase", "name": "training", "state": "start"}, step(1)))
    assert snapshot.doing is None
    fold([{"seq": 4, "time": 0.5, **sampling}], snapshot)  # the clock was set back
    assert snapshot.doing is not None
    assert snapshot.doing.name == "sampling"
    fold([{"seq": 5, "time": 0.6, **sampling, "state": "end"}], snapshot)
    assert snapshot.doing is None


KINDS = [
    "job", "phase", "step", "gpu", "heartbeat", "validation", "sample", "checkpoint", "checkpoint-removed", "saved",
    "saved-removed", "warning", "oom", "command", "paused", "resumed", "end", "unheard of",
]  # fmt: skip
FIELDS = [
    "time", "step", "epoch", "epoch_step", "loss", "loss_avg", "lr", "d", "grad_norm", "seconds", "images_per_second",
    "name", "state", "done", "total", "unit", "path", "prompt", "seed", "weight", "asked", "bytes", "code", "message",
    "change", "id", "command", "result", "released", "from_step", "status", "output", "hint", "job", "versions",
    "device", "settings_sha256", "total_steps", "total_epochs", "pid", "used_bytes", "total_bytes", "rss_bytes",
]  # fmt: skip
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 5)
    | st.sampled_from([10**18, 2**63, -(2**63), 10**4000])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["start", "end", "loading libraries", "\0", "\ud800", "\x1b[2J"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
events = st.lists(
    st.builds(
        lambda kind, fields: {"seq": 1, **fields, "kind": kind},
        st.sampled_from(KINDS),
        st.dictionaries(st.sampled_from(FIELDS), anything, max_size=12),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=300)
@given(events, st.floats(0, 1e10))
def test_nothing_in_any_field_makes_a_reader_raise(events: list[dict[str, Any]], now: float) -> None:
    json.dumps(events)  # all of it could stand in a file
    snapshot = fold(events)
    assert len(snapshot.steps) == len(snapshot.losses) == len(snapshot.lrs) == len(snapshot.ds)
    assert list(snapshot.steps) == sorted(set(snapshot.steps))
    assert all(isinstance(item.path, str) for item in (*snapshot.samples, *snapshot.saved, *snapshot.checkpoints))
    for lock in (LockInfo("held", acquired=5.0), LockInfo("free", acquired=5.0), LockInfo("never")):
        derive(snapshot, lock, now)
    last_progress(snapshot)
    assert snapshot.seconds_left is None or snapshot.seconds_left >= 0
    assert snapshot.memory is not None
    assert all(value is None or math.isfinite(value) for value in snapshot.gpu.values())
    assert snapshot.phase is None or snapshot.phase.total >= 0


@settings(deadline=None, max_examples=100)
@given(events, st.integers(0, 12))
def test_it_does_not_matter_in_which_slices_a_log_is_read(events: list[dict[str, Any]], cut: int) -> None:
    def told(snapshot: Snapshot) -> str:
        return repr(snapshot)

    assert told(fold(events[cut:], fold(events[:cut]))) == told(fold(events))
