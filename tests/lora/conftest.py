"""A small U-Net of SDXL's kind."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel

from engine.demo import architecture


@pytest.fixture
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return architecture.unet()
