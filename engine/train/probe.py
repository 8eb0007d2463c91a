"""One small forward pass through the models, always the same: what a LoRA does can be compared by it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from engine.models.sdxl import SDXL

SIDE = 16  # of the latent: 128 pixels
_WORDS = "a photo"


def probe(model: SDXL, with_words: bool, autocast: Callable[[], AbstractContextManager[Any]]) -> Callable[[], Tensor]:
    """The pass as a function: what the U-Net predicts, (1, 4, 16, 16), without dropout. `with_words`: through the text
    encoders as well, else from fixed numbers in their place."""
    unet, generator = model.unet, torch.Generator().manual_seed(0)
    time_width = unet.config["addition_time_embed_dim"]
    latent = torch.randn(1, 4, SIDE, SIDE, generator=generator)
    context = torch.randn(1, 77, unet.config["cross_attention_dim"], generator=generator)
    pooled = torch.randn(1, unet.config["projection_class_embeddings_input_dim"] - 6 * time_width, generator=generator)
    modules = (unet, model.text_encoder, model.text_encoder_2)
    device, dtype = unet.device, unet.dtype  # diffusers looks through all modules for each of them

    @torch.no_grad()
    def forward() -> Tensor:
        training = [module.training for module in modules]
        for module in modules:
            module.eval()
        try:
            with autocast():
                words = model.encode_text([_WORDS]) if with_words else (context, pooled)
                hidden, summary = (part.to(device, dtype) for part in words)
                predicted: Tensor = unet(
                    latent.to(device, dtype),
                    torch.tensor([500], device=device),
                    encoder_hidden_states=hidden,
                    added_cond_kwargs={
                        "text_embeds": summary,
                        "time_ids": torch.full((1, 6), 8.0 * SIDE, device=device),
                    },
                    return_dict=False,
                )[0]
                return predicted
        finally:
            for module, was in zip(modules, training, strict=True):
                module.train(was)

    return forward
