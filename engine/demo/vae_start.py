"""A starting point for the tiny VAE that is a colour autoencoder before its first training step.

With default initialisation a VAE this small falls into the flat mean picture and stays there. Here the colours travel
along a linear path through the network from the start, and training only has to add what the path leaves out:

- a layer's channels are two halves, +x and -x: GroupNorm sees a mean of zero, and silu(x) - silu(-x) = x is linear;
- downsampling starts as a 2 x 2 mean, upsampling as a [1 2 1] smoothing, shortcuts copy, residual branches are faint;
- one constant channel ("anchor") keeps GroupNorm's scale the same for flat and for busy pictures.

`whiten` afterwards folds the latents' mean and scale into the quantisation convolutions, so that SDXL's scaling factor
0.13025 gives each channel mean 0 and standard deviation 1.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from engine.demo.architecture import VAE_SCALING_FACTOR

FAINT = 0.03
ANCHOR = 2.0


def _signed(channel: int, channels: int) -> tuple[int, int]:
    return channel, channel + channels // 2


@torch.no_grad()
def _carry(conv: nn.Conv2d, carried: int, kernel: Tensor, gain: float = 1.0) -> None:
    """Make `conv` pass the first `carried` signed channel pairs through `kernel`, everything else faintly."""
    conv.weight.mul_(FAINT * 5)
    assert conv.bias is not None
    conv.bias.zero_()
    for c in range(carried):
        for source, target in zip(_signed(c, conv.in_channels), _signed(c, conv.out_channels), strict=True):
            conv.weight[target] = 0
            conv.weight[target, source] = kernel * gain


def _point(size: int) -> Tensor:
    kernel = torch.zeros(size, size)
    kernel[size // 2, size // 2] = 1
    return kernel


@torch.no_grad()
def _resnet(block: Any) -> None:
    block.conv2.weight.mul_(FAINT)
    block.conv2.bias.zero_()
    if block.conv_shortcut is not None:
        carried = min(block.conv_shortcut.in_channels, block.conv_shortcut.out_channels) // 2
        _carry(block.conv_shortcut, carried, torch.ones(1, 1))


@torch.no_grad()
def initialise(vae: AutoencoderKL) -> None:
    """Put `vae` at the starting point described above, in place."""
    box = torch.zeros(3, 3)
    box[:2, :2] = 0.25  # with diffusers' padding (0, 1, 0, 1) these four taps are the exact 2 x 2 mean
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    smooth = line[:, None] * line[None, :]

    encoder, decoder = vae.encoder, vae.decoder
    for part in (encoder, decoder):
        for block in part.mid_block.resnets:
            _resnet(block)
        part.mid_block.attentions[0].to_out[0].weight.mul_(FAINT)
        part.mid_block.attentions[0].to_out[0].bias.zero_()
    for down in encoder.down_blocks:
        for block in down.resnets:
            _resnet(block)
        if down.downsamplers:
            conv = down.downsamplers[0].conv
            _carry(conv, conv.in_channels // 2, box)
    for up in decoder.up_blocks:
        for block in up.resnets:
            _resnet(block)
        if up.upsamplers:
            conv = up.upsamplers[0].conv
            _carry(conv, conv.in_channels // 2, smooth)

    for conv, inputs in ((encoder.conv_in, 3), (decoder.conv_in, 4)):
        conv.weight.mul_(0.3)
        conv.bias.zero_()
        for c in range(3):
            plus, minus = _signed(c, conv.out_channels)
            conv.weight[[plus, minus]] = 0
            conv.weight[plus, c % inputs], conv.weight[minus, c % inputs] = _point(3), -_point(3)
        plus, minus = _signed(3, conv.out_channels)
        conv.weight[[plus, minus]] = 0
        conv.bias[plus], conv.bias[minus] = ANCHOR, -ANCHOR

    for conv in (encoder.conv_out, decoder.conv_out):
        conv.weight.mul_(FAINT)
        conv.bias.zero_()
        for c in range(3):
            plus, minus = _signed(c, conv.in_channels)
            conv.weight[c, plus], conv.weight[c, minus] = _point(3), -_point(3)
    encoder.conv_out.bias[4:] = -6.0  # the log-variances
    for conv in (vae.quant_conv, vae.post_quant_conv):
        conv.weight.copy_(torch.eye(conv.out_channels)[:, :, None, None])
        conv.bias.zero_()


@torch.no_grad()
def whiten(vae: AutoencoderKL, latents: Tensor) -> None:
    """Fold mean and scale of `latents` (N, 4, h, w; the encoder's means) into quant_conv and post_quant_conv."""
    mean = latents.mean(dim=(0, 2, 3))
    gain = 1 / (latents.std(dim=(0, 2, 3)) * VAE_SCALING_FACTOR)
    quant, post = vae.quant_conv, vae.post_quant_conv
    # post(z) must see the old latents: old = z / gain + mean
    post.bias.add_((post.weight[:, :, 0, 0] * mean).sum(dim=1))
    post.weight.div_(gain[None, :, None, None])
    quant.weight[:4].mul_(gain[:, None, None, None])
    quant.bias[:4].sub_(mean).mul_(gain)
    quant.bias[4:].add_(2 * gain.log())
