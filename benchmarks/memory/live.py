"""Counts live storage: every byte that a tensor stands on, from the operation that made it until nothing holds it.

Works on real tensors and on fake ones. What a kernel takes for itself inside, and what an allocator keeps in reserve,
is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_DEVICE = torch.ops.prim.device.default


class LiveStorage(TorchDispatchMode):
    """While it is on, `bytes` is what lives now of all that was made since, or was told by `know`; `peak` the most.

    `run` runs an operation, with (operation, its arguments, those with names).
    """

    def __init__(self, run: Callable[[Any, Any, Any], Any] = lambda func, args, kwargs: func(*args, **kwargs)) -> None:
        super().__init__()
        self.bytes = self.peak = 0
        self.phases: dict[str, int] = {}
        self._alive: dict[int, tuple[weakref.ref[torch.UntypedStorage], int]] = {}
        self._run = run
        self._phase = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _DEVICE:
            return args[0].fake_device  # asked for by every operation; a real tensor never asks
        made = self._run(func, args, kwargs or {})
        if isinstance(made, Tensor):
            self.see(made)
        elif made is not None:
            self.know(leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor))
        return made

    def know(self, tensors: Iterable[Tensor]) -> None:
        """Count what was made before."""
        for tensor in tensors:
            self.see(tensor)

    def see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return
        size = storage.nbytes()
        self._alive[key] = weakref.ref(storage, partial(self._gone, key)), size
        self.bytes += size
        if self.bytes > self.peak:
            self.peak = self.bytes
        if self._phase and self.bytes > self.phases[self._phase]:
            self.phases[self._phase] = self.bytes

    def restart(self) -> None:
        """Forget the peaks; what lives is still counted."""
        self.peak = self.bytes
        self.phases.clear()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Meanwhile the peak is also kept under this name."""
        before, self._phase = self._phase, name
        self.phases[name] = max(self.phases.get(name, 0), self.bytes)
        try:
            yield
        finally:
            self._phase = before

    def _gone(self, key: int, _: object) -> None:
        self.bytes -= self._alive.pop(key)[1]
