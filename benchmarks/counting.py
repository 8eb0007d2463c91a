"""Counts what does not depend on speed: tensor operations and host syncs of a step, outside the U-Net itself.

The LoRA has the layers of full-size SDXL (722 of them) at a small rank, which changes the size of tensors and not the
number of operations (but for the optimizer's from about rank 32 on, where it is given its buffers in pieces). Ours is
the real `train_step` and `micro_batch` as on a GPU; only the U-Net is a stand-in that costs nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from prodigyopt import Prodigy
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import engine.models
from benchmarks.reference import PRODIGY, apply_max_norm_directly
from engine.data.samples import Sample
from engine.data.text_source import EncodedAhead
from engine.lora import norms
from engine.lora.network import LoraModule, LoraNetwork, LoraPart
from engine.lora.targets import Target, unet_targets
from engine.plan.caption_draws import CaptionRules
from engine.plan.settings import resolve
from engine.train.loop import Training, train_step
from engine.train.noise import Randomness, micro_batch
from engine.train.objective import Objective
from engine.train.optimizers import make_optimizer, to_optimize
from engine.train.processes import ALONE

RANK = 4
SYNCS = {"aten::_local_scalar_dense", "aten::item", "aten::is_nonzero", "aten::equal", "aten::nonzero"}


class Counting(TorchDispatchMode):
    """Counts dispatched operations by name while it is switched on."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.on = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.on:
            self.calls[func._schema.name] += 1
        return func(*args, **(kwargs or {}))

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.on = False
        try:
            yield
        finally:
            self.on = True


@dataclass(frozen=True)
class Count:
    """Per step, averaged: all dispatched operations (views too), and reads of a tensor's value by the host."""

    operations: float
    syncs: float


def sdxl_layers() -> list[tuple[str, int, int]]:
    """(stem, in, out) of the 722 layers of full-size SDXL."""
    config = Path(engine.models.__file__).parent / "sdxl_files" / "unet" / "config.json"
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(json.loads(config.read_text()))
    layers = [(target.stem, unet.get_submodule(target.name)) for target in unet_targets(unet)]
    return [(stem, layer.in_features, layer.out_features) for stem, layer in layers]


def _weights(layers: list[tuple[str, int, int]]) -> list[tuple[nn.Parameter, nn.Parameter]]:
    g = torch.Generator().manual_seed(0)
    return [
        (nn.Parameter(torch.randn(RANK, i, generator=g) * 0.02), nn.Parameter(torch.zeros(o, RANK)))
        for _, i, o in layers
    ]


class StandIn(nn.Module):
    """In place of the U-Net; what it does is not counted."""

    def __init__(self, counting: Counting, gradients: list[Tensor]) -> None:
        super().__init__()
        self.counting, self.gradients = counting, gradients

    def forward(self, noisy: Tensor, *_: Any, **__: Any) -> tuple[Tensor]:
        with self.counting.paused():
            return (noisy.clone().requires_grad_(True),)

    def fill_gradients(self) -> None:
        with self.counting.paused():
            for number, gradient in enumerate(self.gradients):
                gradient.normal_(generator=torch.Generator().manual_seed(number))


def _batch(step: int) -> Any:
    g = torch.Generator().manual_seed(step)
    size = torch.tensor([1024.0, 1024, 0, 0, 1024, 1024])

    def sample() -> Sample:
        mean, std = torch.randn(4, 16, 16, generator=g), torch.rand(4, 16, 16, generator=g)
        return Sample(mean, std, "a", size, 1.0)

    cpu = torch.device("cpu")
    texts = {text: (torch.randn(77, 2048, generator=g), torch.randn(1280, generator=g)) for text in ("", "a")}
    return [sample(), sample()], EncodedAhead(CaptionRules(1, caption_dropout_rate=0.1), texts, cpu)


def count_ours(steps: int = 4) -> Count:
    """Batch 2, the guide's settings: Prodigy, clipping, min-SNR, noise offset, scale weight norms."""
    layers = sdxl_layers()
    modules = [
        LoraModule(Target("unet", stem, stem), SimpleNamespace(scaling={}), down, up, RANK / 2)  # type: ignore[arg-type]
        for (stem, _, _), (down, up) in zip(layers, _weights(layers), strict=True)
    ]
    network = LoraNetwork([LoraPart("unet", modules)])
    settings = resolve({})
    counting = Counting()
    gradients = [flat.grad for flat in network.parameters if flat.grad is not None]
    unet = StandIn(counting, gradients)
    accelerator = Accelerator(cpu=True)
    plain_backward = accelerator.backward

    def backward(loss: Tensor, **_: Any) -> None:
        with counting.paused():
            plain_backward(loss)
        unet.fill_gradients()

    accelerator.backward = backward  # type: ignore[method-assign]
    optimizer = accelerator.prepare(make_optimizer(settings, to_optimize(settings, network)))
    training: Any = SimpleNamespace(
        dtype=torch.float32,
        accelerator=accelerator,
        unet=unet,
        network=network,
        optimizer=optimizer,
        settings=settings,
        processes=ALONE,
    )
    training.predict = partial(Training.predict, training)
    objective = Objective.of(settings, torch.device("cpu"))
    randomness = Randomness(1, settings.noise_offset)
    with counting, patch.object(norms, "_all_within", lambda *_: False):  # which is asked on the CPU only
        for step in range(1, steps + 2):
            if step == 2:
                counting.calls.clear()
            with counting.paused():
                samples, texts = _batch(step)
            batch = micro_batch(
                samples,
                texts,
                randomness,
                epoch=1,
                step=step,
                first_position=0,
                scaling_factor=0.13025,
                device=torch.device("cpu"),
            )
            figures = train_step(training, [batch], objective)
            with counting.paused():
                figures.tolist()  # the meter's copy; on a GPU it is asynchronous
    return _per_step(counting, steps)


def count_plain(steps: int = 2) -> Count:
    """One parameter a tensor, sd-scripts' max-norm; the rest of the step (noise, loss) is not even counted."""
    pairs = _weights(sdxl_layers())
    parameters = [p for pair in pairs for p in pair]
    optimizer = Prodigy(parameters, **PRODIGY)
    counting = Counting()
    with counting:
        for step in range(1, steps + 2):
            if step == 2:
                counting.calls.clear()
            with counting.paused():
                for number, p in enumerate(parameters):
                    p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(number))
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            apply_max_norm_directly(pairs, 0.5, 5.0)
    return _per_step(counting, steps)


def _per_step(counting: Counting, steps: int) -> Count:
    syncs = sum(n for name, n in counting.calls.items() if name in SYNCS)
    return Count(sum(counting.calls.values()) / steps, syncs / steps)
