"""One phase of pretraining: a cosine schedule, a running average of the weights, a state that is saved and resumed."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

SEED = 20261122
SAVE_EVERY_SECONDS = 120


@dataclass
class Trainee:
    """What a phase trains and saves: named modules, their running average and the optimizer."""

    modules: dict[str, nn.Module]
    optimizer: torch.optim.Optimizer
    average_decay: float

    def __post_init__(self) -> None:
        self.averages = {name: copy.deepcopy(m).requires_grad_(False) for name, m in self.modules.items()}

    def update_averages(self, step: int) -> None:
        decay = min(self.average_decay, (step + 1) / (step + 20))
        for name, module in self.modules.items():
            with torch.no_grad():
                torch._foreach_lerp_(list(self.averages[name].parameters()), list(module.parameters()), 1 - decay)


def train(
    trainee: Trainee, loss_at: Callable[[int], Tensor], steps: int, lr: float, path: Path, *, warmup: int = 100
) -> None:
    """Run `loss_at(step)` for `steps` steps with warm-up and cosine decay to zero; resumes from `path`."""
    parameters = [p for group in trainee.optimizer.param_groups for p in group["params"]]
    start, spent = 0, 0.0
    if path.exists():
        state = torch.load(path, weights_only=True)
        for name, module in trainee.modules.items():
            module.load_state_dict(state["modules"][name])
            trainee.averages[name].load_state_dict(state["averages"][name])
        trainee.optimizer.load_state_dict(state["optimizer"])
        start, spent = state["step"], state["seconds"]
        print(f"going on from step {start}", flush=True)

    def save(step: int) -> None:
        state = {
            "modules": {n: m.state_dict() for n, m in trainee.modules.items()},
            "averages": {n: m.state_dict() for n, m in trainee.averages.items()},
            "optimizer": trainee.optimizer.state_dict(),
            "step": step,
            "seconds": spent + time.monotonic() - began,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    began = saved = time.monotonic()
    losses: list[float] = []
    for step in range(start, steps):
        rate = lr * min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in trainee.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(SEED * 1_000_003 + step)
        loss = loss_at(step)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        trainee.optimizer.step()
        trainee.optimizer.zero_grad(set_to_none=True)
        trainee.update_averages(step)
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            seconds = (time.monotonic() - began) / (step + 1 - start)
            print(
                f"{path.stem} {step + 1}/{steps}  loss {np.mean(losses[-300:]):.4f}  {seconds:.3f} s/step"
                f"  left {(steps - step - 1) * seconds / 60:.0f} min",
                flush=True,
            )
        if time.monotonic() - saved > SAVE_EVERY_SECONDS:
            save(step + 1)
            saved = time.monotonic()
    save(steps)
