"""Killed by SIGKILL inside an epoch and gone on with, a training equals the undisturbed one to the bit, whatever is
trained and however (`test_resume` does it at every moment, with the usual settings)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.runs.resume import prepare
from engine.train import loop, optimizers
from tests.train.test_resume import MOMENTS, WHOLE, killed, steps_as_read
from tests.training import Trainer, ask_to_stop, same

ADAMW = {"optimizer_type": "AdamW", "optimizer_args": (), "learning_rate": 1e-3}
SETTINGS: dict[str, dict[str, Any]] = {
    "text encoders": {"train_text_encoder_1": True, "train_text_encoder_2": True},
    "text encoder alone, at its own rate": ADAMW
    | {"train_unet": False, "train_text_encoder_1": True, "text_encoder_lr": "5e-4"},
    "Adafactor": {
        "optimizer_type": "Adafactor",
        "optimizer_args": ("scale_parameter=False", "relative_step=False", "warmup_init=False"),
        "learning_rate": 1e-3,
    },
    "LoCon with dropout": {"conv_dim": 3, "network_dropout": 0.2, "rank_dropout": 0.2, "module_dropout": 0.1},
    "average": {"use_ema": True, "ema_decay": 0.9},
    "gradient accumulation, cosine": ADAMW
    | {"gradient_accumulation_steps": 2, "max_train_epochs": 6, "lr_scheduler": "cosine", "lr_warmup_steps": 2.0},
    "v-prediction": {"v_parameterization": "true", "zero_terminal_snr": "true", "multires_noise_iterations": 3},
    "base model in 8 bits": {"base_weights": "fp8"},
    "base model in 4 bits": {"base_weights": "nf4", "conv_dim": 3},
    "captions and mirrors": {
        "cache_text_encoder_outputs": False,
        "cache_latents": False,
        "shuffle_caption": True,
        "caption_tag_dropout_rate": 0.3,
        "flip_aug": True,
    },
}

QUICK = ("text encoders", "Adafactor", "LoCon with dropout", "base model in 4 bits", "captions and mirrors")
"""Half of them, as different as can be; the others are tried by `make proof`, and by benchmarks.crashes."""


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
    undisturbed = train(**WHOLE)
    project = train.project()
    run = train.prepare(project, **WHOLE)
    before_call(loop, "train_step", {3: ask_to_stop})
    assert train.do(run, project).end["status"] == "stopped"
    prepare(run)
    assert same(train.do(run, project).lora, undisturbed.lora)
