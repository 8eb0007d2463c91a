"""Each option of the network does what its name says, in a real training."""

from __future__ import annotations

import json

import pytest
import torch

from engine.lora import weights
from tests.training import Trained, Trainer, apart, change, same


def norms(run: Trained) -> torch.Tensor:
    """The norm of each module's whole change."""
    return torch.stack([change(run.lora, stem).norm() for stem in run.lora.stems])


def test_option_network_dim(train: Trainer, plain: Trained) -> None:
    run = train(network_dim=8)
    for file, rank in ((plain.lora, 4), (run.lora, 8)):
        assert {t.shape[0] for name, t in file.tensors.items() if "lora_down" in name} == {rank}
        assert {t.shape[1] for name, t in file.tensors.items() if "lora_up" in name} == {rank}
    assert run.lora.metadata["ss_network_dim"] == "8"


def test_option_network_alpha(train: Trainer, plain: Trained) -> None:
    run = train(network_alpha=4.0)
    assert {float(t) for name, t in run.lora.tensors.items() if name.endswith(".alpha")} == {4.0}
    assert run.losses[0] == plain.losses[0]  # ups are zero before the first step
    ratio = run.of("step")[0]["grad_norm"] / plain.of("step")[0]["grad_norm"]
    assert ratio == pytest.approx(2.0, rel=1e-4)
    assert norms(run).mean() > 1.5 * norms(plain).mean()


def test_option_scale_weight_norms(train: Trainer, plain: Trained) -> None:
    limit = float(norms(plain).median())
    run = train(scale_weight_norms=limit)
    assert norms(plain).max() > 1.2 * limit
    assert norms(run).max() <= limit * (1 + 1e-5)
    assert same(plain.lora, train(scale_weight_norms=1000.0).lora)


def test_option_conv_dim(train: Trainer, plain: Trained) -> None:
    run = train(conv_dim=3, conv_alpha=1.5)
    more = set(run.lora.stems) - set(plain.lora.stems)
    large = [s for s in more if run.lora.tensors[f"{s}.lora_down.weight"].shape[-1] == 3]
    assert {stem for stem in large if stem.endswith("in_layers_2")}
    assert {stem for stem in more if stem.endswith("emb_layers_1")}
    assert {run.lora.tensors[f"{stem}.lora_down.weight"].shape[0] for stem in large} == {3}
    assert {tuple(run.lora.tensors[f"{stem}.lora_up.weight"].shape[1:]) for stem in large} == {(3, 1, 1)}
    assert all(run.lora.tensors[f"{stem}.lora_up.weight"].any() for stem in more)  # they have learnt
    arguments = json.loads(run.lora.metadata["ss_network_args"])
    assert arguments == {"conv_dim": "3", "conv_alpha": "1.5", "dropout": None}


def test_option_conv_alpha(train: Trainer) -> None:
    weak, strong = train(conv_dim=3, conv_alpha=0.3), train(conv_dim=3, conv_alpha=3.0)
    for run, alpha in ((weak, 0.3), (strong, 3.0)):
        large = [s for s in run.lora.stems if run.lora.tensors[f"{s}.lora_down.weight"].shape[-1] == 3]
        assert {round(float(run.lora.tensors[f"{stem}.alpha"]), 6) for stem in large} == {alpha}
    assert weak.losses[0] == strong.losses[0]
    assert strong.of("step")[0]["grad_norm"] > weak.of("step")[0]["grad_norm"]


def dropped(train: Trainer, plain: Trained, name: str) -> Trained:
    """A training with this dropout: other losses once there is something to drop, and the same ones with gradient
    checkpointing, which computes each layer twice. (That parts of a batch drop alike: `test_processes`.)"""
    whole = train(**{name: 0.4})
    assert whole.losses[0] == plain.losses[0]  # ups are zero before the first step
    assert whole.losses[1] != pytest.approx(plain.losses[1], rel=1e-6)
    again = train(**{name: 0.4}, gradient_checkpointing=True)
    assert again.losses == pytest.approx(whole.losses, rel=1e-5)
    return whole


def test_option_network_dropout(train: Trainer, plain: Trained) -> None:
    """Its share, and what makes up for it: tests/lora/test_dropout."""
    assert dropped(train, plain, "network_dropout").lora.metadata["ss_network_dropout"] == "0.4"


@pytest.mark.parametrize("name", ["rank_dropout", "module_dropout"])
def test_option_rank_dropout_and_module_dropout(train: Trainer, plain: Trained, name: str) -> None:
    run = dropped(train, plain, name)
    assert json.loads(run.lora.metadata["ss_network_args"]) == {name: "0.4", "dropout": None}


def test_option_network_weights(train: Trainer, plain: Trained) -> None:
    start = plain.run.output_dir / "ohwx.safetensors"
    still = train(network_weights=str(start), learning_rate=0.0)
    assert apart(still.lora, plain.lora) < 1e-6
    further = train(network_weights=str(start))
    assert norms(further).mean() > 1.2 * norms(plain).mean()
    assert further.losses[0] != plain.losses[0]
    assert weights.read(start).metadata == plain.lora.metadata  # it was only read
    refused = train(network_weights=str(start), network_dim=2)
    assert "Set network_dim = 4" in str(refused.end)


def test_option_use_ema(train: Trainer, plain: Trained) -> None:
    run = train(use_ema=True, ema_decay=0.9)
    assert run.losses == plain.losses  # the training itself is the same
    assert 0 < norms(run).mean() < norms(plain).mean()  # its steps go one way, and the average lags behind


def test_option_ema_decay(train: Trainer, plain: Trained) -> None:
    """After n steps at most (1 + n) / (10 + n) is kept, so that a short training has an average at all."""
    none, some = train(use_ema=True, ema_decay=0.0), train(use_ema=True, ema_decay=0.15)
    assert same(none.lora, plain.lora)
    assert norms(some).mean() < norms(none).mean()
    assert apart(some.lora, train(use_ema=True, ema_decay=0.2).lora) > 1e-4
