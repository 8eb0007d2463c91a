"""A dry run is the beginning of the very training that follows, and leaves nothing of it but the cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

import engine.train.dry_run as dry_run_module
import engine.train.loop as loop_module
from engine.plan.errors import UserError
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.steps import Steps
from engine.runs import control
from engine.runs.resume import prepare, resumable
from engine.runs.state import observe
from engine.train.dry_run import DryRun, shortened
from engine.train.sampling import SampleMaker
from tests.training import Trained, Trainer, ask_to_stop, same, settings

# 4 pictures in 3 batches, 4 epochs: 12 steps. In the first five of them a training saves, draws and keeps its state.
WHOLE: dict[str, Any] = {
    "max_train_epochs": 4,
    "checkpoint_every_n_steps": 2,
    "sample_every_n_steps": 4,
    "sample_at_first": True,
    "sample_prompts": ("a man --w 64 --h 64 --s 2 --d 5", "a dog --w 64 --h 64 --s 4"),
    "optimizer_type": "Prodigy",
    "optimizer_args": ("weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True"),
    "learning_rate": 1.0,
    "noise_offset": 0.1,
    "caption_dropout_rate": 0.2,
    "min_snr_gamma": 5.0,
    "scale_weight_norms": 5.0,
}


@pytest.fixture(scope="module")
def own_cache(train: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    root = tmp_path_factory.mktemp("dry")
    (root / "projects").mkdir()
    (root / "cache").mkdir()
    return Trainer(train.base, root / "projects", root / "cache")


@pytest.fixture(scope="module")
def dry(own_cache: Trainer) -> Trained:
    return own_cache(arguments={"dry_run": 5}, **WHOLE)


@pytest.fixture(scope="module")
def whole(train: Trainer) -> Trained:
    """The same training, without a dry run before it."""
    return train(**WHOLE)


@pytest.fixture(scope="module")
def after(own_cache: Trainer, dry: Trained) -> Trained:
    """The training of the project that the dry run was of."""
    cached = {path: path.stat().st_mtime_ns for path in own_cache.cache.rglob("*") if path.is_file()}
    assert len([path for path in cached if path.parent.name == "latents"]) == 4
    trained = own_cache(dry.project, **WHOLE)
    assert {path: path.stat().st_mtime_ns for path in own_cache.cache.rglob("*") if path.is_file()} == cached
    return trained


def result(run: Trained) -> dict[str, Any]:
    found = json.loads(run.run.result_path.read_bytes())
    assert isinstance(found, dict)
    return found


def figures(run: Trained) -> list[dict[str, Any]]:
    """The step events without what tells of the clock."""
    clock = ("seq", "time", "seconds", "images_per_second")
    return [{name: value for name, value in step.items() if name not in clock} for step in run.of("step")]


def test_its_steps_are_the_first_of_the_training(dry: Trained, whole: Trained) -> None:
    assert len(dry.losses) == 5
    assert figures(dry) == figures(whole)[:5]
    assert (dry.end["status"], dry.code) == ("finished", 0)
    assert [(job["total_steps"], job["total_epochs"]) for job in dry.of("job")] == [(5, 2)]


def test_it_leaves_nothing_but_a_sample(dry: Trained) -> None:
    for folder in (dry.run.output_dir, dry.run.checkpoints_dir):
        assert not list(folder.iterdir())
    assert not (dry.project / "model").exists()
    assert not dry.of("saved") + dry.of("checkpoint") + dry.of("warning")
    assert [path.name for path in dry.run.samples_dir.iterdir()] == ["step00000005_00_5.png"]
    assert [(e["step"], e["prompt"], e["seed"]) for e in dry.of("sample")] == [(5, "a man", 5)]
    assert [e["kind"] for e in dry.events if e["kind"] in ("sample", "step")] == ["step"] * 5 + ["sample"]


@pytest.mark.proof
def test_the_training_after_it_is_as_without_it(after: Trained, whole: Trained) -> None:
    """With the pictures encoded already (`after`)."""
    assert after.files == whole.files
    assert "ohwx.safetensors" in after.files
    assert not after.warnings
    assert figures(after) == figures(whole)
    for name in whole.files:
        assert same(after.saved(name), whole.saved(name)), name


def test_it_takes_no_name_and_asks_for_none(own_cache: Trainer, after: Trained) -> None:
    """Also where an earlier training has taken the name: nothing is said of a LoRA that is not made."""
    again = own_cache(after.project, arguments={"dry_run": 1}, **WHOLE)
    assert not again.warnings
    assert after.files == sorted(path.name for path in (after.project / "model").iterdir())


def test_what_it_says(dry: Trained) -> None:
    said = result(dry)
    assert {
        name: said[name] for name in ("dry_run", "peak_bytes", "step", "total_steps", "whole_steps", "complete")
    } == {
        "dry_run": 5,
        "peak_bytes": None,
        "step": 5,
        "total_steps": 5,
        "whole_steps": 12,
        "complete": True,
    }
    assert 0 < said["seconds_per_step"] < 10
    assert said["estimated_seconds"] > 12 * said["seconds_per_step"]
    assert said["message"] == dry.end["message"]
    assert said["message"].startswith("Five steps went well: ")
    assert "s each, so the 12 steps take about " in said["message"]
    assert said["message"].endswith(" with the samples.")


def test_a_training_that_is_shorter_is_done_whole(train: Trainer, plain: Trained) -> None:
    run = train(arguments={"dry_run": 5})
    assert run.losses == plain.losses
    assert run.of("job")[0]["total_steps"] == result(run)["dry_run"] == 3
    assert run.end["message"].startswith("Three steps went well: ")
    assert "so the 3 steps take about" in run.end["message"]
    assert "samples" not in run.end["message"]
    assert not run.files
    assert not run.of("sample")


def test_a_sample_that_fails_is_told(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("too little")

    monkeypatch.setattr("engine.generate.sampler.Sampler.pictures", fail)
    run = train(arguments={"dry_run": 2}, **WHOLE)
    assert list(run.warnings) == ["sample-failed"]
    assert run.end["status"] == "finished"
    assert "the sample picture could not be made" in run.end["message"]
    assert "with the samples" not in run.end["message"]


# ----------------------------------------------------------------------------------------------- stopping and commands
def assert_nothing_is_saved(run: Trained) -> None:
    assert not list(run.run.output_dir.iterdir()) + list(run.run.checkpoints_dir.iterdir())
    assert not (run.project / "model").exists()
    assert not run.of("saved") + run.of("checkpoint")


def test_stopped_it_saves_nothing(train: Trainer, before_call: Callable[..., None]) -> None:
    before_call(loop_module, "train_step", {2: ask_to_stop})
    run = train(arguments={"dry_run": 5}, **WHOLE)
    assert (run.end["status"], run.code) == ("stopped", 3)
    assert run.end["message"] == "Stopped after step 2 of 5. It was a dry run, so nothing is saved."
    assert result(run)["seconds_per_step"] is None
    assert result(run)["estimated_seconds"] is None
    assert len(run.losses) == 2
    assert not run.of("sample")
    assert_nothing_is_saved(run)
    assert not resumable(run.run, observe(run.run))


def test_stopped_while_it_draws_it_is_not_finished(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    original = SampleMaker.make

    def stopped_first(maker: SampleMaker, *arguments: Any) -> bool:
        ask_to_stop()
        return original(maker, *arguments)

    monkeypatch.setattr("engine.context.PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(SampleMaker, "make", stopped_first)
    run = train(arguments={"dry_run": 2}, **WHOLE)
    assert (run.end["status"], run.code) == ("stopped", 3)
    assert not run.of("sample")


def test_commands_that_save_are_refused_or_do_without(train: Trainer, before_call: Callable[..., None]) -> None:
    project = train.project()
    run = train.prepare(project, {"dry_run": 5}, **WHOLE)

    def ask() -> None:
        for command in ("checkpoint", "pause", "resume"):
            control.send(run, command)

    before_call(loop_module, "train_step", {2: ask})
    done = train.do(run, project)
    assert [(e["command"], e["result"]) for e in done.of("command")] == [
        ("checkpoint", "refused"),
        ("pause", "done"),
        ("resume", "done"),
    ]
    assert done.end["status"] == "finished"
    assert len(done.losses) == 5
    assert_nothing_is_saved(done)


# ------------------------------------------------------------------------------------------------------------ resuming
def test_nobody_goes_on_with_it(dry: Trained) -> None:
    assert not dry.run.is_training
    for changed in (None, {"max_train_epochs": 9}):
        with pytest.raises(UserError) as refused:
            prepare(dry.run, changed)
        assert refused.value.code == "cannot-resume"
        assert "dry run" in refused.value.message
    assert dry.run.job_path.name == "job.toml"


def test_a_training_can_be_gone_on_with(plain: Trained) -> None:
    assert plain.run.is_training
    assert plain.run.job.dry_run == 0


@pytest.mark.parametrize("nonsense", [-1, "five", 2.5, True])
def test_nonsense_is_no_dry_run_and_no_training(train: Trainer, nonsense: object) -> None:
    run = train.prepare(train.project(), {"dry_run": nonsense})
    assert not run.is_training
    with pytest.raises(UserError) as bad:
        _ = run.job
    assert bad.value.code == "bad-job"
    assert "dry_run" in bad.value.message


# ---------------------------------------------------------------------------------------------------------- arithmetic
LENGTH = Steps(1500, 1500, 200, 750, 750, 4, 3000, "")


@pytest.mark.parametrize(("most", "total", "epochs"), [(5, 5, 1), (750, 750, 1), (751, 751, 2), (9999, 3000, 4)])
def test_how_long_it_is(most: int, total: int, epochs: int) -> None:
    short = shortened(LENGTH, most)
    assert (short.total, short.epochs, short.steps_per_epoch) == (total, epochs, 750)


def told(ends: list[float], sample: float | None, every: int = 250, at_first: bool = False, steps: int = 5) -> DryRun:
    """A dry run whose steps ended at `ends` (the beginning is 0), and whose sample took so many seconds."""
    values = settings(sample_every_n_steps=every, sample_at_first=at_first)
    asked = [SamplePrompt("a", 64, 64, 1, steps=10), SamplePrompt("b", 64, 128, 1, steps=5)]
    context: Any = None
    run = DryRun(context, values, LENGTH, steps, asked, torch.device("cpu"))
    run._moments, run._sample_seconds = [0.0, *ends], sample
    return run


def test_the_first_step_and_a_single_slow_one_do_not_count() -> None:
    run = told([9.0, 9.7, 10.42, 20.42, 21.16], sample=None, every=0)
    assert run.seconds_per_step == pytest.approx(0.73)
    assert run.estimated_seconds == pytest.approx(3000 * 0.73)
    assert run._message(None) == "Five steps went well: 0.73 s each, so the 3,000 steps take about 36 min."


def test_samples_count_as_often_and_as_large_as_they_are_drawn() -> None:
    """12 times in 3,000 steps, two pictures of the same work each; once more before the first step."""
    assert told([1, 2, 3, 4, 5], sample=6.0).estimated_seconds == pytest.approx(3000 + 12 * 2 * 6)
    assert told([1, 2, 3, 4, 5], sample=6.0, at_first=True).estimated_seconds == pytest.approx(3000 + 13 * 2 * 6)


def test_validations_count_as_often_as_they_are_due() -> None:
    """After each of four epochs of 750 steps, and after every 500th step, which once is the same."""
    run = told([1, 2, 3, 4, 5], sample=None, every=0)
    run.settings = settings(validation_split=0.1, validate_every_n_steps=500)
    run._validation_seconds = 20.0
    assert run.estimated_seconds == pytest.approx(3000 + (4 + 6 - 2) * 20)


def test_it_validates_once_to_know_how_long_that_takes(train: Trainer) -> None:
    run = train(arguments={"dry_run": 5}, validation_split=0.5, max_train_epochs=9)
    assert [event["step"] for event in run.of("validation")] == [5]
    assert run.end["status"] == "finished"


def test_where_there_is_only_one_step_it_counts() -> None:
    run = told([1.5], sample=2.0, steps=1)
    assert run._message(11 * 2**30) == (
        "One step went well: 1.50 s, so the 3,000 steps take about 76 min with the samples. "
        "At most 11.0 GiB of GPU memory were in use."
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (48, "48 s"), (89.4, "89 s"), (95, "2 min"), (2160, "36 min"), (7500, "2 h 05 min")],
)
def test_about_how_long(seconds: float, words: str) -> None:
    assert dry_run_module._about(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.0044, "0.0044 s"), (0.716, "0.72 s"), (14.2, "14 s")])
def test_how_long_a_step_took(seconds: float, words: str) -> None:
    assert dry_run_module._exactly(seconds) == words
