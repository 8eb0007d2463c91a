"""The validation loss: on pictures that are not trained, always with the same noise; the training does not notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.data.samples import MicroBatch
from engine.plan.dataset import scan
from engine.plan.errors import UserError
from engine.plan.project import Project
from engine.runs.events import read_all
from engine.runs.fold import fold
from engine.runs.resume import prepare
from engine.train import loop as loop_module
from engine.train import validation as validation_module
from engine.train.noise import generator
from tests.training import Trained, Trainer, ask_to_stop, same, settings

SPLIT: dict[str, Any] = {"validation_split": 0.5, "max_train_epochs": 2, "learning_rate": 0.02}
Seen = list[tuple[Tensor, MicroBatch, bool]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Of each forward pass of a validation: what was predicted, the batch, whether the U-Net was in training mode."""
    calls: Seen = []
    original = loop_module.Training.predict

    def watched(self: Any, noisy: Tensor, batch: MicroBatch, texts: Any) -> Tensor:
        predicted = original(self, noisy, batch, texts)
        if batch.step == 0:
            calls.append((predicted.detach().clone(), batch, self.unet.training))
        return predicted

    monkeypatch.setattr(loop_module.Training, "predict", watched)
    return calls


@pytest.fixture(scope="module")
def validated(train: Trainer) -> Trained:
    """Two pictures trained and two validated: two epochs of one or two steps."""
    return train(**SPLIT)


@pytest.fixture(scope="module")
def still(train: Trainer) -> Trained:
    """The same without learning anything."""
    return train(**SPLIT | {"learning_rate": 0.0})


def rounds(run: Trained) -> list[tuple[int, float]]:
    return [(event["step"], event["loss"]) for event in run.of("validation")]


