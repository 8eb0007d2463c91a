"""The configurations that are simulated: those that the formula is fitted to, and others to check it by.

Each has one file in `benchmarks/memory_grid`, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.memory.simulate import Counted, simulate_other, simulate_step
from engine.plan.files import atomic_write
from engine.plan.settings import Settings, resolve

FOLDER = Path(__file__).parents[1] / "memory_grid"
OTHERS = ("vae encode", "vae decode", "text encode", "sample")


@dataclass(frozen=True)
class Configuration:
    """`use`: fit, check, or one of OTHERS, which are fitted too. `settings`: what differs from the defaults."""

    use: str
    bucket: tuple[int, int]
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """Of its file."""
        short = {
            "train_batch_size": "b", "network_dim": "r", "conv_dim": "c", "mixed_precision": "", "base_weights": "",
            "optimizer_type": "", "gradient_checkpointing": "gc", "train_text_encoder_1": "te1-",
            "train_text_encoder_2": "te2-", "train_unet": "unet-", "cache_latents": "latents-",
            "cache_text_encoder_outputs": "texts-", "max_token_length": "tokens", "use_ema": "ema-",
            "optimizer_args": "args-",
        }  # fmt: skip
        parts = [f"{short[key]}{_word(value)}" for key, value in self.settings.items()]
        return "_".join([self.use.replace(" ", "-"), f"{self.bucket[0]}x{self.bucket[1]}", *parts])

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.json"

    def resolved(self) -> Settings:
        return resolve(self.settings)

    def count(self) -> Counted:
        if self.use in OTHERS:
            return simulate_other(self.use, self.resolved(), self.bucket)
        return simulate_step(self.resolved(), self.bucket)

    def write(self) -> None:
        FOLDER.mkdir(exist_ok=True)
        told = {**asdict(self), "counted": asdict(self.count())}
        atomic_write(self.path, json.dumps(told, indent=1) + "\n")


@dataclass(frozen=True)
class Result:
    """A configuration and what was counted."""

    configuration: Configuration
    counted: Counted


def results() -> list[Result]:
    """All that are there, in the order of their names."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        configuration = Configuration(told["use"], (told["bucket"][0], told["bucket"][1]), told["settings"])
        found.append(Result(configuration, Counted(**told["counted"])))
    return found


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)


def to_fit() -> Iterator[Configuration]:
    """At most 60: everything that changes what a step needs, each at some sizes."""
    optimizers = ("AdamW", "Prodigy", "AdamW8bit", "Lion")
    number = 0
    for batch, side, rank, more in (
        (1, 1024, 16, {}),
        (1, 512, 16, {}),
        (4, 1024, 16, {}),
        (1, 1024, 96, {}),
        (4, 512, 96, {}),
        (8, 1024, 32, {}),
        (2, 1280, 64, {}),
        (1, 1024, 16, {"conv_dim": 16}),
        (4, 768, 32, {"conv_dim": 32}),
        (1, 512, 16, {"base_weights": "fp8"}),
        (2, 1024, 32, {"base_weights": "fp8"}),
        (1, 1024, 96, {"base_weights": "fp8"}),
        (1, 512, 16, {"base_weights": "nf4"}),
        (2, 1024, 32, {"base_weights": "nf4"}),
        (1, 1024, 96, {"base_weights": "nf4"}),
        (1, 512, 16, {"mixed_precision": "no"}),
        (2, 1024, 32, {"mixed_precision": "no"}),
        (1, 1024, 96, {"mixed_precision": "no"}),
        (1, 512, 16, {"train_text_encoder_1": True, "train_text_encoder_2": True}),
        (8, 1024, 16, {"train_text_encoder_1": True, "train_text_encoder_2": True}),
        (1, 1024, 96, {"train_text_encoder_1": True, "train_text_encoder_2": True}),
        (2, 1024, 32, {"train_text_encoder_1": True}),
        (4, 768, 32, {"train_text_encoder_2": True, "max_token_length": 225}),
        (1, 1024, 16, {"cache_text_encoder_outputs": False}),
    ):
        for checkpointing in (True, False):
            settings = {
                "train_batch_size": batch,
                "network_dim": rank,
                "gradient_checkpointing": checkpointing,
                "optimizer_type": optimizers[number % len(optimizers)],
                **more,
            }
            number += 1
            yield Configuration("fit", (side, side), settings)
    for rank, side in ((16, 512), (96, 1024)):
        settings = {"train_batch_size": 1, "network_dim": rank, "gradient_checkpointing": True}
        yield Configuration("fit", (side, side), {**settings, "optimizer_type": "Adafactor"})
    for optimizer in ("Prodigy", "Lion", "AdamW"):
        settings = {"train_batch_size": 1, "network_dim": 256, "gradient_checkpointing": True}
        yield Configuration("fit", (512, 512), {**settings, "optimizer_type": optimizer})


