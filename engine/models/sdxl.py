"""One SDXL model in memory: its modules, its tokenizer, and how captions become what the U-Net is given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from engine.device import send
from engine.models.tokenizer import MAX_TOKENS

SECOND_ENCODERS_PADDING = 0


@dataclass(frozen=True)
class TokenIds:
    """What the two text encoders are given for a batch of texts, each (B, 77) int64."""

    first: Tensor
    second: Tensor

    def to(self, device: torch.device) -> TokenIds:
        """The same on `device`, without waiting for it."""
        return TokenIds(send(self.first, device), send(self.second, device))


@dataclass
class SDXL:
    """The modules are in evaluation mode and need no gradient. The VAE is always fp32: SDXL's gives NaN in fp16."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    text_encoder_2: CLIPTextModelWithProjection
    tokenizer: CLIPTokenizer  # the plain vocabulary, one for both encoders
    scheduler_config: dict[str, Any]
    size: Literal["sdxl", "micro"]
    bucket_reso_steps: int  # bucket sides are multiples of this many pixels
    vae_identity: str  # sha256 of the weights as loaded: keys of the caches
    text_identity: str

    def token_ids(self, captions: Sequence[str]) -> TokenIds:
        """Ids for both encoders, each (B, 77), on the CPU.

        Start, at most 75 tokens, end; then padding, which is the end token for the first encoder and 0 for the second.
        """
        rows = [self.tokenizer(text, truncation=True, max_length=MAX_TOKENS).input_ids for text in captions]
        first = torch.full((len(rows), MAX_TOKENS), self.tokenizer.eos_token_id)
        second = torch.full((len(rows), MAX_TOKENS), SECOND_ENCODERS_PADDING)
        for number, row in enumerate(rows):
            first[number, : len(row)] = second[number, : len(row)] = torch.tensor(row)
        return TokenIds(first, second)

    def encode_text(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """`encode_ids` of the ids of `captions`."""
        return self.encode_ids(self.token_ids(captions).to(self.text_encoder.device))

    def encode_ids(self, ids: TokenIds) -> tuple[Tensor, Tensor]:
        """Context (B, 77, 768 + 1280) and pooled (B, 1280), in the encoders' dtype; `ids` are on their device.

        Both encoders give their last but one layer, without the final layer norm; pooled is the second encoder's
        projection of its last layer at the first end token (sd-scripts' `SdxlTextEncodingStrategy`, diffusers'
        `encode_prompt`). Gradients flow unless the caller turned them off.
        """
        first = self.text_encoder(ids.first, output_hidden_states=True)
        second = self.text_encoder_2(ids.second, output_hidden_states=True)
        return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second.text_embeds


def identity(*modules: nn.Module, also: str = "") -> str:
    """sha256 over names, shapes, dtypes and bytes of all weights, in the order of their names."""
    digest = hashlib.sha256(also.encode())
    for module in modules:
        for name, weight in sorted(module.state_dict().items()):
            digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
            digest.update(memoryview(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()
