"""One SDXL model in memory: its modules, its tokenizer, and how captions become what the U-Net is given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from engine.models.reading import Reading, TokenIds, chunks_joined, weighed
from engine.plan.trained_parts import Part

USUAL = Reading()
"""One chunk of 75 tokens, brackets are letters."""


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
    text_encoders_again: Callable[[], tuple[CLIPTextModel, CLIPTextModelWithProjection]] | None = None

    def token_ids(self, texts: Sequence[str], reading: Reading = USUAL) -> TokenIds:
        """What the encoders are given for `texts`, on the CPU."""
        return reading.token_ids(self.tokenizer, texts)

    @property
    def parts(self) -> dict[Part, nn.Module]:
        """The models that a LoRA can change."""
        return {"unet": self.unet, "text_encoder_1": self.text_encoder, "text_encoder_2": self.text_encoder_2}

    def text_encoders_to(self, device: torch.device | str) -> None:
        """Both of them; they are always needed together. Those that were let go are read again."""
        if self.text_encoders_again is not None and self.text_encoder.device.type == "meta":
            self.text_encoder, self.text_encoder_2 = self.text_encoders_again()
        self.text_encoder.to(device)
        self.text_encoder_2.to(device)

    def let_text_encoders_go(self) -> None:
        """Give their memory back, where they can be read again: 1.6 GB, and who needs them once more waits seconds."""
        if self.text_encoders_again is not None:
            self.text_encoder.to("meta")
            self.text_encoder_2.to("meta")

    def encode_text(self, texts: Sequence[str], reading: Reading = USUAL) -> tuple[Tensor, Tensor]:
        """`encode_ids` of `texts`."""
        return self.encode_ids(self.token_ids(texts, reading).to(self.text_encoder.device))

    def encode_ids(self, ids: TokenIds) -> tuple[Tensor, Tensor]:
        """Context (B, 77, 768 + 1280) and pooled (B, 1280), in the encoders' dtype; `ids` are on their device.
        With more than one chunk of 75 tokens the context has 152 or 227 places.

        Both encoders give their last but one layer, without the final layer norm; pooled is the second encoder's
        projection of its last layer at the first chunk's first end token (sd-scripts' `SdxlTextEncodingStrategy`,
        diffusers' `encode_prompt`), which weights do not touch. Gradients flow unless the caller turned them off.
        """
        first = self.text_encoder(ids.first, output_hidden_states=True)
        second = self.text_encoder_2(ids.second, output_hidden_states=True)
        contexts = [
            weighed(chunks_joined(encoder.hidden_states[-2], ids.chunks), ids.weights, ids.restored)
            for encoder in (first, second)
        ]
        return torch.cat(contexts, dim=-1), second.text_embeds[:: ids.chunks]


def identity(*modules: nn.Module, also: str = "") -> str:
    """sha256 over names, shapes, dtypes and bytes of all weights, in the order of their names."""
    digest = hashlib.sha256(also.encode())
    for module in modules:
        for name, weight in sorted(module.state_dict().items()):
            digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
            digest.update(memoryview(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()
