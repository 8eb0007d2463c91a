"""Pictures from encoded prompts, through diffusers' own SDXL pipeline.

The prompts are encoded beforehand (the text encoders need not be on the GPU). All noise of a picture, at the start and
what some samplers add on the way, depends on its seed alone, so a batch of any size gives the same pictures and
training is not disturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from PIL import Image
from torch import Tensor

from engine.device import give_back
from engine.generate.schedulers import make_scheduler, steps_of
from engine.models.tiling import in_tiles, next_tile
from engine.out_of_memory import is_out_of_memory
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.samplers import DEFAULT

OnStep = Callable[[int, int], None]
"""Called after each denoising step with the steps done and all there are; may raise to interrupt."""


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt with its encodings, context (77, 2048) or longer and pooled (1280,), and those of what to avoid."""

    asked: SamplePrompt
    context: Tensor
    pooled: Tensor
    negative_context: Tensor
    negative_pooled: Tensor


def encode(asked: SamplePrompt, texts: dict[str, tuple[Tensor, Tensor]]) -> EncodedPrompt:
    """Look up both texts of a prompt in `texts` (from `data.cache.Texts`)."""
    return EncodedPrompt(asked, *texts[asked.prompt], *texts[asked.negative])


class Sampler:
    """Makes pictures with the modules that are being trained. `vae` is moved to `device` only while it decodes.

    `tile`: the side of the tiles in which it does that, in pixels, since a whole picture did not fit; None: whole.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        scheduler_config: dict[str, Any],
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.unet, self.vae, self.device, self.autocast = unet, vae, device, autocast
        self.tile: int | None = None
        self._scheduler_config = scheduler_config
        self._pipeline = StableDiffusionXLPipeline(
            vae=vae,
            text_encoder=None,
            text_encoder_2=None,
            tokenizer=None,
            tokenizer_2=None,
            unet=unet,
            scheduler=make_scheduler(DEFAULT, scheduler_config),
            add_watermarker=False,
        )
        self._pipeline.set_progress_bar_config(disable=True)

    @torch.no_grad()
    def pictures(
        self, prompts: Sequence[EncodedPrompt], on_step: OnStep | None = None, batch: int = 1
    ) -> list[Image.Image]:
        """One picture for each prompt, in order; those that agree in size, sampler, steps and guidance share batches.

        Raises UserError for a sampler that cannot be used.
        """

        def kind(index: int) -> tuple[int, int, str, int, float]:
            asked = prompts[index].asked
            return asked.width, asked.height, asked.sampler, asked.steps, asked.guidance

        def calls(indices: list[int]) -> int:
            asked = prompts[indices[0]].asked
            return steps_of(asked.sampler, self._scheduler_config, asked.steps)

        order = sorted(range(len(prompts)), key=kind)
        groups = [list(g) for _, g in groupby(order, key=kind)]
        batches = [g[i : i + batch] for g in groups for i in range(0, len(g), batch)]
        total = sum(calls(indices) for indices in batches)
        done = 0

        def after_step(_pipeline: Any, _number: int, _timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            nonlocal done
            done += 1
            if on_step is not None:
                on_step(done, total)
            return values

        was_training = self.unet.training
        self.unet.eval()
        made: dict[int, Image.Image] = {}
        try:
            for indices in batches:
                latents = self._latents([prompts[i] for i in indices], after_step)
                made.update(zip(indices, self._decoded(latents), strict=True))
        finally:
            self.unet.train(was_training)
        return [made[i] for i in range(len(prompts))]

    def _latents(self, prompts: list[EncodedPrompt], after_step: Callable[..., dict[str, Any]]) -> Tensor:
        asked = prompts[0].asked
        shape = (4, asked.height // 8, asked.width // 8)
        generators = [torch.Generator().manual_seed(p.asked.seed) for p in prompts]
        noise = [torch.randn(shape, generator=generator) for generator in generators]
        self._pipeline.scheduler = make_scheduler(asked.sampler, self._scheduler_config)

        def stacked(name: str) -> Tensor:
            return torch.stack([getattr(p, name) for p in prompts]).to(self.device, self.unet.dtype)

        with self.autocast():
            return self._pipeline(
                prompt_embeds=stacked("context"),
                pooled_prompt_embeds=stacked("pooled"),
                negative_prompt_embeds=stacked("negative_context"),
                negative_pooled_prompt_embeds=stacked("negative_pooled"),
                width=asked.width,
                height=asked.height,
                num_inference_steps=asked.steps,
                guidance_scale=asked.guidance,
                generator=generators,
                latents=torch.stack(noise).to(self.device, self.unet.dtype),
                output_type="latent",
                callback_on_step_end=after_step,
            ).images

    def _decoded(self, latents: Tensor) -> list[Image.Image]:
        """Decode one at a time: a batch of 1024 px pictures would need many GB for the VAE alone. Where not even one
        fits, it is done in tiles from then on."""
        home = self.vae.device
        pictures = []
        try:
            self.vae.to(self.device)
            for latent in latents:
                scaled = latent[None].to(self.vae.dtype) / self.vae.config["scaling_factor"]
                while (picture := self._picture(scaled)) is None:
                    give_back(self.device)
                    self.tile = next_tile(self.vae, max(latent.shape[1:]) * 8, self.tile)
                pictures.append(picture)
        finally:
            self.vae.to(home)
        return pictures

    def _picture(self, scaled: Tensor) -> Image.Image | None:
        """None where it did not fit and smaller tiles are worth a try."""
        try:
            with in_tiles(self.vae, self.tile):
                pixels = self.vae.decode(scaled).sample[0].float().clamp(-1, 1).add(1).mul(127.5).round()
        except Exception as error:
            if not is_out_of_memory(error) or next_tile(self.vae, max(scaled.shape[2:]) * 8, self.tile) is None:
                raise
            return None
        return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy().astype(np.uint8))
