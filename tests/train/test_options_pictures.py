"""Options of pictures that change what a step sees of them: mirrored, masked, encoded anew."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import engine.train.encoding as encoding_module
from engine.data.cache import Latent
from engine.data.latent_source import LatentsAhead
from engine.data.samples import Samples
from engine.plan.dataset import Picture
from engine.plan.errors import UserError
from engine.runs.resume import prepare
from engine.train.loss import denoising_loss
from engine.train.objective import Objective
from tests.training import Trained, Trainer, same, settings

ONE: dict[str, Any] = {"train_batch_size": 1}


@pytest.fixture(scope="module")
def one_by_one(train: Trainer) -> Trained:
    return train(**ONE)


def changed(train: Trainer, change: Any) -> Path:
    """A project whose pictures went through `change`, an image in and an image out."""
    project = train.project()
    for path in sorted(project.glob("img/*/*.png")):
        with Image.open(path) as image:
            made = change(image.convert("RGB"))
        made.save(path)
    return project


# ------------------------------------------------------------------------------------------------------- encoded anew
def test_option_cache_latents(train: Trainer, one_by_one: Trained) -> None:
    anew = train(**ONE, cache_latents=False)
    assert same(anew.lora, one_by_one.lora)
    assert anew.losses == one_by_one.losses
    phases = {event["name"] for event in anew.of("phase")}
    assert "encoding pictures" not in phases
    assert anew.lora.metadata["ss_cache_latents"] == "False"
    assert one_by_one.lora.metadata["ss_cache_latents"] == "True"


def test_pictures_encoded_anew_are_the_same_also_several_at_once_mirrored_and_masked(
    train: Trainer, plain: Trained
) -> None:
    assert same(train(cache_latents=False).lora, plain.lora)
    both = [train(flip_aug=True, alpha_mask=True, cache_latents=cached) for cached in (True, False)]
    assert same(both[0].lora, both[1].lora)


def test_a_broken_picture_is_said_before_the_training_also_where_none_is_kept(
    train: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> Image.Image:
        raise UserError("broken-picture", f"The picture {path} cannot be read: it is damaged.")

    monkeypatch.setattr(encoding_module, "load", broken)
    run = train(cache_latents=False)
    assert run.code != 0
    assert "0.png" in run.end["message"]
    assert not run.of("step")


def test_option_max_data_loader_n_workers(train: Trainer, plain: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    original = encoding_module.Latents

    def spy(*arguments: Any) -> Any:
        given.append(arguments[4])  # of (cache, model, device, alpha_mask, workers, in_tiles)
        return original(*arguments)

    monkeypatch.setattr(encoding_module, "Latents", spy)
    alone, four = train(max_data_loader_n_workers=0), train(max_data_loader_n_workers=4)
    assert given == [0, 4]
    assert same(alone.lora, plain.lora)
    assert same(four.lora, plain.lora)


# ----------------------------------------------------------------------------------------------------------- mirrored
def test_option_flip_aug(train: Trainer, one_by_one: Trained) -> None:
    run = train(**ONE, max_train_epochs=4, flip_aug=True)
    never = train(**ONE, max_train_epochs=4)
    always = train(changed(train, ImageOps.mirror), **ONE, max_train_epochs=1)
    first_of = {run.losses[0]}
    assert run.losses != never.losses
    assert first_of <= {never.losses[0], always.losses[0]}  # either as it is or mirrored
    assert run.lora.metadata["ss_flip_aug"] == "True"
    assert one_by_one.lora.metadata["ss_flip_aug"] == "False"


def samples(mirror: bool, seed: int = 1) -> Samples:
    picture = Picture(Path("a.png"), "train", "1_a", 100, 60, (100, 60), (64, 64), 1, "a", None, False)
    upright, mirrored = (Latent(torch.full((4, 8, 8), v), torch.ones(4, 8, 8)) for v in (0.0, 1.0))
    texts: Any = None
    return Samples([picture], LatentsAhead([upright], [mirrored]), texts, 1.0, seed=seed, mirror=mirror)


def test_half_of_all_draws_are_mirrored_as_seed_step_and_position_say() -> None:
    def row(first_position: int, seed: int = 1) -> list[float]:
        return [float(samples(True, seed).drawn([0], step, first_position)[0].mean.max()) for step in range(400)]

    assert sum(row(0)) / 400 == pytest.approx(0.5, abs=0.1)
    assert row(0) == row(0)
    assert len({tuple(row(0)), tuple(row(1)), tuple(row(0, seed=2))}) == 3
    together = samples(True).drawn([0] * 6, 3, 2)
    apart = [samples(True).drawn([0], 3, 2 + n)[0] for n in range(6)]
    assert [float(s.mean.max()) for s in together] == [float(s.mean.max()) for s in apart]
    assert all(float(s.mean.max()) == 0 for step in range(50) for s in samples(False).drawn([0], step, 0))


def test_a_mirrored_picture_is_told_to_the_model_as_cropped_at_its_other_edge() -> None:
    # 60×100 letter-boxed into 64×64: 38.4 wide from 12 on, so the right edge is at 50.4 and 13.6 are left beside it
    tall = Picture(Path("a.png"), "train", "1_a", 60, 100, (60, 100), (64, 64), 1, "a", None, False)
    latent = Latent(torch.zeros(4, 8, 8), torch.ones(4, 8, 8))
    texts: Any = None
    both = Samples([tall], LatentsAhead([latent], [latent]), texts, 1.0)
    assert both.at(0).time_ids.tolist() == [100, 60, 0, 12, 64, 64]
    assert both.at(0, mirrored=True).time_ids.tolist() == [100, 60, 0, 13, 64, 64]


# ------------------------------------------------------------------------------------------------------------- masked
def transparent(image: Image.Image) -> Image.Image:
    image.putalpha(0)
    return image


def opaque(image: Image.Image) -> Image.Image:
    image.putalpha(255)
    return image


def half(image: Image.Image) -> Image.Image:
    image.putalpha(128)
    return image


def test_option_alpha_mask(train: Trainer, one_by_one: Trained) -> None:
    """The loss is multiplied by what the alpha channel says, and not made up for."""
    nothing, all_of_it, some = (
        train(changed(train, change), **ONE, alpha_mask=True) for change in (transparent, opaque, half)
    )
    assert nothing.losses == [0.0] * 4
    assert all_of_it.losses == one_by_one.losses
    assert same(all_of_it.lora, one_by_one.lora)
    assert some.losses[0] == pytest.approx(one_by_one.losses[0] * 128 / 255, rel=1e-5)
    without = train(changed(train, transparent), **ONE)
    assert without.losses == one_by_one.losses  # what lies under a transparent place is trained


def test_a_mask_counts_where_it_is_and_a_picture_without_one_counts_as_a_whole(train: Trainer) -> None:
    predicted, noise = torch.zeros(2, 4, 8, 8), torch.ones(2, 4, 8, 8)
    noise[0, :, :, 4:] = 3.0
    masks = torch.ones(2, 8, 8)
    masks[0, :, 4:] = 0.25
    facts = {"noise": noise, "timesteps": torch.tensor([900, 900]), "weights": torch.ones(2), "masks": masks}
    batch: Any = SimpleNamespace(**facts)
    loss = denoising_loss(predicted, batch, Objective.of(settings(), torch.device("cpu")))
    assert loss.item() == pytest.approx(((1 + 0.25 * 9) / 2 + 1) / 2)

    def first_transparent(image: Image.Image) -> Image.Image:
        return transparent(image) if np.asarray(image)[0, 0, 0] == marks[0] else image

    marks = [int(np.asarray(Image.open(next(train.project().glob("img/*/0.png"))).convert("RGB"))[0, 0, 0])]
    run = train(changed(train, first_transparent), **ONE, alpha_mask=True)
    assert sum(loss == 0 for loss in run.losses) == 1


# ------------------------------------------------------------------------------------------------------------ resumed
@pytest.mark.proof
def test_with_all_of_them_a_training_goes_on_as_if_it_had_never_been_stopped(train: Trainer) -> None:
    values: dict[str, Any] = {"flip_aug": True, "alpha_mask": True, "cache_latents": False}
    longer = train(changed(train, half), **values, max_train_epochs=3)
    project = changed(train, half)
    short = train.do(train.prepare(project, **values, max_train_epochs=1), project)
    prepare(short.run, {"max_train_epochs": 3})
    more = train.do(short.run, project)
    assert more.end["status"] == "finished"
    assert same(more.lora, longer.lora)
