"""The models that are trained: their LoRA, and what training mode needs of them."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from engine.lora.attach import LoraShape, attach
from engine.lora.average import Average
from engine.lora.dropout import DropoutRates
from engine.lora.network import LoraNetwork
from engine.models.sdxl import SDXL
from engine.plan.draws import draw
from engine.plan.settings import Settings
from engine.plan.trained_parts import Part, rates


def trained_models(settings: Settings, model: SDXL) -> dict[Part, nn.Module]:
    """The models that get a LoRA, by name."""
    every = model.parts
    return {part: every[part] for part in rates(settings)}


def make_network(settings: Settings, model: SDXL, device: torch.device) -> LoraNetwork:
    """A fresh LoRA on the parts of the model that are trained, which go to `device` and into training mode.

    The U-Net is there in any case. Nothing in SDXL's models drops out by itself; training mode is what gradient
    checkpointing works in.
    """
    model.unet.to(device)
    model.unet.train()
    models = trained_models(settings, model)
    for part in models.values():
        part.to(device)
        part.train()
    network = attach(
        models,
        LoraShape(settings.network_dim, settings.network_alpha, settings.conv_dim, settings.conv_alpha),
        settings.seed,
        conv=settings.conv_dim > 0,
        dropout=DropoutRates(settings.network_dropout, settings.rank_dropout, settings.module_dropout),
        draw=partial(draw, settings.seed),
    )
    if settings.gradient_checkpointing:
        checkpoint_gradients(settings, model)
    if settings.use_ema:
        network.average = Average(network.parameters, settings.ema_decay)
    return network


def checkpoint_gradients(settings: Settings, model: SDXL) -> None:
    """From now on what lies between the layers is computed again for the gradients, not kept; they stay the same."""
    model.unet.enable_gradient_checkpointing()
    trained = trained_models(settings, model).values()
    for encoder in (model.text_encoder, model.text_encoder_2):
        if encoder in trained:
            enable = getattr(encoder, "activation_checkpointing_enable", encoder.gradient_checkpointing_enable)
            # The other kind sees no gradient to compute, as a text encoder's inputs are numbers of words.
            enable({"use_reentrant": False})
