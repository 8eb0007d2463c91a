"""A base model with a finished LoRA on it, ready to make pictures with and without: what `compare` and the demo use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from engine.context import JobContext
from engine.data.cache import Texts
from engine.device import half
from engine.generate.prompts import Encode, FromCache, WithTrained, prompt_reading
from engine.generate.sampler import Sampler
from engine.lora import weights
from engine.lora.attach import attach, detach
from engine.lora.network import LoraNetwork
from engine.lora.spellings import respelt
from engine.lora.targets import every_target
from engine.lora.weights import LoraFile
from engine.models.checkpoint import load
from engine.models.refusals import refuse_what_cannot_be_had
from engine.models.sdxl import SDXL
from engine.plan.base_model import BaseModel
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.settings import Settings
from engine.plan.vae import VaeFile

BATCH_ON_CPU = 8


def model_to_draw_with(context: JobContext, base: BaseModel, device: torch.device, vae: VaeFile | None = None) -> SDXL:
    """The base model, its U-Net on `device`, kept and calculated as the job's settings say for its training."""
    dtype = torch.float32 if device.type == "cpu" else half(device)
    settings = context.job.settings or Settings()
    refuse_what_cannot_be_had(settings, device, dtype)
    with context.phase("loading the base model"):
        model = load(base, dtype=dtype, vae=vae, weights=settings.base_weights, attention=settings.attention)
        model.unet.to(device)
    return model


def autocast_on(device: torch.device) -> Callable[[], torch.autocast]:
    """What pictures are computed in: on CUDA the GPU's own 16 bits, elsewhere the weights' own kind. The VAE decodes
    outside of it in fp32, as SDXL's overflows in fp16."""
    dtype = half(device)
    return lambda: torch.autocast(device.type, dtype, enabled=device.type == "cuda")


class Studio:
    """Makes pictures of prompts at any strength of the LoRA that it wears."""

    def __init__(
        self, context: JobContext, base: BaseModel, device: torch.device, cache: Path, vae: VaeFile | None = None
    ) -> None:
        self.context, self.device = context, device
        self.model = model_to_draw_with(context, base, device, vae)
        self._texts = Texts(cache, self.model, device, prompt_reading(context.job.settings))
        self._autocast = autocast_on(device)
        self._sampler = Sampler(self.model.unet, self.model.vae, self.model.scheduler_config, device, self._autocast)
        self._network: LoraNetwork | None = None

    def wear(self, file: LoraFile) -> None:
        """Put a LoRA on the model, in place of the one before."""
        models = self.model.parts
        if self._network is not None:
            detach(models)
            self._network = None
        file = respelt(file, every_target(models))
        weights.rank_of(file)  # says what is wrong with a file without any layer
        network = attach(models, weights.shape_of(file), seed=0, conv=True)
        weights.load_into(network, file)
        self._network = network

    def pictures(self, prompts: Sequence[SamplePrompt], multiplier: float, phase: str) -> list[Image.Image]:
        """One picture a prompt; `multiplier` is the LoRA's strength, 0 the base model alone."""
        if self._network is not None:
            self._network.set_multiplier(multiplier)
        encoded = self._encode(multiplier)(prompts)
        self.model.text_encoders_to("cpu")
        batch = BATCH_ON_CPU if self.device.type == "cpu" else 1
        with self.context.phase(phase, unit="steps") as progress:
            return self._sampler.pictures(encoded, progress, batch)

    def _encode(self, multiplier: float) -> Encode:
        """Text encoders with a LoRA of their own say something else than the cache knows."""
        if multiplier and self._network is not None and any(part.name != "unet" for part in self._network.parts):
            self.model.text_encoders_to(self.device)
            return WithTrained(self.model, prompt_reading(self.context.job.settings), self._autocast)
        return FromCache(self._texts, {}, lambda: None, self.context.raise_if_stopped)
