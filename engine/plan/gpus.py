"""What is known of a GPU, this machine's or another's, and what a machine was found to have; `nvidia` and `other_gpus`
look for them, `gpu_catalogue` knows those of others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from engine.plan.errors import inert

Kind = Literal["cuda", "rocm", "mps", "cpu"]
MAKERS: Mapping[Kind, str] = {
    "cuda": "NVIDIA GPU (CUDA)",
    "rocm": "AMD GPU (ROCm)",
    "mps": "Apple GPU (MPS)",
    "cpu": "the processor only",
}
BF16_CAPABILITY = (8, 0)
"""From this compute capability on (Ampere, 2020) NVIDIA's GPUs calculate in bf16 themselves; older ones imitate it."""
_ONE_OF_THEM = re.compile(r" \(cuda(:\d+)?\)$|(?<=^CPU), .*$")


@dataclass(frozen=True)
class MemoryUser:
    """A program that takes GPU memory now; bytes is None where the driver does not say."""

    pid: int
    name: str
    bytes: int | None = None


@dataclass(frozen=True)
class Gpu:
    """total_bytes, free_bytes: None where nobody tells; free_bytes also for a GPU that is elsewhere.

    kind: never "cpu". bf16: whether it calculates in bf16 itself; None where that is not known. here: whether it is in
    this machine. remarks: sentences on what could not be read, or is unusual. cores and megahertz: how CUDA ranks it.
    """

    name: str
    kind: Kind = "cuda"
    total_bytes: int | None = None
    free_bytes: int | None = None
    capability: tuple[int, int] | None = None
    bf16: bool | None = None
    here: bool = True
    uuid: str = ""
    users: tuple[MemoryUser, ...] = ()
    remarks: tuple[str, ...] = ()
    tflops: float | None = None
    bandwidth_gbps: float | None = None
    cores: int = 0
    megahertz: int = 0

    @property
    def full_name(self) -> str:
        """With its memory, where that is known and not in its name already."""
        if self.total_bytes is None or " GB" in self.name or "GB " in self.name or self.name.endswith("GB"):
            return self.name
        return f"{self.name} ({gib(self.total_bytes)})"

    def is_device(self, told: str) -> bool:
        """Whether it is of the kind that an engine tells as its device."""
        return device_name(told) == ("mps" if self.kind == "mps" else self.name)

    @property
    def capability_in_words(self) -> str:
        return f"{self.capability[0]}.{self.capability[1]}" if self.capability else ""

    def as_json(self) -> dict[str, object]:
        """As the `--json` commands print it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "total_bytes": self.total_bytes,
            "free_bytes": self.free_bytes,
            "capability": self.capability_in_words or None,
            "bf16": self.bf16,
            "here": self.here,
            "users": [asdict(user) for user in self.users],
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True)
class Found:
    """This machine's GPUs, in the order in which CUDA counts them.

    driver, cuda: versions of an NVIDIA driver and of the newest CUDA that it can run, or "". problem: one sentence on
    why there are none, or on what keeps them from being asked; advice: what to do about it. Both may be "".
    """

    kind: Kind = "cpu"
    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    cuda: str = ""
    problem: str = ""
    advice: str = ""
    unsure: bool = False
    """True where there may be a GPU that could not be asked: nothing is to be concluded from there being none."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def device_name(told: str) -> str:
    """What kind of device an engine means by `NVIDIA GeForce RTX 4090 (cuda:0)`, `mps` or `CPU, 2 threads`."""
    return _ONE_OF_THEM.sub("", told)


def from_json(found: Mapping[str, Any]) -> Found:
    """What `as_json` wrote, from a program of our own. Raises KeyError, TypeError or ValueError for anything else."""
    gpus = []
    for gpu in found["gpus"]:
        capability = gpu["capability"]
        users = tuple(MemoryUser(int(u["pid"]), inert(u["name"], 200), u["bytes"]) for u in gpu["users"])
        plain = gpu | {
            "name": inert(gpu["name"], 200),
            "users": users,
            "capability": (int(capability[0]), int(capability[1])) if capability else None,
            "remarks": tuple(map(inert, gpu["remarks"])),
        }
        gpus.append(Gpu(**plain))
    return Found(**(dict(found) | {"gpus": tuple(gpus)}))


def visible(found: Found, environ: Mapping[str, str]) -> Found:
    """What CUDA will show to a program, and why where that is nothing: the driver itself counts hidden GPUs too."""
    shown = in_cuda_order(found.gpus, environ)
    if shown or not found.gpus:
        return replace(found, gpus=shown)
    hidden, all_of_them = environ.get("CUDA_VISIBLE_DEVICES", ""), len(found.gpus)
    which = found.gpus[0].name if all_of_them == 1 else f"all {all_of_them} GPUs"
    return replace(
        found,
        kind="cpu",
        gpus=(),
        problem=f'CUDA_VISIBLE_DEVICES is "{inert(hidden, 60)}", which hides {which} from every program started here.',
        advice="Unset it, or name a GPU in it: CUDA_VISIBLE_DEVICES=0 is the first.",
    )


def in_cuda_order(gpus: tuple[Gpu, ...], environ: Mapping[str, str]) -> tuple[Gpu, ...]:
    """As CUDA, and with it PyTorch's cuda:0, counts them: the fastest first, unless CUDA_DEVICE_ORDER says by their
    slots; only those that CUDA_VISIBLE_DEVICES names. `gpus`: by their slots, as NVML gives them.
    """
    ordered = list(gpus)
    if environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        ordered.sort(key=lambda gpu: gpu.cores * gpu.megahertz, reverse=True)
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return tuple(ordered)
    chosen: list[Gpu] = []
    for name in (part.strip() for part in wanted.split(",")):
        if name.isdecimal() and int(name) < len(ordered):
            found = ordered[int(name)]
        else:
            found = next((gpu for gpu in ordered if name and gpu.uuid.startswith(name)), None)  # type: ignore[assignment]
        if found is None or found in chosen:
            break  # CUDA stops at the first that it does not know
        chosen.append(found)
    return tuple(chosen)


def gib(count: float) -> str:
    """GPU memory as its makers count it, in powers of 1024: `23.7 GiB`, `512 MiB`."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
