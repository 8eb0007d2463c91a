"""Several processes that train one LoRA, a GPU each: who computes which part of a batch, and what they tell each other.

Each process takes its share of every batch, and the gradients are added up once a step, so together they compute what
one process would with the whole batch. The first is the engine: it alone saves, draws, answers and reports; the others
do the steps and wait for its word in between.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed

from engine.plan.errors import UserError
from engine.plan.order import Batch

PATIENCE = timedelta(days=30)
"""The others wait while the first one draws or is paused. That one has ended they notice at once, by the connection."""


class ProcessLost(UserError):  # noqa: N818 - says what happened
    """One of the processes has ended before the training was over."""


@dataclass(frozen=True)
class Processes:
    """This process is the one with `number` (from 0) of `count`."""

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.number == 0

    def own_part(self, batch: Batch) -> tuple[int, Batch, float]:
        """Where this process's part of `batch` begins, the part, and how much its mean loss counts in the batch's.

        Parts follow each other and differ by one at most. Where there are fewer samples than processes, one that would
        have none takes the first along, at no weight: all have to arrive at the end of the step.
        """
        begin, end = (len(batch) * n // self.count for n in (self.number, self.number + 1))
        if begin == end:
            return 0, batch[:1], 0.0
        return begin, batch[begin:end], (end - begin) / len(batch)

    def add_up_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, in place, by its sum over all processes; all give the same shapes in the same order.

        Raises ProcessLost when another one has ended.
        """
        if self.count == 1:
            return
        with _told_when_lost():
            for tensor in tensors:
                distributed.all_reduce(tensor)

    def agree(self, stop: bool) -> bool:
        """What the first process says; the others wait for its word. Raises ProcessLost when one has ended.

        The word goes through the processors' memory, so nobody waits for a GPU.
        """
        if self.count == 1:
            return stop
        word = torch.tensor([stop])
        with _told_when_lost():
            distributed.broadcast(word, src=0)
        return bool(word)

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The first process does the block alone (it fills the caches), then the others, which find it done."""
        if not self.first:
            self.agree(False)
        yield
        if self.first:
            self.agree(False)


ALONE = Processes()


def device_of(device: torch.device, number: int, count: int) -> torch.device:
    """The device of process `number` where the run's is `device`: each its own GPU; the processor is shared.

    Raises UserError where there are too few GPUs.
    """
    if count == 1 or device.type == "cpu":
        return device
    if device.type != "cuda":
        raise UserError("bad-device", f"num_processes = {count} needs NVIDIA GPUs.", "Set num_processes to 1.")
    there = torch.cuda.device_count()
    if count > there:
        raise UserError(
            "no-such-gpu",
            f"num_processes = {count} needs as many GPUs, and PyTorch finds {there} here.",
            f"Set num_processes to {there}.",
        )
    return torch.device("cuda", number)


def meet(rendezvous: Path, number: int, count: int, device: torch.device) -> Processes:
    """Join the others at the file `rendezvous`, which nobody has used before; returns when all are there.

    What accelerate is told by its launcher's environment, it is told here.
    """
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(count)}
    os.environ["LOCAL_WORLD_SIZE"] = str(count)
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # else accelerate sets a number of its own
    if Path("/sys/class/net/lo").exists():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # one machine: nothing of it needs the network
    if device.type == "cuda":
        torch.cuda.set_device(device)
        _without_missing_links()
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        # Not as an URL, in which a folder with a space is another one.
        store=distributed.FileStore(str(rendezvous), count),  # type: ignore[attr-defined]
        rank=number,
        world_size=count,
        timeout=PATIENCE,
    )
    return Processes(number, count)


def part() -> None:
    """Leave the group, so that this process could meet others again."""
    distributed.destroy_process_group()
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        os.environ.pop(name, None)


def _without_missing_links() -> None:
    """Cards of NVIDIA's RTX 40 series cannot reach each other directly; accelerate stops where that is not said."""
    from accelerate.utils import check_cuda_p2p_ib_support

    if not check_cuda_p2p_ib_support():
        for name in ("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE"):
            os.environ.setdefault(name, "1")


@contextmanager
def _told_when_lost() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ProcessLost("process-lost", "Another process of the training has ended.", "") from error
