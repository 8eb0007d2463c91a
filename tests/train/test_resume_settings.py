"""Killed by SIGKILL inside an epoch and gone on with, a training equals the undisturbed one to the bit, whatever is
trained and however (`test_resume` does it at every moment, with the usual settings)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import small_run
from engine.runs.resume import prepare
from engine.train import loop, optimizers
from tests.train.test_resume import MOMENTS, WHOLE, killed, steps_as_read
from tests.training import Trainer, ask_to_stop, same

SETTINGS: dict[str, dict[str, Any]] = {
    **small_run.KINDS,
    "accumulation": small_run.KINDS["accumulation"] | {"max_train_epochs": 6},
    "captions": small_run.KINDS["captions"] | {"cache_latents": False, "flip_aug": True},
    "text encoder alone, at its own rate": small_run.ADAMW
    | {"train_unet": False, "train_text_encoder_1": True, "text_encoder_lr": "5e-4"},
    "base model in 8 bits": {"base_weights": "fp8"},
    "base model in 4 bits": {"base_weights": "nf4", "conv_dim": 3},
}
QUICK = ("text-encoders", "captions")
"""Some of them, as different as can be (Adafactor: `test_optimizers`); the others are tried by `make proof`, and by
benchmarks.crashes."""


@pytest.mark.parametrize(
    "settings", [pytest.param(name, marks=() if name in QUICK else pytest.mark.proof) for name in SETTINGS]
)
def test_killed_and_resumed_is_equal_to_the_bit(train: Trainer, settings: str) -> None:
    values = WHOLE | SETTINGS[settings]
    if values.get("base_weights") == "nf4":
        pytest.importorskip("bitsandbytes")
    undisturbed = train(**values)
    assert undisturbed.end["status"] == "finished", undisturbed.end
    project = train.project()
    run = train.prepare(project, **values)
    killed(run, MOMENTS["inside an epoch"])
    prepare(run)
    resumed = train.do(run, project)
    assert resumed.end["status"] == "finished", resumed.end
    assert resumed.of("resumed")
    assert resumed.files == undisturbed.files
    for name in resumed.files:
        assert same(resumed.saved(name), undisturbed.saved(name)), name
    assert steps_as_read(run) == steps_as_read(undisturbed.run)
    pictures = [[(r.run.path / e["path"]).read_bytes() for e in r.of("sample")] for r in (resumed, undisturbed)]
    assert set(pictures[0]) == set(pictures[1])


def test_stopped_and_resumed_with_buffers_in_pieces(
    train: Trainer, before_call: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizers, "PIECE", 5000)
    values = WHOLE | {"max_train_epochs": 2, "sample_every_n_steps": 0}
    undisturbed = train(**values)
    project = train.project()
    run = train.prepare(project, **values)
    before_call(loop, "train_step", {3: ask_to_stop})
    assert train.do(run, project).end["status"] == "stopped"
    prepare(run)
    assert same(train.do(run, project).lora, undisturbed.lora)
