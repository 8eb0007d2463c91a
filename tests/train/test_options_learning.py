"""Each option of training, learning, network, noise and loss does what its name says, in a real training.

`test_options.py` sees to it that no option is without a test `test_option_NAME`.
"""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training import Trained, Trainer, apart, change, same


def norms(run: Trained) -> torch.Tensor:
    """The norm of each module's whole change."""
    return torch.stack([change(run.lora, stem).norm() for stem in run.lora.stems])


def size(run: Trained) -> float:
    """How large all of a LoRA's ups are together; they start at zero."""
    ups = [t.square().sum() for name, t in run.lora.tensors.items() if "lora_up" in name]
    return float(torch.stack(ups).sum().sqrt())


# ------------------------------------------------------------------------------------------------- model and precision
def test_option_pretrained_model_name_or_path(train: Trainer, plain: Trained, tmp_path: Path) -> None:
    other = Path(shutil.copytree(train.base, tmp_path / "other"))
    weights = other / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: t * 1.05 for name, t in load_file(weights).items()}, weights, metadata={"format": "pt"})
    run = train(pretrained_model_name_or_path=str(other))
    assert run.losses[0] != pytest.approx(plain.losses[0], rel=1e-3)
    assert run.lora.metadata["ss_sd_model_name"] == "other"


def test_option_vae(train: Trainer, plain: Trained, tmp_path: Path) -> None:
    other = Path(shutil.copytree(train.base, tmp_path / "other"))
    weights = other / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({name: t * 1.1 for name, t in load_file(weights).items()}, weights, metadata={"format": "pt"})
    run, same_one = train(vae=str(weights)), train(vae=str(train.base / "vae"))
    assert run.losses[0] != plain.losses[0]
    assert run.lora.metadata["ss_vae_name"] == weights.name
    assert same(same_one.lora, plain.lora)


def test_option_mixed_precision(train: Trainer, plain: Trained) -> None:
    half = train(mixed_precision="bf16")
    assert half.losses != plain.losses
    assert half.losses == pytest.approx(plain.losses, rel=0.02)
    assert apart(plain.lora, half.lora) < 0.7  # Adam's first steps only follow signs, so tiny gradients may differ
    assert size(half) == pytest.approx(size(plain), rel=0.02)
    assert half.lora.metadata["ss_mixed_precision"] == "bf16"


def test_option_save_precision(train: Trainer, plain: Trained) -> None:
    for name, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        run = train(save_precision=name)
        assert {tensor.dtype for tensor in run.lora.tensors.values()} == {dtype}
        for key, tensor in run.lora.tensors.items():
            assert torch.equal(tensor, plain.lora.tensors[key].to(dtype)), key
    assert {tensor.dtype for tensor in plain.lora.tensors.values()} == {torch.float32}


