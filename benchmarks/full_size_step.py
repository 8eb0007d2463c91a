"""What a step costs at full size beside the U-Net itself, and where its memory goes. For `full_size`'s project:

    python -m benchmarks.full_size_step PROJECT [--steps 4]

Bare passes through the U-Net with its LoRA attached (forward, loss, backward) take turns with whole steps, in one
process and on the same batches. In a whole step the seconds of the U-Net's forward pass, of the backward pass and of
the optimizer are taken apart; what is left is ours: making the batch, loss, clipping, zeroing, max-norm, meter.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from benchmarks.clock import Clock
from benchmarks.full_size_batches import CPU, Batches
from benchmarks.memory_watch import MemoryWatch, anonymous_bytes
from engine.data.samples import MicroBatch
from engine.device import give_back
from engine.models.checkpoint import load
from engine.plan.base_model import recognise
from engine.plan.project import Project
from engine.train.job import WEIGHT_DTYPES, make_accelerator
from engine.train.loop import Training, train_step
from engine.train.loss import denoising_loss
from engine.train.meter import Meter, StepFacts
from engine.train.objective import Objective
from engine.train.optimizers import effective_rates, make_optimizer, to_optimize
from engine.train.parts import make_network
from engine.train.processes import ALONE
from engine.train.schedule import Schedule

GB = 1e9


class Contestant:
    """The real step, and the U-Net alone, on one model."""

    def __init__(self, project: Project) -> None:
        s = self.settings = project.resolved()
        dtype = WEIGHT_DTYPES[s.mixed_precision]
        self.before = anonymous_bytes(os.getpid()) or 0
        model = self.model = load(recognise(s.pretrained_model_name_or_path), dtype=dtype)
        self.batches = Batches(project, s, model)
        model.let_text_encoders_go()
        give_back(CPU)
        self.accelerator = make_accelerator(s, CPU)
        self.network = make_network(s, model, CPU)
        self.optimizer = self.accelerator.prepare(make_optimizer(s, to_optimize(s, self.network)))
        self.schedule = Schedule(s, self.optimizer, 1000)
        self.objective = Objective.of(s, CPU)
        self.meter = Meter(SimpleNamespace(emit=lambda *_, **__: None), CPU)  # type: ignore[arg-type]
        self.clock = Clock()
        self.training: Any = SimpleNamespace(
            dtype=dtype,
            accelerator=SimpleNamespace(
                autocast=self.accelerator.autocast,
                backward=self.clock.around("backward", self.accelerator.backward),
                clip_grad_norm_=self.clock.around("(clipping)", self.accelerator.clip_grad_norm_),
            ),
            unet=self.clock.around("forward", model.unet),
            network=self.network,
            optimizer=SimpleNamespace(step=self.clock.around("optimizer", self.optimizer.step)),
            settings=s,
            processes=ALONE,
        )
        self.training.predict = partial(Training.predict, self.training)

    def whole(self) -> Iterator[float]:
        """The steps of the first epoch, as the loop does them, each when it is asked for; its seconds."""
        began = time.perf_counter()
        for _, batch in self.batches.epoch():
            self.schedule.set(batch.step)
            rates, d = effective_rates(self.optimizer)
            figures = train_step(self.training, [batch], self.objective)
            rate = {"unet": rates[0]}
            self.meter.add(StepFacts(batch.step, 1, batch.step, rate, d, len(batch.latents), figures))
            yield time.perf_counter() - began
            began = time.perf_counter()

    def bare(self, batch: MicroBatch) -> float:
        """Seconds of the U-Net's forward and backward pass."""
        noisy, (context, pooled) = self.objective.noisy(batch), batch.texts.encoded()
        dtype = self.training.dtype
        began = time.perf_counter()
        with self.accelerator.autocast():
            predicted = self.model.unet(
                noisy.to(dtype),
                batch.timesteps,
                encoder_hidden_states=context.to(dtype),
                added_cond_kwargs={"text_embeds": pooled.to(dtype), "time_ids": batch.time_ids},
                return_dict=False,
            )[0]
        denoising_loss(predicted, batch, self.objective).backward()
        return time.perf_counter() - began

    def parts(self) -> dict[str, int]:
        """Bytes of everything that stays."""
        states = (v for state in self.optimizer.state.values() for v in state.values() if isinstance(v, Tensor))
        flat = self.network.parameters
        lora = {weight.untyped_storage().data_ptr() for weight in flat}
        frozen = (w for w in self.model.unet.parameters() if w.untyped_storage().data_ptr() not in lora)
        return {
            "Python and its libraries": self.before,
            "U-Net, bf16": _bytes(frozen),
            "VAE, fp32": _bytes(self.model.vae.parameters()),
            "LoRA, fp32": _bytes(flat),
            "its gradients": _bytes(w.grad for w in flat if w.grad is not None),
            "optimizer state": _bytes(states),
        }


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def measure(project: Project, most: int) -> dict[str, Any]:
    """Ratios and means over at most `most` steps of the project's first epoch, after one that warms up."""
    c = Contestant(project)
    whole: list[float] = []
    bare: list[float] = []
    ratios: list[float] = []
    steps = iter(c.whole())
    with MemoryWatch(os.getpid()) as watch:
        for number, (_, batch) in enumerate(c.batches.epoch()):
            if number > most:
                break
            alone = c.bare(batch)
            c.network.zero_grad()
            if number == 1:
                c.clock.seconds.clear()
            optimizer = c.clock.seconds["optimizer"]
            seconds = next(steps)
            optimizer = c.clock.seconds["optimizer"] - optimizer
            print(f"bare {alone:.2f} s, whole {seconds:.2f} s, of it optimizer {optimizer:.2f} s", flush=True)
            if number:
                bare.append(alone)
                whole.append(seconds)
                ratios.append((seconds - optimizer) / alone)
        mean = {name: value / len(whole) for name, value in c.clock.seconds.items()}
    parts = c.parts()
    passes = mean["forward"] + mean["backward"]
    rest = statistics.mean(whole) - passes - mean["optimizer"]
    return {
        "steps": len(whole),
        "seconds": {"whole": statistics.mean(whole), "bare": statistics.mean(bare), **mean, "rest": rest},
        "rest_over_passes": rest / passes,
        "whole_without_optimizer_over_bare": statistics.median(ratios),
        "memory": {"peak": watch.peak(), "parts": parts, "sum": sum(parts.values())},
        "load_average": os.getloadavg(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--steps", type=int, default=4, help="at most, after one that warms up")
    parser.add_argument("--json", type=Path, default=Path("build/full-size-step.json"))
    args = parser.parse_args()
    told = measure(Project.open(args.project), args.steps)
    for name, value in told["seconds"].items():
        print(f"{name:<42} {value:8.2f} s")
    print(f"{'rest over forward and backward':<42} {told['rest_over_passes']:8.2%}   at most 3 %")
    print(f"{'step without optimizer over bare passes':<42} {told['whole_without_optimizer_over_bare']:8.3f}")
    for name, value in told["memory"]["parts"].items():
        print(f"{name:<42} {value / GB:8.2f} GB")
    memory = told["memory"]
    print(f"{'sum':<42} {memory['sum'] / GB:8.2f} GB")
    print(f"{'peak':<42} {memory['peak'] / GB:8.2f} GB")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
