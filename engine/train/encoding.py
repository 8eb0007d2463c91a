"""Pictures and captions made ready for the loop: encoded once through the caches, as far as they stay the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from engine.context import JobContext
from engine.data.cache import Latents, Texts
from engine.data.class_texts import ClassTexts, class_captions
from engine.data.latent_source import LatentsAhead, LatentsInStep, LatentSource
from engine.data.samples import Samples
from engine.data.text_source import EncodedAhead, EncodedInStep, TextSource, TrainedInStep
from engine.device import give_back
from engine.generate.prompts import Encode, FromCache, WithTrained, prompt_reading, texts_of
from engine.models.reading import Reading
from engine.models.sdxl import SDXL
from engine.plan.caption_draws import CaptionRules
from engine.plan.dataset import Dataset, Picture
from engine.plan.pictures import load
from engine.plan.project import Project
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.settings import Settings
from engine.plan.trained_parts import encodes_ahead, trains_text
from engine.train.oom import VAE_TILE
from engine.train.validation import words_of

Again = Callable[[Sequence[Picture]], LatentSource]


def encode_everything(
    context: JobContext,
    settings: Settings,
    dataset: Dataset,
    model: SDXL,
    asked: list[SamplePrompt],
    device: torch.device,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> tuple[Samples, Samples | None, Encode, Again]:
    """Latents and texts through the caches: what is trained, what is validated (None where nothing is), what encodes
    the prompts `asked` and others later, and what encodes the trained pictures again, in other sizes.

    Afterwards VAE and text encoders leave the GPU, unless every step needs them.
    """
    assert context.job.project is not None
    cache = Project.open(context.job.project).cache_dir
    pictures, rules = list(dataset.used), CaptionRules.from_settings(settings)
    kept_out, preserved = list(dataset.validation), settings.diff_output_preservation_multiplier
    subjects = dataset.subjects(context.job.trigger, context.job.class_name)
    as_caption = Reading(settings.max_token_length, settings.weighted_captions)
    as_prompt = prompt_reading(settings)

    def home() -> None:
        place_text_encoders(model, settings, device, aside=getattr(texts, "remembered", None) is not None)

    def in_tiles(tile: int) -> None:
        message = f"The memory is too small to encode a picture as a whole: large ones are in tiles of {tile} pixels."
        context.emit("oom", step=0, message=message, change={VAE_TILE: tile})

    texts: TextSource
    encode: Encode
    if trains_text(settings):
        texts = TrainedInStep(rules, as_caption, model, device, autocast)
        encode = WithTrained(model, as_prompt, autocast)
    else:
        ahead = encodes_ahead(settings)
        with context.phase("encoding captions", unit="captions") as progress:
            wanted = [text for p in pictures for text in rules.possible(p.words)] if ahead else []
            if ahead and preserved:
                wanted += class_captions(rules, pictures, subjects)
            if ahead:
                wanted += [words_of(p, settings) for p in kept_out]
            encodings = Texts(cache, model, device, as_caption).load(wanted, progress)
            prompts = Texts(cache, model, device, as_prompt)
            known = prompts.load(texts_of(asked), progress)
        texts = EncodedAhead(rules, encodings, device) if ahead else EncodedInStep(rules, as_caption, model, device)
        encode = FromCache(prompts, known, home, context.raise_if_stopped)
    home()
    encoder = Latents(cache, model, device, settings.alpha_mask, settings.max_data_loader_n_workers, in_tiles)
    latents = _latents(context, settings, pictures, encoder)
    validation = None
    if kept_out:
        upright = settings.model_copy(update={"flip_aug": False})
        validation = Samples(kept_out, _latents(context, upright, kept_out, encoder), texts, 1.0)
    if settings.cache_latents:
        model.vae.to("cpu")
    give_back(device)
    class_texts = ClassTexts(rules.without_dropout, subjects, preserved, texts, device)
    samples = Samples(
        pictures,
        latents,
        texts,
        settings.prior_loss_weight,
        seed=settings.seed,
        mirror=settings.flip_aug,
        class_texts=class_texts if preserved else None,
    )

    def again(others: Sequence[Picture]) -> LatentSource:
        found = _latents(context, settings, others, encoder, whole=True)
        if settings.cache_latents:
            model.vae.to("cpu")
            give_back(device)
        return found

    return samples, validation, encode, again


def _latents(
    context: JobContext, settings: Settings, pictures: Sequence[Picture], latents: Latents, whole: bool = False
) -> LatentSource:
    """`whole`: amid the training, where a request to stop is heard after the step."""
    if not settings.cache_latents:
        if whole:
            return LatentsInStep(latents, pictures)
        with context.phase("reading pictures", len(pictures), "pictures") as progress:
            for number, picture in enumerate(pictures, start=1):
                load(picture.path)  # a broken one is said now and not in the middle of the training
                progress(number, len(pictures))
        return LatentsInStep(latents, pictures)
    with context.phase("encoding pictures", len(pictures), "pictures", whole=whole) as progress:
        upright = latents.load(pictures, progress)
    if not settings.flip_aug:
        return LatentsAhead(upright)
    with context.phase("encoding mirrored pictures", len(pictures), "pictures", whole=whole) as progress:
        return LatentsAhead(upright, latents.load(pictures, progress, mirrored=True))


def place_text_encoders(model: SDXL, settings: Settings, device: torch.device, aside: bool = False) -> None:
    """On the training device where every step needs them, else (or where it has no room: `aside`) off the GPU; and
    where the CPU trains, out of memory."""
    if encodes_ahead(settings) and device.type == "cpu":
        model.let_text_encoders_go()
    else:
        model.text_encoders_to("cpu" if aside or encodes_ahead(settings) else device)
