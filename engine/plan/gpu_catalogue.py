"""Usual rented and home GPUs (`gpu_catalogue.toml`), and which one a person or a driver means by a name."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.plan.errors import UserError, few, inert
from engine.plan.gpus import BF16_CAPABILITY, Gpu, Kind, gib
from engine.plan.nearest import nearest_few

_PATH = Path(__file__).with_suffix(".toml")
_NOISE = re.compile(
    r"\b(nvidia|geforce|tesla|quadro|amd|instinct|radeon|gpu|card|pcie|sxm\d?|hbm\d?e?|(?<!h100.)nvl|oam|graphics|generation"
    r"|blackwell|server|workstation|edition|silicon)\b"
)
_MEMORY = re.compile(r"(?<![a-z\d])(\d{1,3})\s*(?:gb|gib|g)\b")
_LAST_NUMBER = re.compile(r"[^a-z\d](\d{1,3})$")
_KNOWN = (
    "Known are NVIDIA's RTX and data centre cards, AMD's RX 7900, MI210 and MI300X, and Apple's M: lora-tui doctor "
    "--gpus lists them. To see whether it fits, take one with as much memory."
)
_APPLE = re.compile(r"(apple)?m\d?(pro|max|ultra)?")


@dataclass(frozen=True)
class Card:
    """One line of the catalogue. gigabytes: as it is sold; bytes: as its driver counts them. tflops: 10^12 a second."""

    model: str
    gigabytes: int
    bytes: int
    kind: Kind
    capability: tuple[int, int] | None
    tflops: float
    bandwidth_gbps: float
    usual: bool

    @property
    def name(self) -> str:
        return f"{self.model} {self.gigabytes} GB"

    @property
    def bf16(self) -> bool:
        return self.capability is None or self.capability >= BF16_CAPABILITY

    @property
    def facts(self) -> str:
        """In a few words: what counts for a training."""
        precision = "bf16" if self.bf16 else "no bf16"
        return f"{gib(self.bytes)}, {precision}, {self.tflops:g} TFLOPS, {self.bandwidth_gbps:g} GB/s"

    def as_json(self) -> dict[str, object]:
        """As the `--json` commands print it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "total_bytes": self.bytes,
            "capability": f"{self.capability[0]}.{self.capability[1]}" if self.capability else None,
            "bf16": self.bf16,
            "tflops": self.tflops,
            "bandwidth_gbps": self.bandwidth_gbps,
        }

    def as_gpu(self) -> Gpu:
        """As a GPU that is elsewhere and idle."""
        return Gpu(
            self.name,
            self.kind,
            self.bytes,
            None,
            self.capability,
            self.bf16,
            here=False,
            tflops=self.tflops,
            bandwidth_gbps=self.bandwidth_gbps,
        )


@cache
def cards() -> tuple[Card, ...]:
    """The whole catalogue, in its order."""
    found = []
    for row in tomllib.loads(_PATH.read_text("utf-8"))["gpus"]:
        major, _, minor = row.get("capability", "").partition(".")
        found.append(
            Card(
                row["model"],
                row["gb"],
                row["mib"] * 2**20,
                row.get("kind", "cuda"),
                (int(major), int(minor)) if major else None,
                float(row["tflops"]),
                float(row["gbps"]),
                row.get("usual", False),
            )
        )
    return tuple(found)


def named(name: str) -> Card:
    """The card that is meant: `RTX 3060 12GB`, `3060`, `rtx3060-12`, `NVIDIA A100-SXM4-80GB`.

    Raises UserError: `unknown-gpu`, `which-gpu` where it is sold with several memories; both name those that are near.
    """
    if not name.strip():
        raise UserError("which-gpu", "No GPU is named.", _KNOWN)
    model, gigabytes = _parts(name)
    same = [card for card in cards() if _key(card.model) == model]
    if gigabytes is not None and not model:
        as_large = [card.name for card in cards() if card.gigabytes == gigabytes]
        known = f"With {gigabytes} GB there are {few(as_large)}." if as_large else _KNOWN
        raise UserError("which-gpu", f"{gigabytes} GB is a size, not yet a GPU.", f"Say which one. {known}")
    if not same:
        # Of numbers the end is mistyped: a 1080 is no V100, however many digits they share.
        alike = {key: card.model for card in cards() if (key := _key(card.model))[:2] == model[:2]}
        near = nearest_few(model, alike)
        hint = f"Did you mean {_or(near)}?" if near else _KNOWN
        if near and "laptop" in name.lower():
            hint = f"{hint} A laptop's card has a memory of its own: plan for one with as much."
        raise UserError("unknown-gpu", f'"{inert(name.strip(), 80)}" is not among the known GPUs.', hint)
    if gigabytes is not None:
        fitting = [card for card in same if card.gigabytes == gigabytes]
    else:
        fitting = same if len(same) == 1 else [card for card in same if card.usual]
    if fitting:
        return fitting[0]
    sold = _or([card.name for card in same])
    if gigabytes is not None:
        raise UserError("unknown-gpu", f"There is no {same[0].model} with {gigabytes} GB.", f"Say {sold}.")
    raise UserError("which-gpu", f"The {same[0].model} is sold with different memories.", f"Say {sold}.")


def like(gpu: Gpu) -> Card | None:
    """The catalogue's card that one of this machine is, by its name and memory; None for one that is not in it."""
    model, _ = _parts(gpu.name)
    same = [card for card in cards() if _key(card.model) == model]
    if gpu.total_bytes is None or not same:
        return same[0] if same else None
    near = min(same, key=lambda card: abs(card.bytes - (gpu.total_bytes or 0)))
    # A slice of a card, or a laptop's of the same name, is another one.
    return near if abs(near.bytes - gpu.total_bytes) < 0.15 * near.bytes or near.kind == "mps" else None


def _parts(name: str) -> tuple[str, int | None]:
    """(the model as one word of letters and digits, the memory in GB where it is said)."""
    text = _NOISE.sub(" ", name.strip().lower()[:200].replace("_", " "))
    gigabytes = None
    if found := _MEMORY.search(text):
        gigabytes, text = int(found[1]), text[: found.start()] + text[found.end() :]
    key = _key(text)
    found = _LAST_NUMBER.search(text.rstrip(" -)"))
    if gigabytes is None and not _known(key) and found is not None and _known(before := _key(text[: found.start()])):
        gigabytes, key = int(found[1]), before
    return _known(key) or key, gigabytes


def _known(key: str) -> str:
    """The key of the model that is meant, "" for none; one entry stands for all of Apple's chips."""
    if any(_key(card.model) == key for card in cards()):
        return key
    return _key("Apple M") if _APPLE.fullmatch(key) else ""


def _key(model: str) -> str:
    plain = re.sub(r"[^a-z\d]", "", model.lower())
    return re.sub(r"^(rtx|gtx|rx)", "", plain)


def _or(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