def test_option_gradient_checkpointing(train: Trainer, plain: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch.utils.checkpoint as module

    calls, original = [], module.checkpoint
    monkeypatch.setattr(module, "checkpoint", lambda *a, **k: calls.append(1) or original(*a, **k))
    train(seed=8)
    assert not calls
    run = train(gradient_checkpointing=True)
    assert len(calls) >= 3 * 5  # every step recomputes every block
    assert run.losses == pytest.approx(plain.losses, rel=1e-6)
    assert apart(plain.lora, run.lora) < 1e-3


# -------------------------------------------------------------------------------------------------------------- length
def test_option_train_batch_size(train: Trainer, plain: Trained) -> None:
    run = train(train_batch_size=1)
    assert (len(plain.losses), len(run.losses)) == (3, 4)
    assert run.lora.metadata["ss_batch_size_per_device"] == "1"


def test_option_gradient_accumulation_steps(train: Trainer, plain: Trained) -> None:
    run = train(gradient_accumulation_steps=2)
    assert (len(plain.losses), len(run.losses)) == (3, 2)
    assert run.of("job")[0]["total_steps"] == 2
    assert run.losses[0] != plain.losses[0]  # that of two batches


def test_option_max_train_epochs_and_save_every_n_epochs(train: Trainer) -> None:
    run = train(max_train_epochs=5, save_every_n_epochs=2)
    assert len(run.losses) == 5 * 3
    assert run.files == ["ohwx-000002.safetensors", "ohwx-000004.safetensors", "ohwx.safetensors"]
    saved = [(e["epoch"], e["step"], e["path"]) for e in run.of("saved")]
    assert saved == [
        (2, 6, "output/ohwx-000002.safetensors"),
        (4, 12, "output/ohwx-000004.safetensors"),
        (5, 15, "output/ohwx.safetensors"),
    ]
    early, late = run.saved("ohwx-000002.safetensors"), run.lora
    assert (early.metadata["ss_epoch"], late.metadata["ss_epoch"]) == ("2", "5")
    assert (early.metadata["ss_steps"], late.metadata["ss_steps"]) == ("6", "15")
    assert not same(early, late)


def test_option_seed(train: Trainer, plain: Trained) -> None:
    assert same(plain.lora, train(seed=7).lora)
    other = train(seed=8)
    assert other.losses[0] != plain.losses[0]
    assert not same(plain.lora, other.lora)


# ------------------------------------------------------------------------------------------------------------ learning
def test_option_optimizer_type(train: Trainer, plain: Trained) -> None:
    run = train(optimizer_type="Prodigy", learning_rate=1.0)
    assert plain.of("step")[0]["d"] is None
    assert run.of("step")[0]["d"] == pytest.approx(1e-4)  # the guide's arguments come with it
    assert run.lora.metadata["ss_optimizer"].startswith("prodigyopt.prodigy.Prodigy(weight_decay=0.01,")
    assert plain.lora.metadata["ss_optimizer"] == "torch.optim.adamw.AdamW"


def test_option_optimizer_args(train: Trainer) -> None:
    run = train(optimizer_type="Prodigy", learning_rate=1.0, optimizer_args=("d0=0.01", "weight_decay=0.1"))
    assert run.of("step")[0]["d"] == pytest.approx(0.01)
    assert run.of("step")[0]["lr"] == {"unet": pytest.approx(0.01)}
    assert run.lora.metadata["ss_optimizer"] == "prodigyopt.prodigy.Prodigy(d0=0.01,weight_decay=0.1)"
    wrong = train(optimizer_args=("no_such=1",))
    assert (wrong.end["status"], wrong.end["code"]) == ("failed", "bad-optimizer-args")
    assert "no_such" in wrong.end["message"]


def test_option_learning_rate(train: Trainer, plain: Trained) -> None:
    still, double = train(learning_rate=0.0), train(learning_rate=2e-3)
    assert size(still) == 0.0
    assert still.losses[0] == plain.losses[0]
    assert size(double) == pytest.approx(2 * size(plain), rel=0.05)
    assert double.of("step")[0]["lr"] == {"unet": 2e-3}


def test_option_max_grad_norm(train: Trainer, plain: Trained) -> None:
    first = plain.of("step")[0]["grad_norm"]
    assert 0 < first < 1.0
    assert same(plain.lora, train(max_grad_norm=0.0).lora)  # no gradient reaches the limit of 1 here
    short = train(max_grad_norm=1e-8)
    assert short.of("step")[0]["grad_norm"] == first  # as it was before it was cut
    assert size(short) < 0.3 * size(plain)  # so small that Adam's epsilon counts


# ------------------------------------------------------------------------------------------- noise, loss, captions, reg
def test_option_noise_offset(train: Trainer, plain: Trained) -> None:
    run = train(noise_offset=1.0)
    assert run.losses[0] > plain.losses[0] * 1.3  # the target's variance is 1 + offset²
    assert run.lora.metadata["ss_noise_offset"] == "1.0"


def test_option_caption_dropout_rate(train: Trainer, plain: Trained) -> None:
    always = train(caption_dropout_rate=1.0)
    project = train.project()
    for file in project.glob("img/*/*.txt"):
        file.write_text("\nonly the first line counts", encoding="utf-8")
    without = train(project)
    assert always.losses == without.losses
    assert same(always.lora, without.lora)
    assert always.losses != plain.losses


def test_option_min_snr_gamma(train: Trainer, plain: Trained) -> None:
    weighted, weakly = train(min_snr_gamma=1e-3), train(min_snr_gamma=1000.0)
    assert weighted.losses[0] < 0.5 * plain.losses[0]
    assert weakly.losses[0] == pytest.approx(plain.losses[0], rel=1e-3)
    assert weighted.lora.metadata["ss_min_snr_gamma"] == "0.001"


def test_option_prior_loss_weight(train: Trainer) -> None:
    def with_weight(weight: float) -> Trained:
        return train(reg=True, train_batch_size=1, prior_loss_weight=weight, learning_rate=0.0)

    full, half, none = with_weight(1.0), with_weight(0.5), with_weight(0.0)
    ratios = [b / a for a, b in zip(full.losses, half.losses, strict=True)]
    assert sorted(round(r, 4) for r in ratios) == [0.5] * 4 + [1.0] * 4  # as many regularisation pictures as others
    zeros = [loss == 0.0 for loss in none.losses]
    assert zeros == [r < 0.75 for r in ratios]


# ---------------------------------------------------------------------------------------------------------- properties
def test_accumulating_two_batches_of_one_is_a_batch_of_two(micro_folder: Path) -> None:
    from types import SimpleNamespace

    from engine.data.samples import Sample
    from engine.data.text_source import EncodedAhead
    from engine.demo import architecture
    from engine.lora.attach import LoraShape, attach
    from engine.models.checkpoint import load
    from engine.plan.caption_draws import CaptionRules
    from engine.train.job import make_accelerator
    from engine.train.loop import Training, train_step
    from engine.train.noise import Randomness, micro_batch
    from engine.train.objective import Objective
    from engine.train.processes import ALONE
    from tests.micro_model import base_of
    from tests.training import own_process, settings

    texts = {"": (torch.zeros(77, architecture.CROSS_ATTENTION_DIM), torch.zeros(64))}

    def sample(number: int) -> Sample:
        g = torch.Generator().manual_seed(number)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=g)

        width = architecture.CROSS_ATTENTION_DIM
        texts[str(number)] = normal(77, width), normal(64)
        return Sample(normal(4, 8, 8), normal(4, 8, 8).abs(), str(number), normal(6), 1.0)

    def gradients(parts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        unet = load(base_of(micro_folder)).unet
        network = attach({"unet": unet}, LoraShape(4, 2.0), 0)
        network.parts[0].ups.data.normal_(std=0.05, generator=torch.Generator().manual_seed(1))
        values = settings(gradient_accumulation_steps=len(parts), max_grad_norm=0.0)
        seen: list[torch.Tensor] = []
        optimizer = SimpleNamespace(step=lambda: seen.extend(p.grad.clone() for p in network.parameters))
        batches, position = [], 0
        cpu = torch.device("cpu")
        for part in parts:
            chosen = [sample(number) for number in part]
            source = EncodedAhead(CaptionRules(5, caption_dropout_rate=0.5), texts, cpu)
            where = {"epoch": 1, "step": 3, "first_position": position}
            batches.append(micro_batch(chosen, source, Randomness(5, 0.1), **where, scaling_factor=0.13025, device=cpu))
            position += len(part)
        with own_process():
            training: Any = SimpleNamespace(
                dtype=torch.float32,
                settings=values,
                accelerator=make_accelerator(values, cpu),
                unet=unet.train(),
                network=network,
                optimizer=optimizer,
                processes=ALONE,
            )
            training.predict = partial(Training.predict, training)
            figures = train_step(training, batches, Objective.of(values, cpu))
        return torch.cat(seen), figures

    (together, one), (apart_, two) = gradients([[0, 1]]), gradients([[0], [1]])
    assert together.abs().max() > 1e-4
    torch.testing.assert_close(apart_, together, rtol=1e-3, atol=1e-6 * float(together.abs().max()) * 100)
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_bf16_with_everything_switched_on_stays_close_to_fp32(train: Trainer) -> None:
    everything: dict[str, Any] = {
        "reg": True,
        "optimizer_type": "Prodigy",
        "optimizer_args": ("weight_decay=0.01", "d0=0.0001", "use_bias_correction=True"),
        "learning_rate": 1.0,
        "noise_offset": 0.1,
        "caption_dropout_rate": 0.1,
        "min_snr_gamma": 5.0,
        "scale_weight_norms": 5.0,
        "gradient_checkpointing": True,
        "max_train_epochs": 1,
    }
    exact, half = train(**everything), train(**everything, mixed_precision="bf16")
    assert half.end["status"] == "finished"
    assert half.losses == pytest.approx(exact.losses, rel=0.05)
    info = json.loads(half.lora.metadata["ss_bucket_info"])
    assert sum(bucket["count"] for bucket in info["buckets"].values()) == 8  # four pictures, four regularising
