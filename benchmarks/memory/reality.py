"""The simulation beside the same step on real numbers, on the processor: what is counted, and what is allocated.

Allocated is what PyTorch's own profiler says of its allocator, in which every temporary of every kernel shows; private
memory is what Linux says of the process (Python and its libraries taken off).
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from benchmarks.memory.simulate import Counted, simulate_step
from benchmarks.memory_watch import MemoryWatch, anonymous_bytes
from engine.device import give_back
from engine.plan.settings import Settings, resolve

GIB = 2**30


@dataclass
class Allocated:
    """Bytes on top of what there was when the step began: the most that the allocator gave, and that Linux saw."""

    passing: int = 0
    private: int = 0
    stands: int = 0
    rows: list[int] = field(default_factory=list)

    @contextmanager
    def profiled(self) -> Iterator[None]:
        """Every allocation of the step is written down, which a step of the full model has memory for."""
        give_back(torch.device("cpu"))
        self.stands = anonymous_bytes(os.getpid()) or 0
        with MemoryWatch(os.getpid()) as watch, torch.autograd.profiler.profile(profile_memory=True) as seen:
            yield
        self.private = watch.peak() - self.stands
        living = 0
        for event in seen.kineto_results.events():
            if event.name() == "[memory]":
                living += event.nbytes()
                self.passing = max(self.passing, living)


@dataclass(frozen=True)
class Beside:
    """One step three ways. `stays` and peaks in bytes."""

    name: str
    simulated: Counted
    real: Counted
    allocated: Allocated

    @property
    def stays(self) -> int:
        return sum(self.real.parts.values())


def beside(name: str, settings: Settings, bucket: tuple[int, int], size: str) -> Beside:
    """Simulated, then really done under the same counter."""
    simulated = simulate_step(settings, bucket, size)
    gc.collect()
    torch.manual_seed(0)
    allocated = Allocated()
    real = simulate_step(settings, bucket, size, "real", allocated.profiled)
    return Beside(name, simulated, real, allocated)


def micro() -> Iterator[Beside]:
    """The practice model: text encoders in the step and not, checkpointing and not."""
    usual = {"network_dim": 8, "train_batch_size": 2}
    for name, more in (
        ("micro, bf16, checkpointing, Prodigy", {}),
        ("micro, bf16, all kept, AdamW", {"gradient_checkpointing": False, "optimizer_type": "AdamW"}),
        (
            "micro, fp32, all kept, Lion",
            {"gradient_checkpointing": False, "optimizer_type": "Lion", "mixed_precision": "no"},
        ),
        ("micro, fp8, checkpointing, LoCon", {"base_weights": "fp8", "conv_dim": 4}),
    ):
        yield beside(name, resolve({**usual, **more}), (256, 256), "micro")


def full() -> Iterator[Beside]:
    """Full size at 256x256: about 10 GB of memory, some minutes."""
    for name, more in (
        ("SDXL, bf16, checkpointing, AdamW, rank 16", {}),
        ("SDXL, bf16, all kept, AdamW, rank 16", {"gradient_checkpointing": False}),
    ):
        chosen = resolve({"network_dim": 16, "train_batch_size": 1, "optimizer_type": "AdamW", **more})
        yield beside(name, chosen, (256, 256), "sdxl")


def print_reality(with_full_size: bool) -> None:
    """A table; MiB for the practice model's and the full model's steps alike."""
    print("MiB: what stays | peak of the step: simulated, counted on real tensors, allocated | private memory")
    for row in [*micro(), *(full() if with_full_size else ())]:
        figures = (row.stays, row.simulated.peak, row.real.peak, row.stays + row.allocated.passing)
        shown = " ".join(f"{figure / 2**20:10.2f}" for figure in figures)
        private = (row.stays + row.allocated.private) / 2**20
        more = row.real.peak / (row.stays + row.allocated.passing) - 1
        print(f"{row.name:<46} {shown} {private:10.2f}   counted to allocated {more:+.2%}", flush=True)
