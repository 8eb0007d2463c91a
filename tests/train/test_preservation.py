"""Prior preservation without regularisation pictures: what the model draws for the class stays near what it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.data.class_texts import ClassTexts
from engine.lora import weights
from engine.lora.attach import attach
from engine.lora.weights import LoraFile
from engine.models.checkpoint import load
from engine.plan.caption_draws import CaptionRules
from engine.plan.subjects import Subjects
from engine.train import loop as loop_module
from tests.micro_model import base_of
from tests.training import Trained, Trainer, apart, ask_to_stop, picture, same, settings

STRONG: dict[str, Any] = {"max_train_epochs": 3, "learning_rate": 0.02, "train_batch_size": 4}
KEPT = STRONG | {"diff_output_preservation_multiplier": 30.0}


@pytest.fixture(scope="module")
def free(train: Trainer) -> Trained:
    return train(**STRONG)


@pytest.fixture(scope="module")
def kept(train: Trainer) -> Trained:
    return train(**KEPT)


@pytest.fixture(scope="module")
def moved(train: Trainer) -> Callable[[LoraFile, str], float]:
    """How far a LoRA takes the U-Net's prediction for these words from what it was without: a mean square."""
    model = load(base_of(train.base), dtype=torch.float32)
    model.unet.requires_grad_(False)
    networks: dict[int, Any] = {}

    @torch.no_grad()
    def measure(lora: LoraFile, words: str) -> float:
        if not networks:
            networks[0] = attach({"unet": model.unet}, weights.shape_of(lora), seed=0)
        network = networks[0]
        weights.load_into(network, lora)
        context, pooled = model.encode_text([words] * 3)
        noisy = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))
        added = {"text_embeds": pooled, "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 3)}

        def predict() -> torch.Tensor:
            timesteps = torch.tensor([200, 500, 800])
            return model.unet(noisy, timesteps, context, added_cond_kwargs=added, return_dict=False)[0]

        with network.switched_off():
            before = predict()
        return (predict() - before).square().mean().item()

    return measure


def test_option_diff_output_preservation_multiplier(
    free: Trained, kept: Trained, moved: Callable[[LoraFile, str], float]
) -> None:
    words = "a photo of a man, number 2"
    without, with_it = moved(free.lora, words), moved(kept.lora, words)
    assert without > 0
    assert 0 < with_it < 0.5 * without
    # the trigger may still move the model, and does so more than the class
    assert moved(kept.lora, f"ohwx, {words}") > 0
    assert kept.losses[0] == pytest.approx(free.losses[0], rel=1e-4)  # an untrained LoRA changes nothing yet
    assert kept.losses[1] != free.losses[1]


def test_captions_without_the_trigger_are_not_held(train: Trainer) -> None:
    def untold(project: Path) -> Path:
        for path in project.glob("img/*/*.txt"):
            path.write_text(path.read_text(encoding="utf-8").replace("ohwx, ", ""), encoding="utf-8")
        return project

    one = {"max_train_epochs": 1}
    assert same(train(untold(train.project()), **KEPT | one).lora, train(untold(train.project()), **STRONG | one).lora)


def test_it_is_the_same_with_captions_encoded_in_the_step(train: Trainer) -> None:
    """With an optimizer that goes by the gradient's size, as rounding errors are not to count as much as the rest."""
    values = KEPT | {"max_train_epochs": 1, "optimizer_type": "torch.optim.SGD"}
    ahead, in_step = train(**values), train(**values, cache_text_encoder_outputs=False)
    assert in_step.losses == pytest.approx(ahead.losses, rel=1e-5)
    assert apart(ahead.lora, in_step.lora) < 1e-4


@dataclass(frozen=True)
class Words:
    """In place of texts that are encoded, the words themselves."""

    def batch(self, captions: Sequence[str], *, epoch: int, step: int, first_position: int) -> Any:
        raise AssertionError

    def of(self, words: Sequence[str]) -> Any:
        return list(words)


def test_the_words_are_those_of_the_draw_wherever_a_batch_is_split() -> None:
    """Mixed as the training mixes them, never dropped, and a function of seed, step and position."""
    drops = settings(shuffle_caption=True, caption_dropout_rate=0.9, seed=3)
    rules = CaptionRules.from_settings(drops).without_dropout
    texts = ClassTexts(rules, Subjects.of("ohwx", "man", ()), 0.5, Words(), torch.device("cpu"))
    captions = [f"ohwx, man, {number}, red, tall" for number in range(5)] + ["man alone"]

    def words(part: slice, first: int) -> list[str]:
        batch = texts.batch(captions[part], [None] * len(captions[part]), epoch=1, step=4, first_position=first)
        return [] if batch is None else [*batch.texts]  # type: ignore[misc]

    whole = texts.batch(captions, [None] * 6, epoch=1, step=4, first_position=0)
    assert whole is not None
    assert whole.weights.tolist() == [0.5] * 5 + [0.0]
    assert words(slice(None), 0)[-1] == "man alone"
    assert words(slice(0, 2), 0) + words(slice(2, 6), 2) == words(slice(None), 0)
    for plain, drawn in zip(words(slice(None), 0), rules.drawn_for(captions[:5], 1, 4, 0), strict=False):
        assert plain.split(", ") == [tag for tag in drawn.split(", ") if tag != "ohwx"]
    assert texts.batch(["man alone", ""], [None] * 2, epoch=1, step=4, first_position=0) is None


def test_each_subject_becomes_an_ordinary_member_of_its_own_class() -> None:
    rules = CaptionRules.from_settings(settings())
    subjects = Subjects.of("ohwx", "man", [Path("10_ohwx man"), Path("5_rexo dog")])
    texts = ClassTexts(rules, subjects, 0.5, Words(), torch.device("cpu"))
    shown = [subjects.of_picture(Path(folder) / "a.png") for folder in ("10_ohwx man", *["5_rexo dog"] * 4)]
    captions = ["ohwx, a man", "rexo, a dog", "a photo of ohwx", "rexo, a dog beside ohwx", "a dog"]
    batch = texts.batch(captions, shown, epoch=1, step=1, first_position=0)
    assert batch is not None
    assert batch.texts == ["a man", "a dog", "a photo of dog", "a dog beside man", "a dog"]  # type: ignore[comparison-overlap]
    assert batch.weights.tolist() == [0.5] * 4 + [0.0]


def test_a_second_subject_is_encoded_ahead_as_its_own_class(train: Trainer) -> None:
    project = train.project()
    dog = project / "img" / "1_rexo dog" / "d.png"
    picture(dog, 40)
    dog.with_suffix(".txt").write_text("rexo, a dog")
    assert train(project, **KEPT | {"max_train_epochs": 1}).end["status"] == "finished"


@pytest.mark.proof
def test_text_encoders_that_are_trained_are_held_too(train: Trainer) -> None:
    texts = {"max_train_epochs": 1, "train_unet": False, "train_text_encoder_1": True, "train_text_encoder_2": True}
    free, kept = train(**STRONG | texts), train(**KEPT | texts)
    assert kept.end["status"] == "finished"
    assert kept.losses[0] == pytest.approx(free.losses[0], rel=1e-4)
    assert not same(free.lora, kept.lora)


@pytest.mark.proof
def test_a_stopped_run_goes_on_to_the_same_lora(train: Trainer, before_call: Callable[..., None]) -> None:
    values = KEPT | {
        "max_train_epochs": 2,
        "train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "gradient_checkpointing": True,
        "caption_dropout_rate": 0.5,
        "shuffle_caption": True,
        "cache_text_encoder_outputs": False,
        "network_dropout": 0.2,
    }
    whole = train(**values)
    project = train.project()
    run = train.prepare(project, **values)
    before_call(loop_module, "train_step", {3: ask_to_stop})
    assert train.do(run, project).end["status"] == "stopped"
    resumed = train.do(run, project)
    assert same(resumed.lora, whole.lora)
    assert resumed.losses == whole.losses
