"""An NVML that answers as the drivers of real machines do: what `nvidia.read` is given in place of pynvml."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND = 3, 4, 9, 12


class NvmlError(Exception):
    """As pynvml.NVMLError: its number is `value`."""

    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


@dataclass
class Card:
    """memory: (total, free) in MiB, or the number of the error. slices: of a card with MIG, each a card."""

    name: str
    memory: tuple[int, int] | int
    capability: tuple[int, int] | None = (8, 6)
    cores: int = 1000
    uuid: str = ""
    processes: list[tuple[int, int | None]] = field(default_factory=list)
    slices: list[Card] | None = None


class FakeNvml:
    """`cards`: of the machine. `fails`: number of the error with which NVML does not even start."""

    def __init__(self, *cards: Card, fails: int | None = None) -> None:
        self.cards, self.fails, self.shut = cards, fails, 0

    def nvmlInit(self) -> None:  # noqa: N802
        if self.fails is not None:
            raise NvmlError(self.fails)

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.shut += 1

    def nvmlSystemGetDriverVersion(self) -> bytes:  # noqa: N802
        return b"570.86.15"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:  # noqa: N802
        return 12080

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:  # noqa: N802
        return self.cards[index]

    def nvmlDeviceGetName(self, card: Card) -> str:  # noqa: N802
        return card.name

    def nvmlDeviceGetUUID(self, card: Card) -> str:  # noqa: N802
        return card.uuid

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Any:  # noqa: N802
        if isinstance(card.memory, int):
            raise NvmlError(card.memory)
        total, free = card.memory
        return SimpleNamespace(total=total * 2**20, free=free * 2**20)

    def nvmlDeviceGetCudaComputeCapability(self, card: Card) -> tuple[int, int]:  # noqa: N802
        if card.capability is None:
            raise NvmlError(NOT_SUPPORTED)
        return card.capability

    def nvmlDeviceGetNumGpuCores(self, card: Card) -> int:  # noqa: N802
        return card.cores

    def nvmlDeviceGetMaxClockInfo(self, card: Card, kind: int) -> int:  # noqa: N802
        return 1500

    def nvmlDeviceGetComputeRunningProcesses(self, card: Card) -> list[Any]:  # noqa: N802
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in card.processes]

    def nvmlDeviceGetGraphicsRunningProcesses(self, card: Card) -> list[Any]:  # noqa: N802
        raise NvmlError(NOT_SUPPORTED)

    def nvmlSystemGetProcessName(self, pid: int) -> bytes:  # noqa: N802
        return b"/usr/bin/\x1b[2Jother"

    def nvmlDeviceGetMigMode(self, card: Card) -> tuple[int, int]:  # noqa: N802
        if card.slices is None:
            raise NvmlError(NOT_SUPPORTED)
        return 1, 1

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Card) -> int:  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Card, index: int) -> Card:  # noqa: N802
        assert card.slices is not None
        if index >= len(card.slices):
            raise NvmlError(6)
        return card.slices[index]
