"""The steps of a finished run once more, by the plain loop (`reference`), in a process of its own.

    python -m benchmarks.full_size_reference PROJECT

The last line that it prints is JSON. Order, noise and latent draws are the run's own; pictures and prompts are read and
encoded in every step, as the diffusers example does without its switches, and their seconds are told apart, so that
what the caches save can be taken out. It holds the same weights in the same precisions as the run.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.clock import Clock
from benchmarks.full_size_batches import Batches
from benchmarks.reference import PlainLoop, RawBatch, Start, apply_max_norm_directly
from engine.lora.targets import unet_targets
from engine.models.checkpoint import load
from engine.models.sdxl import SDXL
from engine.plan.base_model import recognise
from engine.plan.project import Project
from engine.train.noise import generator


def start(model: SDXL, rank: int, seed: int) -> Iterable[Start]:
    """What `engine.lora.attach` begins with, to be gone through once, a layer at a time: all at once would be a second
    LoRA beside the loop's own."""
    layers = [(target.name, model.unet.get_submodule(target.name)) for target in unet_targets(model.unet)]
    sizes = [(name, layer.in_features, layer.out_features) for name, layer in layers]
    chance = torch.Generator().manual_seed(seed)

    def down(inputs: int) -> Tensor:
        return torch.empty(rank, inputs).uniform_(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs), generator=chance)

    return ((name, down(inputs), torch.zeros(outputs, rank)) for name, inputs, outputs in sizes)


def main() -> None:
    project = Project.open(Path(sys.argv[1]))
    settings = project.resolved()
    model = load(recognise(settings.pretrained_model_name_or_path), dtype=torch.bfloat16)
    batches = Batches(project, settings, model)
    model.text_encoders_to("cpu")
    loop = PlainLoop(model, start(model, settings.network_dim, settings.seed), settings, cached=False)
    clock = Clock()
    model.vae.encode = clock.around("encoding pictures", model.vae.encode)  # type: ignore[method-assign]
    model.encode_text = clock.around("encoding prompts", model.encode_text)  # type: ignore[method-assign]
    loop.optimizer.step = clock.around("optimizer", loop.optimizer.step)
    scale, seconds, losses = settings.network_alpha / settings.network_dim, [], []
    begin = time.time()
    for step, (chosen, batch) in enumerate(batches.epoch(), start=1):
        noises = torch.empty(batch.latents.shape)
        for position in range(len(chosen)):
            noises[position].normal_(generator=generator(settings.seed, "latent", step, position))
        began = time.perf_counter()
        losses.append(loop.step(RawBatch(chosen, noises, batch)))
        clock.around("max-norm", apply_max_norm_directly)(loop.pairs, scale, settings.scale_weight_norms)
        seconds.append(time.perf_counter() - began)
        print(f"step {step}: {seconds[-1]:.1f} s, loss {losses[-1]:.4f}", file=sys.stderr, flush=True)
    parts = {name: value / len(seconds) for name, value in clock.seconds.items()}
    told = {"step_seconds": seconds, "losses": losses, "parts": parts, "begin": begin, "end": time.time()}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
