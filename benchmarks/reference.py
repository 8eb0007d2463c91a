"""The plain way: a training step as the diffusers example script for SDXL LoRA writes it, and sd-scripts' max-norm.

Pictures read, resized and encoded in every step and prompts too, per-tensor Prodigy, accelerate, gradient clipping, the
loss read back in every step. It is handed our noise, timesteps, latent draws and order, so both ways compute the same
and their losses can be compared; the time it would take to draw them is not counted against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler
from diffusers.models.attention_processor import AttnProcessor2_0
from peft import LoraConfig
from PIL import Image
from prodigyopt import Prodigy
from torch import Tensor, nn
from torch.nn import functional as F

from engine.data import pixels
from engine.data.samples import MicroBatch
from engine.lora.network import LoraNetwork
from engine.lora.targets import unet_targets
from engine.models.sdxl import SDXL
from engine.plan.dataset import Picture
from engine.plan.settings import Settings

Start = tuple[str, Tensor, Tensor]
"""A layer's name in the U-Net, its down and its up."""

PRODIGY = {"lr": 1.0, "weight_decay": 0.01, "decouple": True, "d0": 1e-4, "use_bias_correction": True}


@dataclass(frozen=True)
class RawBatch:
    """What the plain loop starts from: picture files with their captions, latent draws (B, 4, h, w), and the rest of
    the batch as ours has it."""

    pictures: list[Picture]
    latent_noise: Tensor
    ours: MicroBatch


class PlainLoop:
    """`cached`: latents and text embeddings are taken from the batch instead of being encoded in every step. `start`:
    what the LoRA begins with."""

    def __init__(self, model: SDXL, start: Iterable[Start], settings: Settings, *, cached: bool) -> None:
        self.model, self.cached = model, cached
        self.accelerator = Accelerator(cpu=True, mixed_precision=settings.mixed_precision)
        unet = model.unet.to(memory_format=torch.contiguous_format)
        model.vae.to(memory_format=torch.contiguous_format)
        unet.requires_grad_(False)
        model.vae.requires_grad_(False)
        model.text_encoder.requires_grad_(False)
        model.text_encoder_2.requires_grad_(False)
        names = [target.name for target in unet_targets(unet)]
        unet.set_attn_processor(AttnProcessor2_0())  # the library's own
        unet.add_adapter(LoraConfig(r=settings.network_dim, lora_alpha=settings.network_alpha, target_modules=names))
        self.pairs: list[tuple[nn.Parameter, nn.Parameter]] = []
        for name, down, up in start:
            layer = unet.get_submodule(name)
            for own, value in ((layer.lora_A["default"].weight, down), (layer.lora_B["default"].weight, up)):
                own.data = own.data.float()  # diffusers: cast_training_params
                own.data.copy_(value)
            self.pairs.append((layer.lora_A["default"].weight, layer.lora_B["default"].weight))
        if settings.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        self.parameters = [p for p in unet.parameters() if p.requires_grad]
        optimizer = Prodigy(self.parameters, lr=settings.learning_rate, **settings.optimizer_kwargs)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
        self.unet, self.optimizer, self.scheduler = self.accelerator.prepare(unet, optimizer, scheduler)
        self.noise_scheduler = DDPMScheduler(
            1000, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False
        )
        self.unet.train()

    def step(self, batch: RawBatch) -> float:
        with self.accelerator.accumulate(self.unet):
            if self.cached:
                latents, (context, pooled) = batch.ours.latents, batch.ours.texts.encoded()
            else:
                posterior = self.model.vae.encode(self._pixels(batch.pictures)).latent_dist
                latents = posterior.mean + posterior.std * batch.latent_noise
                latents = latents * self.model.vae.config["scaling_factor"]
                context, pooled = self.model.encode_text([p.caption for p in batch.pictures])
            latents, context, pooled = (t.to(self.model.unet.dtype) for t in (latents, context, pooled))
            noise, timesteps = batch.ours.noise, batch.ours.timesteps
            noisy = self.noise_scheduler.add_noise(latents, noise.to(latents.dtype), timesteps)
            condition = {"time_ids": batch.ours.time_ids, "text_embeds": pooled}
            predicted = self.unet(noisy, timesteps, context, added_cond_kwargs=condition, return_dict=False)[0]
            alphas = self.noise_scheduler.alphas_cumprod[timesteps]
            snr = alphas / (1 - alphas)
            weights = torch.stack([snr, 5.0 * torch.ones_like(timesteps)], dim=1).min(dim=1)[0] / snr
            loss = F.mse_loss(predicted.float(), noise.float(), reduction="none")
            loss = (loss.mean(dim=list(range(1, len(loss.shape)))) * weights).mean()
            average = self.accelerator.gather(loss.repeat(len(noise))).mean()
            self.accelerator.backward(loss)
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()
        return average.item()

    def _pixels(self, chosen: Sequence[Picture]) -> Tensor:
        return torch.stack(
            [pixels.to_tensor(pixels.fit(Image.open(p.path).convert("RGB"), p.resized, p.bucket)) for p in chosen]
        )


def start_of(network: LoraNetwork) -> Iterable[Start]:
    """What a network holds, for the plain loop to begin with."""
    return [(module.target.name, module.down.data, module.up.data) for module in network.modules]


@torch.no_grad()
def apply_max_norm_directly(
    pairs: Sequence[tuple[nn.Parameter, nn.Parameter]], scale: float, maximum: float
) -> list[float]:
    """sd-scripts' way (`apply_max_norm_regularization`): every up·down multiplied out, every ratio read back."""
    norms = []
    for down, up in pairs:
        norm = ((up @ down) * scale).norm().clamp(min=maximum / 2)
        ratio = torch.clamp(norm, max=maximum).cpu() / norm.cpu()
        if ratio.item() != 1:
            up *= ratio.sqrt()
            down *= ratio.sqrt()
        norms.append((norm * ratio).item())
    return norms
