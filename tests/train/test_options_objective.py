"""Each option of noise, loss and prediction type does what its name says, in a real training; nothing of it depends on
an interruption."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import engine.train.loop as loop_module
from engine.data.samples import MicroBatch
from engine.models.single_file import write_single_file
from engine.train.diffusion import alphas_cumprod, velocity
from engine.train.objective import Objective
from tests.training import Trained, Trainer, ask_to_stop, same

Seen = list[tuple[Tensor, MicroBatch, Objective]]
ALPHAS = alphas_cumprod(torch.device("cpu"))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What the loss of each batch is given."""
    calls: Seen = []
    original = loop_module.denoising_loss

    def watched(predicted: Tensor, batch: MicroBatch, objective: Objective) -> Tensor:
        calls.append((predicted.detach().clone(), batch, objective))
        return original(predicted, batch, objective)

    monkeypatch.setattr(loop_module, "denoising_loss", watched)
    return calls


@pytest.fixture(scope="module")
def v_model(train: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in a folder that says v-prediction and zero-terminal SNR."""
    folder = Path(shutil.copytree(train.base, tmp_path_factory.mktemp("v") / "v"))
    config = folder / "scheduler" / "scheduler_config.json"
    table = json.loads(config.read_text(encoding="utf-8"))
    table |= {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    config.write_text(json.dumps(table), encoding="utf-8")
    return folder


def errors(seen: Seen) -> Iterator[Tensor]:
    """What was predicted minus the noise, of each batch."""
    return (predicted - batch.noise for predicted, batch, _ in seen)


# --------------------------------------------------------------------------------------------------------------- noise
def test_option_noise_offset_random_strength_and_adaptive_noise_scale(train: Trainer, plain: Trained) -> None:
    full = train(noise_offset=1.0)
    random = train(noise_offset=1.0, noise_offset_random_strength=True)
    more, less = (train(noise_offset=1.0, adaptive_noise_scale=scale) for scale in (10.0, -10.0))
    assert plain.losses[0] < random.losses[0] < full.losses[0]  # the target's variance is 1 + offset²
    assert less.losses[0] < full.losses[0] < more.losses[0]
    assert random.lora.metadata["ss_noise_offset_random_strength"] == "True"
    assert more.lora.metadata["ss_adaptive_noise_scale"] == "10.0"


def test_option_multires_noise_iterations_and_multires_noise_discount(train: Trainer, seen: Seen) -> None:
    def coarse(**values: Any) -> float:
        """The variance of the noise's means over 4 × 4 pixels, in the first step."""
        seen.clear()
        run = train(learning_rate=0.0, **values)
        assert run.lora.metadata["ss_multires_noise_iterations"] == str(values.get("multires_noise_iterations"))
        return float(torch.nn.functional.avg_pool2d(torch.cat([s[1].noise for s in seen[:1]]), 4).var())

    none, weak = coarse(), coarse(multires_noise_iterations=6)
    strong = coarse(multires_noise_iterations=6, multires_noise_discount=0.9)
    assert none < weak < strong


def test_option_ip_noise_gamma_and_ip_noise_gamma_random_strength(train: Trainer, plain: Trained, seen: Seen) -> None:
    run = train(ip_noise_gamma=1.0)
    added = [batch.input_noise - batch.noise for _, batch, _ in seen if batch.input_noise is not None]
    assert len(added) == 3
    assert torch.cat([a.flatten() for a in added]).std().item() == pytest.approx(1.0, rel=0.05)
    assert run.losses[0] != plain.losses[0]
    assert run.losses[0] == pytest.approx(plain.losses[0], rel=0.3)  # the target is as it was
    seen.clear()
    random = train(ip_noise_gamma=1.0, ip_noise_gamma_random_strength=True)
    strengths = [(b.input_noise - b.noise).std(dim=(1, 2, 3)) for _, b, _ in seen if b.input_noise is not None]
    assert all(0 < strength < 1 for strength in torch.cat(strengths).tolist())
    assert random.losses[0] not in (run.losses[0], plain.losses[0])
    assert random.lora.metadata["ss_ip_noise_gamma"] == "1.0"


def test_option_min_timestep_and_max_timestep(train: Trainer, seen: Seen) -> None:
    run = train(min_timestep=400, max_timestep=403)
    timesteps = torch.cat([batch.timesteps for _, batch, _ in seen])
    assert (timesteps.min() >= 400, timesteps.max() <= 402) == (True, True)
    assert run.lora.metadata["modelspec.timestep_range"] == "400,403"
    nothing = train(min_timestep=400, max_timestep=400)
    assert (nothing.end["status"], nothing.end["code"]) == ("failed", "no-timesteps")


# ---------------------------------------------------------------------------------------------------------------- loss
def told(run: Trained, by_hand: list[Tensor]) -> None:
    assert run.losses == pytest.approx([float(value) for value in by_hand], rel=1e-5)


def test_option_loss_type(train: Trainer, seen: Seen) -> None:
    run = train(loss_type="l1")
    told(run, [error.abs().mean() for error in errors(seen)])
    assert run.lora.metadata["ss_loss_type"] == "l1"


@pytest.mark.parametrize("kind", ["huber", "smooth_l1"])
def test_option_huber_schedule_and_huber_c_and_huber_scale(train: Trainer, seen: Seen, kind: str) -> None:
    def by_hand(bound: Callable[[Tensor], Tensor]) -> list[Tensor]:
        losses = []
        for error, (_, batch, _) in zip(errors(seen), seen, strict=True):
            c = bound(batch.timesteps.double())[:, None, None, None]
            each = 2 * ((error**2 + c**2).sqrt() - c) * (c if kind == "huber" else 1.0)
            losses.append(each.mean())
        return losses

    def snr_bound(t: Tensor) -> Tensor:
        alpha = ALPHAS[t.long()].double()
        return 0.7 / (1 + ((1 - alpha) / alpha).sqrt()) ** 2 + 0.3

    for schedule, bound in (
        ("constant", lambda t: torch.full_like(t, 0.6)),
        ("exponential", lambda t: 2.0 * 0.3 ** (t / 1000)),
        ("snr", snr_bound),
    ):
        seen.clear()
        run = train(loss_type=kind, huber_schedule=schedule, huber_c=0.3, huber_scale=2.0)
        told(run, by_hand(bound))
        assert run.lora.metadata["ss_huber_schedule"] == schedule


def test_option_debiased_estimation_loss_and_v_pred_like_loss(train: Trainer, seen: Seen) -> None:
    def by_hand(weight: Callable[[Tensor], Tensor]) -> list[Tensor]:
        ratios = ALPHAS / (1 - ALPHAS)
        return [
            (error.square().mean(dim=(1, 2, 3)) * weight(ratios[batch.timesteps].clamp(max=1000))).mean()
            for error, (_, batch, _) in zip(errors(seen), seen, strict=True)
        ]

    run = train(debiased_estimation_loss=True)
    told(run, by_hand(lambda ratio: ratio**-0.5))
    assert run.lora.metadata["ss_debiased_estimation"] == "True"
    seen.clear()
    told(train(v_pred_like_loss=0.5), by_hand(lambda ratio: 1 + 0.5 * (ratio + 1) / ratio))


def test_option_scale_v_pred_loss_like_noise_pred(train: Trainer, v_model: Path) -> None:
    values: dict[str, Any] = {"pretrained_model_name_or_path": str(v_model), "learning_rate": 0.0}
    plain, scaled = train(**values), train(**values, scale_v_pred_loss_like_noise_pred=True)
    factors = [b / a for a, b in zip(plain.losses, scaled.losses, strict=True)]
    assert all(0 < factor < 1 for factor in factors)  # SNR / (SNR + 1)
    assert len({round(factor, 6) for factor in factors}) == 3


# ---------------------------------------------------------------------------------------------------- prediction type
def test_option_v_parameterization(train: Trainer, plain: Trained, seen: Seen) -> None:
    run = train(v_parameterization=True)
    by_hand = [
        (predicted - velocity(batch.latents, batch.noise, batch.timesteps, ALPHAS)).square().mean()
        for predicted, batch, _ in seen
    ]
    told(run, by_hand)
    assert run.losses[0] != plain.losses[0]
    assert run.lora.metadata["modelspec.prediction_type"] == "v"
    assert json.loads(run.lora.metadata["lora_tui.settings"].replace("'", '"'))["v_parameterization"] == "true"
    assert plain.lora.metadata["modelspec.prediction_type"] == "epsilon"


def test_option_zero_terminal_snr(train: Trainer, plain: Trained, seen: Seen) -> None:
    run = train(v_parameterization=True, zero_terminal_snr=True, min_timestep=999, min_snr_gamma=5.0)
    for _, batch, objective in seen:
        assert objective.alphas[-1].item() == 0.0
        assert torch.equal(objective.noisy(batch), batch.noise)
        assert torch.equal(objective.target(batch), -batch.latents)
    assert all(np.isfinite(run.losses))
    assert run.lora.metadata["ss_zero_terminal_snr"] == "True"
    assert plain.lora.metadata["ss_zero_terminal_snr"] == "False"


@pytest.mark.parametrize("form", ["folder", "file"])
def test_a_marked_model_is_trained_and_drawn_as_it_says(
    train: Trainer, v_model: Path, seen: Seen, tmp_path: Path, form: str
) -> None:
    base = v_model
    if form == "file":
        base = tmp_path / "v.safetensors"
        write_single_file(train.base, base)
        marks = {name: torch.tensor([]) for name in ("v_pred", "ztsnr")}
        save_file(load_file(base) | marks, base, metadata={"format": "pt"})
    samples = {"sample_every_n_steps": 3, "sample_prompts": ("a man --w 64 --h 64 --s 4 --d 3",)}
    run = train(pretrained_model_name_or_path=str(base), **samples)
    assert run.end["status"] == "finished"
    assert "sample-failed" not in run.warnings
    assert seen[0][2].velocity
    assert seen[0][2].alphas[-1].item() == 0.0
    metadata = run.lora.metadata
    assert (metadata["modelspec.prediction_type"], metadata["ss_zero_terminal_snr"]) == ("v", "True")
    drawn = np.asarray(Image.open(run.run.samples_dir / run.of("sample")[0]["path"].rpartition("/")[2]), dtype=float)
    assert drawn.std() > 1  # not NaN, which comes out as one colour
    as_noise = train(pretrained_model_name_or_path=str(base), v_parameterization="false", **samples)
    other = np.asarray(Image.open(next(iter(as_noise.run.samples_dir.iterdir()))), dtype=float)
    assert np.abs(drawn - other).max() > 0
    assert as_noise.lora.metadata["modelspec.prediction_type"] == "epsilon"


# ---------------------------------------------------------------------------------------------------------- resuming
def test_a_stopped_run_goes_on_to_the_same_lora_with_everything_random(
    train: Trainer, v_model: Path, before_call: Callable[..., None]
) -> None:
    everything: dict[str, Any] = {
        "pretrained_model_name_or_path": str(v_model),
        "max_train_epochs": 2,
        "noise_offset": 0.2,
        "noise_offset_random_strength": True,
        "adaptive_noise_scale": 0.1,
        "multires_noise_iterations": 4,
        "ip_noise_gamma": 0.2,
        "ip_noise_gamma_random_strength": True,
        "min_timestep": 10,
        "loss_type": "huber",
        "min_snr_gamma": 5.0,
        "debiased_estimation_loss": True,
    }
    whole = train(**everything)
    project = train.project()
    run = train.prepare(project, **everything)
    before_call(loop_module, "train_step", {4: ask_to_stop})
    stopped = train.do(run, project)
    assert stopped.end["status"] == "stopped"
    resumed = train.do(run, project)
    assert [e["from_step"] for e in resumed.of("resumed")] == [4]
    assert same(resumed.lora, whole.lora)
    assert resumed.losses[-1] == whole.losses[-1]
