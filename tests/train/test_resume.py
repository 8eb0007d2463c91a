"""A run that was killed or stopped goes on as if nothing had happened: the same LoRA to the bit, the same steps."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import engine.data.cache as cache_module
import engine.generate.sampler as sampler_module
import engine.plan.files as files_module
import engine.train.checkpointing as checkpointing_module
import engine.train.loop as loop_module
import engine.train.saving as saving_module
import engine.train.state as state_module
from engine.__main__ import work
from engine.plan.base_model import recognise
from engine.plan.dataset import scan
from engine.plan.disk import disk_use
from engine.plan.errors import UserError
from engine.plan.optimizers import ADAFACTOR_ARGS
from engine.plan.project import Project
from engine.runs.checkpoints import list_checkpoints
from engine.runs.events import read_all
from engine.runs.fold import fold
from engine.runs.folder import RunFolder
from engine.runs.resume import prepare
from engine.runs.state import observe
from tests.training import Trained, Trainer, ask_to_stop, make_project, same

# 4 pictures in 3 batches, 4 epochs: 12 steps. Everything that a run does happens at least twice.
WHOLE: dict[str, Any] = {
    "max_train_epochs": 4,
    "checkpoint_every_n_steps": 2,
    "sample_every_n_steps": 4,
    "sample_prompts": ("a man --w 64 --h 64 --s 2",),
    "optimizer_type": "Prodigy",
    "optimizer_args": ("weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True"),
    "learning_rate": 1.0,
    "noise_offset": 0.1,
    "caption_dropout_rate": 0.2,
    "min_snr_gamma": 5.0,
    "scale_weight_norms": 5.0,
}


@pytest.fixture(scope="module")
def own_cache(train: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Trainer]:
    """Trainers whose cache is their own and empty, so that caching can be interrupted."""

    def make() -> Trainer:
        root = tmp_path_factory.mktemp("resume")
        (root / "projects").mkdir()
        (root / "cache").mkdir()
        return Trainer(train.base, root / "projects", root / "cache")

    return make


@pytest.fixture(scope="module")
def undisturbed(own_cache: Callable[[], Trainer]) -> Trained:
    run = own_cache()(**WHOLE)
    assert run.end["status"] == "finished"
    assert len(run.of("step")) == 12
    return run


def steps_as_read(run: RunFolder) -> list[dict[str, Any]]:
    """The step events as a reader keeps them, without what tells of the clock."""
    kept: list[dict[str, Any]] = []
    for event in read_all(run.events_path):
        if event["kind"] == "resumed":
            kept = [step for step in kept if step["step"] <= event["from_step"]]
        elif event["kind"] == "step":
            kept.append({k: v for k, v in event.items() if k not in ("seq", "time", "seconds", "images_per_second")})
    return kept


def killed(run: RunFolder, arrange: Callable[[], None]) -> None:
    """An engine of its own works on `run`, with `arrange` done to it first, and is gone by SIGKILL."""
    child = os.fork()
    if child == 0:
        try:
            arrange()
            work(run)
        finally:
            os._exit(7)  # it should never come here
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"exit code {os.waitstatus_to_exitcode(status)}"
    assert os.WTERMSIG(status) == signal.SIGKILL


@dataclass(frozen=True)
class At:
    """Kills the process in the `call`-th call of `module.name`: before its work, or after it."""

    owner: Any
    name: str
    call: int
    after: bool = False

    def __call__(self) -> None:
        original, count = getattr(self.owner, self.name), 0

        def counted(*arguments: Any, **rest: Any) -> Any:
            nonlocal count
            count += 1
            if count == self.call and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*arguments, **rest)
            if count == self.call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(self.owner, self.name, counted)


MOMENTS = {
    "encoding captions": At(cache_module.Texts, "_encode", 3),
    "encoding pictures": At(cache_module.Latents, "_encode", 2),
    "in the first step": At(loop_module, "train_step", 1),
    "inside an epoch": At(loop_module, "train_step", 8),
    "writing the tensors of a checkpoint": At(state_module, "_save", 4),
    "a checkpoint before its rename": At(state_module, "_synced", 5),
    "between a checkpoint's rename and its event": At(checkpointing_module.state, "write", 2, after=True),
    "thinning checkpoints": At(shutil, "rmtree", 1),
    "drawing a sample": At(sampler_module.Sampler, "_decoded", 2),
    "between a sample's file and its event": At(files_module, "sync_folder", 14, after=True),
    "writing the LoRA of an epoch": At(saving_module.weights, "write", 2),
    "before a LoRA is shown in model/": At(saving_module.output, "publish", 2),
    "after a LoRA is shown in model/": At(saving_module.output, "publish", 1, after=True),
    "writing the finished LoRA": At(saving_module.weights, "write", 4, after=True),
}
QUICK = (
    "inside an epoch",
    "between a checkpoint's rename and its event",
    "before a LoRA is shown in model/",
    "writing the finished LoRA",
)
"""Some of them; of the others some come in `test_killed_again_and_again`, and all in `make proof`."""


@pytest.mark.parametrize(
    "moment", [pytest.param(name, marks=() if name in QUICK else pytest.mark.proof) for name in MOMENTS]
)
def test_killed_and_resumed_is_equal_to_the_bit(
    own_cache: Callable[[], Trainer], undisturbed: Trained, moment: str
) -> None:
    trainer = own_cache()
    project = trainer.project()
    run = trainer.prepare(project, **WHOLE)
    killed(run, MOMENTS[moment])
    assert observe(run).state == "died"

    prepare(run)
    resumed = trainer.do(run, project)

    assert resumed.end["status"] == "finished", resumed.end
    assert resumed.files == undisturbed.files
    for name in resumed.files:
        assert same(resumed.saved(name), undisturbed.saved(name)), name
    assert steps_as_read(run) == steps_as_read(undisturbed.run)
    whole, other = (fold(read_all(r.events_path)) for r in (run, undisturbed.run))
    assert [s.path for s in whole.samples] == [s.path for s in other.samples]
    for sample in whole.samples:
        assert (run.path / sample.path).read_bytes() == (undisturbed.run.path / sample.path).read_bytes()
    assert [s.path for s in whole.saved] == [s.path for s in other.saved]
    assert [c.step for c in list_checkpoints(run)] == [10, 12]
    result = json.loads(run.result_path.read_bytes())
    assert [Path(p).name for p in result["lora"]] == [Path(p).name for p in undisturbed_loras(undisturbed)]
    assert not [path for path in project.rglob(".*") if path.is_file()], "temporary files are left"


def undisturbed_loras(run: Trained) -> list[str]:
    loras: list[str] = json.loads(run.run.result_path.read_bytes())["lora"]
    return loras


def test_killed_again_and_again(own_cache: Callable[[], Trainer], undisturbed: Trained) -> None:
    trainer = own_cache()
    project = trainer.project()
    run = trainer.prepare(project, **WHOLE)
    for moment in ("encoding pictures", "in the first step", "inside an epoch", "drawing a sample"):
        killed(run, MOMENTS[moment])
    resumed = trainer.do(run, project)
    assert same(resumed.lora, undisturbed.lora)
    assert steps_as_read(run) == steps_as_read(undisturbed.run)


def test_adamw_and_a_stop_go_on_to_the_bit(train: Trainer, before_call: Callable[..., None]) -> None:
    values: dict[str, Any] = {"max_train_epochs": 3, "checkpoint_every_n_steps": 0}
    whole = train(**values)
    project = train.project()
    run = train.prepare(project, **values)
    before_call(loop_module, "train_step", {4: ask_to_stop})
    stopped = train.do(run, project)
    assert (stopped.end["status"], stopped.code) == ("stopped", 3)
    assert [c.step for c in list_checkpoints(run)] == [4]
    assert "ohwx-step00000004.safetensors" in stopped.files
    resumed = train.do(run, project)
    assert same(resumed.lora, whole.lora)
    assert steps_as_read(run) == steps_as_read(whole.run)
    assert [e["from_step"] for e in resumed.of("resumed")] == [4]


def test_option_checkpoint_every_n_steps_and_keep_last_n_checkpoints(train: Trainer) -> None:
    run = train(max_train_epochs=3, checkpoint_every_n_steps=2, keep_last_n_checkpoints=3)
    assert [e["step"] for e in run.of("checkpoint")] == [2, 4, 6, 8, 9]
    assert [c.step for c in list_checkpoints(run.run)] == [6, 8, 9]
    assert [Path(e["path"]).name for e in run.of("checkpoint-removed")] == ["step-00000002", "step-00000004"]
    for event, checkpoint in zip(run.of("checkpoint")[2:], list_checkpoints(run.run), strict=True):
        assert event["bytes"] == checkpoint.bytes == sum(f.stat().st_size for f in checkpoint.path.iterdir())
        assert event["epoch"] == checkpoint.epoch


@pytest.mark.parametrize(
    "optimizer",
    ["Prodigy", *(pytest.param(n, marks=pytest.mark.proof) for n in ("AdamW", "Lion")), "Adafactor", "AdamW8bit"],
)
def test_a_checkpoint_is_as_large_as_was_said(train: Trainer, undisturbed: Trained, optimizer: str) -> None:
    values = WHOLE | {"max_train_epochs": 1, "network_dim": 32}
    if optimizer == "AdamW8bit":
        pytest.importorskip("bitsandbytes")
    if optimizer != "Prodigy":
        arguments = ADAFACTOR_ARGS if optimizer == "Adafactor" else ()
        values |= {"optimizer_type": optimizer, "optimizer_args": arguments, "learning_rate": 1e-4}
    run = train(**values)
    settings = run.run.job.settings
    assert settings is not None
    use = disk_use(settings, scan(Project.open(run.project), settings), recognise("micro"))
    # over it only headers, and what aligns the layers in the flat buffers
    headers = 150_000 if optimizer == "Adafactor" else 60_000  # three tensors for each down and each up
    assert use.checkpoint < run.of("checkpoint")[-1]["bytes"] < use.checkpoint * 1.01 + headers
    assert use.lora < run.of("saved")[-1]["bytes"] < use.lora * 1.01 + 60_000


@pytest.mark.parametrize(
    "values",
    [{"conv_dim": 16}, {"train_text_encoder_1": True, "train_text_encoder_2": True}, {"use_ema": True}],
    ids=["convolutions", "text encoders", "average"],
)
def test_whatever_is_trained_is_as_large_as_was_said(train: Trainer, values: dict[str, object]) -> None:
    run = train(**(WHOLE | {"max_train_epochs": 1, "network_dim": 32} | values))
    settings = run.run.job.settings
    assert settings is not None
    use = disk_use(settings, scan(Project.open(run.project), settings), recognise("micro"))
    assert use.checkpoint < run.of("checkpoint")[-1]["bytes"] < use.checkpoint * 1.01 + 90_000
    assert use.lora < run.of("saved")[-1]["bytes"] < use.lora * 1.01 + 90_000


def test_the_cache_is_as_large_as_was_said(train: Trainer, tmp_path: Path) -> None:
    values = {"flip_aug": True, "caption_dropout_rate": 0.1, "sample_every_n_steps": 0}
    run = train(make_project(tmp_path / "own"), max_train_epochs=1, **values)
    settings, project = run.run.job.settings, Project.open(run.project)
    assert settings is not None
    use = disk_use(settings, scan(project, settings), recognise("micro"))
    cached = [path.stat().st_size for path in project.cache_dir.glob("*/*")]
    assert use.cache < sum(cached) < use.cache + 300 * len(cached)


# ------------------------------------------------------------------------------------------------ what may change
def test_two_more_epochs_are_those_of_a_longer_training(train: Trainer) -> None:
    longer = train(max_train_epochs=3)
    project = train.project()
    short = train.do(train.prepare(project, max_train_epochs=1), project)
    assert short.files == ["ohwx.safetensors"]
    with pytest.raises(UserError) as nothing:
        prepare(short.run)
    assert nothing.value.code == "nothing-left"
    assert "max_train_epochs=3" in nothing.value.hint

    prepare(short.run, {"max_train_epochs": 3})
    assert short.run.job_path.name == "job-2.toml"
    more = train.do(short.run, project)
    assert more.end["status"] == "finished"
    assert more.files == longer.files == ["ohwx-000001.safetensors", "ohwx-000002.safetensors", "ohwx.safetensors"]
    for name in more.files:
        assert same(more.saved(name), longer.saved(name)), name
    assert steps_as_read(more.run) == steps_as_read(longer.run)


def test_what_a_step_computes_cannot_change(train: Trainer, plain: Trained) -> None:
    with pytest.raises(UserError) as refused:
        prepare(plain.run, {"network_dim": 8, "learning_rate": 0.5, "max_train_epochs": 9})
    assert refused.value.code == "cannot-change"
    assert "network_dim" in refused.value.message
    assert "learning_rate" in refused.value.message
    assert "max_train_epochs" in refused.value.hint
    assert plain.run.job_path.name == "job.toml"


def half_done(train: Trainer) -> tuple[RunFolder, Path]:
    project = make_project(train.root / f"half{len(list(train.root.iterdir()))}", train.cache)
    run = train.prepare(project, max_train_epochs=2, checkpoint_every_n_steps=2)
    killed(run, At(loop_module, "train_step", 5))
    return run, project


def test_other_pictures_are_refused_by_name(train: Trainer) -> None:
    run, project = half_done(train)
    (project / "img" / "1_ohwx man" / "2.png").unlink()
    ended = train.do(run, project)
    assert ended.end["code"] == "pictures-changed"
    assert "1 missing" in ended.end["message"]
    assert "2.png" in ended.end["message"]
    assert [c.step for c in list_checkpoints(run)] == [2, 4]


def test_a_changed_caption_is_told_and_trained(train: Trainer) -> None:
    run, project = half_done(train)
    (project / "img" / "1_ohwx man" / "2.txt").write_text("something else")
    ended = train.do(run, project)
    assert ended.end["status"] == "finished"
    assert "2.png" in ended.warnings["captions-changed"]


DAMAGES = (b"", b"{", b'{"v": 1, "step": "x"}', None)
FILES = ("state.json", "lora.safetensors", "optimizer.safetensors")
QUICK_DAMAGES = {
    ("state.json", DAMAGES[1]),
    ("state.json", DAMAGES[2]),
    ("lora.safetensors", None),
    ("optimizer.safetensors", b""),
}


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        pytest.param(file, damage, marks=() if (file, damage) in QUICK_DAMAGES else pytest.mark.proof)
        for file in FILES
        for damage in DAMAGES
    ],
)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_taken(
    train: Trainer, half_way: tuple[RunFolder, Path], tmp_path: Path, file: str, damage: bytes | None
) -> None:
    project = tmp_path / "project"
    shutil.copytree(half_way[1], project, symlinks=True)
    run = RunFolder(project / "runs" / half_way[0].name)
    table = run.job_path.read_text().replace(str(half_way[1]), str(project))
    run.job_path.write_text(table)
    damaged = run.checkpoints_dir / "step-00000004" / file
    if damage is None:
        damaged.unlink()
    else:
        damaged.write_bytes(damage)
    ended = train.do(run, project)
    assert ended.end["status"] == "finished"
    assert [e["from_step"] for e in ended.of("resumed")] == [2]
    assert "step 4" in ended.warnings["checkpoint-damaged"]
    assert (run.checkpoints_dir / "damaged-step-00000004").is_dir()


@pytest.fixture(scope="module")
def half_way(train: Trainer) -> tuple[RunFolder, Path]:
    return half_done(train)
