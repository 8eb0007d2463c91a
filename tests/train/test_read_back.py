"""A LoRA that does not do what was trained is told of when it is saved, and the training goes on."""

from __future__ import annotations

from typing import Any

import pytest

import engine.train.saving as saving_module
from tests.training import Trainer


def test_every_saved_lora_is_read_back(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    original = saving_module.what_differs
    monkeypatch.setattr(saving_module, "what_differs", lambda p, n, f: (looked_at.append(p.name), original(p, n, f))[1])
    run = train(max_train_epochs=2, train_text_encoder_1=True, use_ema=True, network_dropout=0.2, save_precision="bf16")
    assert looked_at == ["ohwx-000001.safetensors", "ohwx.safetensors"]
    assert "lora-differs" not in run.warnings


def test_a_wrong_alpha_is_noticed(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    original = saving_module.weights.state_dict

    def doubled(*arguments: Any) -> Any:
        return {name: t * 2 if name.endswith(".alpha") else t for name, t in original(*arguments).items()}

    monkeypatch.setattr(saving_module.weights, "state_dict", doubled)
    run = train()
    assert run.end["status"] == "finished"
    assert "its effect is off by" in run.warnings["lora-differs"]


def test_it_changes_nothing_in_the_training(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = train(max_train_epochs=2)
    monkeypatch.setattr(saving_module, "what_differs", lambda *_: "")
    without = train(max_train_epochs=2)
    assert with_it.losses == without.losses
