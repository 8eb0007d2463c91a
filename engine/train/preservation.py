"""Prior preservation without regularisation pictures: what the model draws for the class stays what it was.

For the same noisy picture and its caption without the trigger word, the model with the LoRA is to predict what it
predicts without it (sd-scripts: `custom_attributes.diff_output_preservation`; ai-toolkit: differential output
preservation, whose name the option has). A second backward pass of its own, so no step holds two graphs in memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.data.samples import MicroBatch
from engine.data.text_source import BatchTexts
from engine.lora.network import LoraNetwork
from engine.train.loss import weighted
from engine.train.objective import Objective

Predict = Callable[[Tensor, MicroBatch, BatchTexts], Tensor]
"""(noisy latents (B, 4, h, w), the batch, texts) to what the U-Net predicts, (B, 4, h, w)."""


def preservation_loss(
    predict: Predict, network: LoraNetwork, noisy: Tensor, batch: MicroBatch, objective: Objective
) -> Tensor | None:
    """Scalar, judged and weighted by timestep as every other error; None where nothing of the batch is preserved.

    Whoever trains the text encoders holds them as well: without the LoRA they are the base model's too.
    """
    if batch.plain is None:
        return None
    with torch.no_grad(), network.switched_off():
        before = predict(noisy, batch, batch.plain.texts)
    return weighted(predict(noisy, batch, batch.plain.texts), before, batch, objective, batch.plain.weights)