def others() -> Iterator[Configuration]:
    """What is done beside the steps."""
    for side in (512, 1024, 1536):
        yield Configuration("vae encode", (side, side), {})
        yield Configuration("vae decode", (side, side), {})
    for precision in ("bf16", "no"):
        for tokens in (75, 225):
            yield Configuration("text encode", (1024, 1024), {"mixed_precision": precision, "max_token_length": tokens})
        for side, rank in ((512, 16), (1024, 16), (1024, 96)):
            yield Configuration("sample", (side, side), {"mixed_precision": precision, "network_dim": rank})
    for weights in ("fp8", "nf4"):
        yield Configuration("sample", (1024, 1024), {"network_dim": 16, "base_weights": weights})


BUCKETS = (
    (512, 512), (640, 640), (768, 768), (1024, 1024), (1024, 1024), (832, 1216), (1344, 768), (1152, 896), (1280, 1280),
    (1536, 640),
)  # fmt: skip


def to_check(count: int = 48) -> Iterator[Configuration]:
    """Others, drawn from the whole space, four steps with each LoRA; no two alike, and none that is fitted to."""
    chance = random.Random(7)
    seen = {configuration.name.partition("_")[2] for configuration in to_fit()}
    while count:
        weights = chance.choice(("full", "full", "full", "fp8", "nf4"))
        text = chance.random() < 0.3
        network: dict[str, Any] = {
            "network_dim": chance.choice((4, 8, 16, 24, 32, 48, 64, 96, 128, 160)),
            "conv_dim": chance.choice((0, 0, 0, 4, 8, 32)),
            "mixed_precision": chance.choice(("bf16", "bf16", "fp16", "no") if weights == "full" else ("bf16", "fp16")),
            "base_weights": weights,
            "train_text_encoder_1": text and chance.random() < 0.7,
            "train_text_encoder_2": text and chance.random() < 0.7,
            "cache_latents": chance.random() < 0.8,
            "cache_text_encoder_outputs": chance.random() < 0.8,
            "use_ema": chance.random() < 0.15,
        }
        for _ in range(4):
            settings: dict[str, Any] = {
                "train_batch_size": chance.choice((1, 1, 2, 3, 4, 6, 8)),
                **network,
                "gradient_checkpointing": chance.random() < 0.6,
                "optimizer_type": chance.choice(("Prodigy", "Prodigy", "AdamW", "AdamW8bit", "Lion")),
                "max_token_length": chance.choice((75, 75, 75, 150, 225)),
            }
            if settings["optimizer_type"] == "Prodigy" and chance.random() < 0.3:
                settings["optimizer_args"] = ["slice_p=11"]
            configuration = Configuration("check", chance.choice(BUCKETS), settings)
            if (key := configuration.name.partition("_")[2]) not in seen:
                seen.add(key)
                count -= 1
                yield configuration


def every() -> list[Configuration]:
    """All of them: small ones first, then those to fit and those to check in turn, so that half a grid is of use. Those
    with the same LoRA stand together."""
    fitted, checked = list(to_fit()), list(to_check())
    mixed = []
    while fitted or checked:
        mixed += [*fitted[:4], *checked[:4]]
        del fitted[:4], checked[:4]
    return [*others(), *mixed]
