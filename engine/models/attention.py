"""Attention for SDXL's U-Net: scaled dot product attention without what SDXL never uses.

diffusers' `AttnProcessor2_0` serves every model: it looks at masks, group norms, spatial norms and image-shaped inputs,
divides by a factor that is 1 in SDXL, and calls a dropout of probability 0. Each costs a kernel or some Python in all
140 attentions of every forward pass. This one gives the same numbers. The other one lets
xformers calculate them, for those who want it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from engine.plan.options.training import Attention


class SdxlAttention:
    """hidden_states (B, tokens, channels), encoder_hidden_states (B, 77, context) or None for self-attention."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        batch, tokens, channels = hidden_states.shape
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.to_q(hidden_states).view(batch, tokens, attn.heads, -1)
        key = attn.to_k(context).view(batch, context.shape[1], attn.heads, -1)
        value = attn.to_v(context).view(batch, context.shape[1], attn.heads, -1)
        return attn.to_out[0](self.mixed(query, key, value, attention_mask).reshape(batch, tokens, channels))

    def mixed(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """All of them, and the result: (B, tokens, heads, channels of one head)."""
        query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)


class XformersAttention(SdxlAttention):
    """The same by xformers' `memory_efficient_attention`."""

    def __init__(self) -> None:
        from xformers.ops import memory_efficient_attention

        self.attend = memory_efficient_attention

    def mixed(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        return self.attend(query, key, value, attn_bias=mask)


# diffusers asks inspect for this signature in every single call; found here, it need not be worked out again.
SdxlAttention.__call__.__signature__ = inspect.signature(SdxlAttention.__call__)  # type: ignore[attr-defined]


def use_sdxl_attention(unet: UNet2DConditionModel, by: Attention = "sdpa") -> None:
    """Give all attentions of `unet` one of the processors above; they must be plain ones, as SDXL's are."""
    for name, module in unet.named_modules():
        if name.endswith((".attn1", ".attn2")):
            plain = (module.rescale_output_factor, module.residual_connection, module.spatial_norm, module.group_norm)
            if plain != (1.0, False, None, None) or module.norm_cross is not None or module.norm_q is not None:
                raise ValueError(f"{name} is not an attention of SDXL's U-Net")
    unet.set_attn_processor(XformersAttention() if by == "xformers" else SdxlAttention())