def test_option_validation_split_and_validation_seed(train: Trainer, plain: Trained, seen: Seen) -> None:
    run = train(**SPLIT | {"learning_rate": 0.0})
    project = Project.open(run.project)
    plan = scan(project, settings(**SPLIT))
    names = {p.path.name for p in plan.validation}
    assert len(names) == 2
    assert run.of("job")[0]["total_steps"] == plan.steps.total < 2 * len(plain.of("step"))
    metadata = run.lora.metadata
    assert metadata["ss_num_validation_images"] == "2"
    assert metadata["ss_num_train_images"] == "2"
    assert (metadata["ss_validation_split"], metadata["ss_validation_seed"]) == ("0.5", "42")
    assert (metadata["ss_validate_every_n_epochs"], metadata["ss_validate_every_n_steps"]) == ("1", "None")
    assert plain.lora.metadata["ss_validation_seed"] == "None"
    # two pictures at four timesteps, twice, all with the noise of their own
    looks = [(t, noise) for _, batch, _ in seen for t, noise in zip(batch.timesteps.tolist(), batch.noise, strict=True)]
    assert sorted(t for t, _ in looks) == sorted([200, 400, 600, 800] * 4)
    by_hand = [
        torch.randn(4, p.bucket[1] // 8, p.bucket[0] // 8, generator=generator(42, f"validation noise {p.name}", t, 0))
        for p in plan.validation
        for t in (200, 400, 600, 800)
    ]
    for noise in by_hand:
        assert sum(other.shape == noise.shape and torch.equal(other, noise) for _, other in looks) == 2
    squares = torch.cat([(out - batch.noise).square().mean(dim=(1, 2, 3)) for out, batch, _ in seen[: len(seen) // 2]])
    ((_, first), (_, second)) = rounds(run)
    assert first == pytest.approx(squares.mean().item(), rel=1e-6)
    assert first == second  # nothing was learnt, so nothing may change
    told = run.of("validation")[0]
    assert sum(told["losses"].values()) / 4 == pytest.approx(first)
    assert (list(told["losses"]), told["pictures"]) == (["200", "400", "600", "800"], 2)
    other = train(**SPLIT | {"learning_rate": 0.0, "validation_seed": 1, "max_train_epochs": 1})
    assert rounds(other)[0][1] != first


def test_option_validate_every_n_epochs_and_validate_every_n_steps(train: Trainer, validated: Trained) -> None:
    per_epoch = validated.of("job")[0]["total_steps"] // 2
    assert [step for step, _ in rounds(validated)] == [per_epoch, 2 * per_epoch]
    assert [e["epoch"] for e in validated.of("validation")] == [1, 2]
    often = train(**SPLIT, validate_every_n_epochs=0, validate_every_n_steps=1)
    assert [step for step, _ in rounds(often)] == list(range(1, 2 * per_epoch + 1))
    assert rounds(often)[-1] == rounds(validated)[-1]
    never = train(**SPLIT, validate_every_n_epochs=0)
    assert not never.of("validation")
    assert never.lora.metadata["ss_num_validation_images"] == "2"


def test_the_loss_follows_what_is_learnt(validated: Trained, still: Trained) -> None:
    (_, first), (_, second) = rounds(validated)
    assert len({first, second, rounds(still)[0][1]}) == 3


def test_no_other_option_changes_what_is_measured(train: Trainer, still: Trained) -> None:
    others = {
        "seed": 99, "noise_offset": 1.0, "multires_noise_iterations": 3, "ip_noise_gamma": 0.5, "min_timestep": 900,
        "loss_type": "huber", "min_snr_gamma": 0.5, "debiased_estimation_loss": True, "caption_dropout_rate": 1.0,
        "flip_aug": True, "network_dropout": 0.5, "train_batch_size": 3, "prior_loss_weight": 0.1,
        "cache_latents": False, "cache_text_encoder_outputs": False, "shuffle_caption": True,
        "caption_tag_dropout_rate": 0.5,
    }  # fmt: skip
    ((_, loss),) = rounds(train(**SPLIT | {"learning_rate": 0.0, "max_train_epochs": 1} | others))
    assert loss == pytest.approx(rounds(still)[0][1], rel=1e-5)


EVERYTHING: dict[str, Any] = SPLIT | {
    "train_text_encoder_1": True,
    "train_text_encoder_2": True,
    "gradient_checkpointing": True,
    "network_dropout": 0.2,
    "rank_dropout": 0.2,
    "module_dropout": 0.2,
    "use_ema": True,
    "caption_dropout_rate": 0.3,
    "flip_aug": True,
    "noise_offset": 0.1,
}


def test_validating_changes_no_bit_of_the_training(train: Trainer, seen: Seen) -> None:
    with_it = train(**EVERYTHING, validate_every_n_steps=1)
    assert len(seen) > 0
    assert not any(training for _, _, training in seen)  # nothing drops out
    without = train(**EVERYTHING, validate_every_n_epochs=0)
    assert len(with_it.of("validation")) == len(with_it.of("step"))
    assert not without.of("validation")
    assert same(with_it.lora, without.lora)
    assert with_it.losses == without.losses


def test_with_an_average_it_is_the_average_that_is_validated(train: Trainer, validated: Trained) -> None:
    averaged = train(**SPLIT, use_ema=True, ema_decay=0.9)
    assert averaged.losses == validated.losses
    assert rounds(averaged)[-1] != rounds(validated)[-1]
    follows = train(**SPLIT, use_ema=True, ema_decay=0.0)  # the average is the weights themselves
    assert rounds(follows) == rounds(validated)


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_a_split_that_leaves_nothing_is_said_before_anything_is_loaded(train: Trainer, share: float) -> None:
    run = train(validation_split=share)
    assert (run.end["status"], run.end["code"]) == ("failed", "validation-split-empty")
    assert "loading the base model" not in {event["name"] for event in run.of("phase")}


def test_captions_are_whole_and_always_the_same(train: Trainer) -> None:
    (picture, *_) = scan(Project.open(train.project()), settings(**SPLIT)).validation
    drops = settings(caption_dropout_rate=1.0, caption_prefix="p", shuffle_caption=True, caption_tag_dropout_rate=0.9)
    assert validation_module.words_of(picture, drops) == f"p {picture.caption}"
    wild = replace(picture, lines=("{a|b|c|d} one", "{e|f|g|h} two"))
    drawn = {validation_module.words_of(wild, settings(enable_wildcard=True, seed=seed)) for seed in range(20)}
    assert len(drawn) == 1


@pytest.mark.parametrize("where", ["in a validation", "between two steps"])
def test_a_stopped_run_has_every_validation_once(
    train: Trainer, validated: Trained, before_call: Callable[..., None], where: str
) -> None:
    project = train.project()
    run = train.prepare(project, **SPLIT)
    if where == "in a validation":
        before_call(validation_module.Validation, "_errors", {1: ask_to_stop})
    else:
        before_call(loop_module.Commands, "obey", {validated.of("validation")[0]["step"] + 1: ask_to_stop})
    stopped = train.do(run, project)
    assert stopped.end["status"] == "stopped"
    assert len(stopped.of("validation")) == (0 if where == "in a validation" else 1)
    resumed = train.do(run, project)
    assert rounds(resumed) == rounds(validated)
    assert fold(read_all(run.events_path)).validation == rounds(validated)
    assert same(resumed.lora, validated.lora)


def test_what_an_engine_took_back_is_measured_again() -> None:
    def events(*told: tuple[str, int]) -> list[dict[str, Any]]:
        return [{"kind": kind, ("from_step" if kind == "resumed" else "step"): step} for kind, step in told]

    assert validation_module.was_told(events(("validation", 8), ("resumed", 8)), 8)
    assert not validation_module.was_told(events(("validation", 8), ("resumed", 6), ("resumed", 8)), 8)
    assert not validation_module.was_told(events(("validation", 6), ("resumed", 8)), 8)


def test_a_run_goes_on_with_other_rounds_but_not_with_another_split(train: Trainer, tmp_path: Path) -> None:
    project = train.project()
    run = train.prepare(project, **SPLIT)
    train.do(run, project)
    prepare(run, {"max_train_epochs": 3, "validate_every_n_steps": 1})
    assert run.job.settings is not None
    assert run.job.settings.validate_every_n_steps == 1
    with pytest.raises(UserError, match="validation_split"):
        prepare(run, {"max_train_epochs": 4, "validation_split": 0.25})
    # a validation picture is missing: the curve would not be the same any more
    (gone, *_) = scan(Project.open(project), settings(**SPLIT)).validation
    gone.path.unlink()
    assert train.do(run, project).end["code"] == "pictures-changed"
