"""GPU memory given back for a while: contents go to the computer's memory, and later return to where they were."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class Parking:
    """What `tensors()` gives can be parked. Only the storages under them are emptied, so every view of them (the LoRA's
    layers are views of its two flat buffers) is right again afterwards.

    Tensors on the CPU stay where they are: there is nothing to give back.
    """

    def __init__(self, tensors: Callable[[], Iterable[Tensor]], devices: Iterable[str] = ("cuda",)) -> None:
        self._tensors, self._devices = tensors, set(devices)
        self._parked: list[tuple[torch.UntypedStorage, torch.UntypedStorage]] = []  # (emptied, its copy)

    @property
    def released(self) -> bool:
        return bool(self._parked)

    @property
    def bytes(self) -> int:
        """What is parked now."""
        return sum(copy.nbytes() for _, copy in self._parked)

    def release(self) -> None:
        """Copy everything away and give its memory back; a second call does nothing."""
        if self._parked:
            return
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage()
            for tensor in self._tensors()
            if tensor.device.type in self._devices and tensor.untyped_storage().nbytes()
        }
        copies = [(storage, _copy(storage, torch.device("cpu"))) for storage in storages.values()]
        for storage, copy in copies:  # only once all copies are there: with too little memory nothing is lost
            storage.resize_(0)
            self._parked.append((storage, copy))
        _empty_cache()

    def restore(self) -> None:
        """Put everything back. Raises torch.OutOfMemoryError and then leaves everything parked."""
        filled: list[torch.UntypedStorage] = []
        try:
            for storage, copy in self._parked:
                storage.resize_(copy.nbytes())
                filled.append(storage)
                storage.copy_(copy)
        except torch.OutOfMemoryError:
            for storage in filled:
                storage.resize_(0)
            _empty_cache()
            raise
        self._parked.clear()


def _copy(storage: torch.UntypedStorage, device: torch.device) -> torch.UntypedStorage:
    copy = torch.UntypedStorage(storage.nbytes(), device=device)
    copy.copy_(storage)
    return copy


def _empty_cache() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
