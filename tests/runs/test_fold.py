"""The sum of a log, and what a resumed engine takes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.runs.fold import fold


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
