"""The order in which a training learns to do with less, what it says, and what counts as memory that ran out."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from engine.out_of_memory import is_out_of_memory
from engine.train.oom import DoesNotFit, HalfMoved, Ladder, Way, forget_unscaling, moving, reached_by
from engine.train.processes import ALONE, Processes

SHORT = torch.OutOfMemoryError("CUDA out of memory.\nwith details")


class Outside:
    """What a ladder needs of a training; `told` holds its events."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.taken: list[str] = []
        self.noted: list[dict[str, object]] = []
        self.job = SimpleNamespace(dry_run=0)

    def emit(self, kind: str, **fields: Any) -> None:
        assert kind == "oom"
        self.told.append(fields)

    @property
    def changes(self) -> list[tuple[int, dict[str, object]]]:
        return [(event["step"], event["change"]) for event in self.told]

    def ladder(self, processes: Processes = ALONE, **more: Any) -> Ladder:
        ways = [
            Way("gradient_checkpointing", True, "…", lambda: self.taken.append("checkpointing")),
            Way("offload", True, "…", lambda: self.taken.append("offload"), standing=True),
            Way("vae_tile", 512, "…", lambda: self.taken.append("512")),
            Way("vae_tile", 256, "…", lambda: self.taken.append("256")),
        ]
        network: Any = SimpleNamespace(zero_grad=lambda: None)
        accelerator: Any = SimpleNamespace(scaler=None, device=torch.device("cpu"))
        context: Any = self
        return Ladder(
            context, processes, network, accelerator, ways, noted=lambda t: self.noted.append(dict(t)), **more
        )


@pytest.fixture
def outside() -> Outside:
    return Outside()


def failing(times: int) -> Callable[[], str]:
    left = times

    def compute() -> str:
        nonlocal left
        left -= 1
        if left >= 0:
            raise SHORT
        return "done"

    return compute


def test_the_ways_in_their_order_and_then_a_sentence(outside: Outside) -> None:
    ladder = outside.ladder(batch_size=2)
    assert ladder.pieces(3, [7, 8], 1.0) == [(3, [7, 8], 1.0)]
    assert ladder.fitted(5, failing(6)) == "done"
    assert "each step is the same within rounding" in outside.told[1]["message"]
    changes = [
        {"repeated": True}, {"batch_size": 1}, {"gradient_checkpointing": True}, {"offload": True}, {"vae_tile": 512},
        {"vae_tile": 256},
    ]  # fmt: skip
    assert outside.changes == [(5, change) for change in changes]
    assert outside.noted[-1] == {"batch_size": 1, "gradient_checkpointing": True, "offload": True, "vae_tile": 256}
    assert ladder.pieces(3, [7, 8], 0.5) == [(3, [7], 0.25), (4, [8], 0.25)]
    with pytest.raises(DoesNotFit) as error:
        ladder.fitted(6, failing(1))
    assert "everything up to step 5 is saved" in error.value.message
    assert "one picture at a time and gradient checkpointing" in error.value.message
    assert outside.noted[-1]["did_not_fit"] is True


def test_a_shortage_long_ago_was_somebody_elses(outside: Outside) -> None:
    ladder = outside.ladder(batch_size=2)
    for step in (5, 105, 204, 210):
        ladder.fitted(step, failing(1))
    assert outside.changes == [
        (5, {"repeated": True}),
        (105, {"repeated": True}),
        (204, {"batch_size": 1}),
        (210, {"gradient_checkpointing": True}),
    ]


def test_in_the_optimizer_what_lies_there_all_the_time_goes_first(outside: Outside) -> None:
    ladder = outside.ladder(batch_size=2)
    for _ in range(3):
        ladder.make_room(1, moved=True)
    assert outside.changes == [(1, {"repeated": True}), (1, {"offload": True}), (1, {"batch_size": 1})]


@pytest.mark.parametrize(
    ("reached", "taken"),
    [
        ({}, []),
        ({"batch_size": 1, "gradient_checkpointing": True}, ["checkpointing"]),
        ({"vae_tile": 256}, ["512", "256"]),
        ({"vae_tile": 512}, ["512"]),
        ({"offload": "nonsense", "vae_tile": None, "batch_size": 7, "unknown": 1}, []),
    ],
)
def test_a_run_that_goes_on_begins_with_what_it_had_come_to(
    outside: Outside, reached: dict[str, object], taken: list[str]
) -> None:
    ladder = outside.ladder(batch_size=2, reached=reached)
    assert outside.taken == taken
    assert outside.told == []
    assert len(ladder.pieces(0, [1, 2], 1.0)) == (2 if reached.get("batch_size") == 1 else 1)


def test_what_was_reached_is_in_the_events() -> None:
    events = [
        {"kind": "oom", "step": 0, "change": {"vae_tile": 512}},  # of the pictures that were encoded ahead
        {"kind": "oom", "step": 3, "change": {"repeated": True}},
        {"kind": "oom", "step": 3, "change": {"batch_size": 1}},
        {"kind": "oom", "step": 4, "change": "nonsense"},
        {"kind": "oom"},
        {"kind": "warning", "step": 4, "change": {"offload": True}},
    ]
    assert reached_by(events) == {"batch_size": 1}


def test_several_processes_end_with_a_sentence_of_the_first(outside: Outside) -> None:
    with pytest.raises(DoesNotFit) as error:
        outside.ladder(Processes(0, 2), batch_size=2).fitted(5, failing(1))
    assert "a training on several of them does not change its batches" in error.value.message
    with pytest.raises(torch.OutOfMemoryError, match=r"^CUDA out of memory\.$"):
        outside.ladder(Processes(1, 2), batch_size=2).fitted(5, failing(1))
    assert outside.told == []
    with pytest.raises(torch.OutOfMemoryError), moving(5, Processes(1, 2)):
        raise SHORT


def test_other_errors_are_none_of_its_business(outside: Outside) -> None:
    def broken() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        outside.ladder().fitted(1, broken)
    with pytest.raises(RuntimeError, match="illegal"), moving(1, ALONE):
        broken()
    with pytest.raises(HalfMoved), moving(1, ALONE):
        raise SHORT


def test_a_scaler_takes_the_gradients_of_a_repeated_step_as_new() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)  # type: ignore[attr-defined]
    accelerator: Any = SimpleNamespace(scaler=scaler)
    forget_unscaling(accelerator)  # before there is anything to forget
    for _ in range(2):
        optimizer.zero_grad()
        scaler.scale(weight.sum()).backward()
        scaler.unscale_(optimizer)
        forget_unscaling(accelerator)
    optimizer.zero_grad()
    scaler.scale(weight.sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert weight.tolist() == [0.0, 0.0]
    assert scaler.get_scale() == 1024.0


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (torch.OutOfMemoryError("x"), True),
        (torch.cuda.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5.00 GB)"), True),
        (RuntimeError("HIP out of memory. Tried to allocate 2 MiB"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False),
        (ValueError("shape mismatch"), False),
        (KeyboardInterrupt("out of memory"), False),
    ],
)
def test_what_means_that_memory_ran_out(error: BaseException, short: bool) -> None:
    assert is_out_of_memory(error) == short
