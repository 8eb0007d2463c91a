"""Whole trainings in this process: a small project, a real run folder, the real job, and what came of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from PIL import Image

from engine.__main__ import work
from engine.lora import weights
from engine.lora.weights import LoraFile
from engine.plan.settings import Settings, resolve
from engine.runs import folder as folders
from engine.runs.events import read_all
from engine.runs.folder import RunFolder
from engine.runs.job import Job

SMALL: dict[str, object] = {
    "resolution": "64,64",
    "bucket_reso_steps": 16,
    "train_batch_size": 2,
    "max_train_epochs": 1,
    "network_dim": 4,
    "network_alpha": 2.0,
    "mixed_precision": "no",
    "save_precision": "float",
    "gradient_checkpointing": False,
    "sample_every_n_steps": 0,
    "optimizer_type": "AdamW",
    "optimizer_args": (),
    "learning_rate": 1e-3,
    "seed": 7,
    "noise_offset": 0.0,
    "caption_dropout_rate": 0.0,
    "min_snr_gamma": 0.0,
    "scale_weight_norms": 0.0,
}
"""Over these, each test says what it is about."""

NF4 = pytest.param(
    "nf4", marks=pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
)
"""Base weights in 4 bits, among the values of a parametrised test."""

SIZES = ((64, 64), (64, 64), (96, 48), (64, 64))


def settings(**values: object) -> Settings:
    return resolve(SMALL, values)


def picture(path: Path, number: int, size: tuple[int, int] = (64, 64)) -> Path:
    """A picture of soft random colours, different for each number."""
    coarse = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def make_project(root: Path, cache: Path | None = None, reg: bool = False, repeats: int = 1) -> Path:
    """Four pictures of two shapes with captions, and with `reg` two regularisation pictures."""
    for number, size in enumerate(SIZES):
        file = picture(root / "img" / f"{repeats}_ohwx man" / f"{number}.png", number, size)
        file.with_suffix(".txt").write_text(f"ohwx, a photo of a man, number {number}", encoding="utf-8")
    if reg:
        for number in (50, 51):
            picture(root / "reg" / "1_man" / f"{number}.png", number)
    if cache is not None:
        (root / "cache").symlink_to(cache, target_is_directory=True)
    return root


@dataclass(frozen=True)
class Trained:
    """A run that has ended. `code`: what the engine would have exited with."""

    run: RunFolder
    project: Path
    code: int
    events: tuple[dict[str, Any], ...]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]

    @property
    def end(self) -> dict[str, Any]:
        assert self.events[-1]["kind"] == "end", self.events[-1]
        return self.events[-1]

    @property
    def losses(self) -> list[float]:
        return [event["loss"] for event in self.of("step")]

    @property
    def warnings(self) -> dict[str, str]:
        return {event["code"]: event["message"] for event in self.of("warning")}

    @property
    def files(self) -> list[str]:
        """Names of the LoRAs in the project's model/."""
        return sorted(path.name for path in (self.project / "model").glob("*"))

    @cached_property
    def lora(self) -> LoraFile:
        """The finished LoRA."""
        return self.saved("ohwx.safetensors")

    def saved(self, name: str) -> LoraFile:
        return weights.read(self.run.output_dir / name)


@contextmanager
def own_process() -> Iterator[None]:
    """What the engine does to its process is undone: signals, accelerate's state, the number of threads."""
    names = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers, threads = [signal.getsignal(name) for name in names], torch.get_num_threads()
    try:
        yield
    finally:
        for name, handler in zip(names, handlers, strict=True):
            signal.signal(name, handler)
        torch.set_num_threads(threads)
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


def ask_to_stop() -> None:
    """As somebody does from outside, to the engine that runs in this process."""
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(frozen=True)
class Trainer:
    """`train(network_dim=8)` runs a whole job; every run has a project of its own, and all share a cache."""

    base: Path
    root: Path
    cache: Path

    def project(self, reg: bool = False, repeats: int = 1) -> Path:
        number = len(list(self.root.iterdir()))
        return make_project(self.root / f"project{number}", self.cache, reg, repeats)

    def prepare(
        self,
        project: Path,
        arguments: Mapping[str, Any] | None = None,
        device: str = "auto",
        **values: object,
    ) -> RunFolder:
        whole = settings(**({"pretrained_model_name_or_path": str(self.base)} | values))
        job = Job("train", project, "ohwx", "ohwx", "man", whole, device=device, arguments=arguments or {})
        return folders.create(project / "runs", job)

    def __call__(self, project: Path | None = None, *, reg: bool = False, repeats: int = 1, **values: Any) -> Trained:
        project = project or self.project(reg, repeats)
        return self.do(self.prepare(project, **values), project)

    def do(self, run: RunFolder, project: Path) -> Trained:
        with own_process():
            code = work(run)
        return Trained(run, project, code, tuple(read_all(run.events_path)))


def same(first: LoraFile, second: LoraFile) -> bool:
    """Whether two LoRAs are equal to the bit."""
    names = first.tensors.keys()
    return names == second.tensors.keys() and all(torch.equal(first.tensors[n], second.tensors[n]) for n in names)


def apart(first: LoraFile, second: LoraFile) -> float:
    """How far two LoRAs' whole changes are from each other, as a part of the first's size."""
    difference = total = 0.0
    for stem in first.stems:
        one, other = change(first, stem), change(second, stem)
        difference += float((one - other).square().sum())
        total += float(one.square().sum())
    return (difference / total) ** 0.5


def change(file: LoraFile, stem: str) -> torch.Tensor:
    """alpha / rank · up · down of one module."""
    down, up = (file.tensors[f"{stem}.lora_{part}.weight"].float() for part in ("down", "up"))
    return (up @ down) * (float(file.tensors[f"{stem}.alpha"]) / len(down))
