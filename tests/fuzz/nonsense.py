"""How much is tried, and what a reader that is given nonsense may do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings

from engine.plan.errors import UserError, inert

TIMES = int(os.environ.get("FUZZ", "1"))

_Answer = TypeVar("_Answer")


def tries(number: int) -> settings:
    """The same `number` of examples each time, quickly; more and always others with FUZZ in the environment."""
    return settings(
        max_examples=number * TIMES,
        deadline=None,
        database=None,
        derandomize=TIMES == 1,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def held(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything in a folder: its size, and when it was changed."""
    return {str(p.relative_to(folder)): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in folder.rglob("*")}


def answer_of(read: Callable[[], _Answer], folder: Path) -> _Answer | None:
    """What `read` gives; None where it refuses, which it may do in one inert sentence only. It writes nothing."""
    before = held(folder)
    answer, refusal = None, None
    try:
        answer = read()
    except UserError as error:
        refusal = error
    assert held(folder) == before
    if refusal is not None:
        said = str(refusal)
        assert refusal.code
        assert refusal.message
        assert said == inert(said, 10_000), said
        said.encode("utf-8")
    return answer
