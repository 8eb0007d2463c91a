"""How the U-Net's weights are kept while a LoRA is trained on it: as they were loaded, in 8 bits, or in 4.

Only the layers inside its blocks, which are 99 % of it, and only to be kept: every product is calculated in the
precision of the training. Text encoders and VAE stay as they are: both leave the GPU once pictures and captions are
encoded.
"""

from __future__ import annotations

from collections.abc import Iterator

from diffusers import UNet2DConditionModel
from torch import nn

from engine.models.fp8 import KINDS, store_in_fp8
from engine.plan.options.training import BaseWeights

_OUTSIDE = ["time_embedding", "add_embedding"]  # the only Linear layers that stand in no block


def store(unet: UNet2DConditionModel, how: BaseWeights) -> None:
    """Keep the weights of `unet`, which is on the CPU and has no LoRA yet, as `how` says.

    With "nf4" the Linear layers go to 4 bits when the U-Net is moved to its device, also to the CPU (bitsandbytes
    quantises on arrival); convolutions, for which it has nothing, to 8 bits.
    """
    if how == "full":
        return
    if how == "nf4":
        _linear_layers_to_four_bits(unet)
    for layer in list(_in_blocks(unet)):
        if type(layer) in KINDS:
            store_in_fp8(layer)


def _in_blocks(unet: UNet2DConditionModel) -> Iterator[nn.Module]:
    for block in (unet.down_blocks, unet.mid_block, unet.up_blocks):
        yield from block.modules()


def _linear_layers_to_four_bits(unet: UNet2DConditionModel) -> None:
    """As diffusers does while it loads (`BnB4BitDiffusersQuantizer`), which it refuses to do on the CPU."""
    from bitsandbytes.nn import Linear4bit, Params4bit
    from diffusers import BitsAndBytesConfig
    from diffusers.quantizers.bitsandbytes.utils import replace_with_bnb_linear

    before = {name: layer for name, layer in unet.named_modules() if isinstance(layer, nn.Linear)}
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,  # the scales of 64 weights each are kept in 8 bits as well
        bnb_4bit_compute_dtype=unet.dtype,
    )
    replace_with_bnb_linear(unet, modules_to_not_convert=_OUTSIDE, quantization_config=config)
    for name, layer in unet.named_modules():
        if isinstance(layer, Linear4bit):
            old = before[name]
            layer.weight = Params4bit(old.weight.detach(), requires_grad=False, **vars(layer.weight))
            layer.bias = old.bias
            # Drawing a picture would otherwise pack the weights anew, on processors that can, and the training could
            # not go on with what is left of them.
            layer.support_avx512bf16_for_cpu = False
