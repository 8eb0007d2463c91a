"""Files as kohya's programs write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.plan.kohya import gui, opening
from tests.plan.kohya.asked import AI_NOW, Read


@pytest.fixture
def ai_now() -> dict[str, Any]:
    table = json.loads(AI_NOW.read_text(encoding="utf-8"))
    assert isinstance(table, dict)
    return table


@pytest.fixture
def window(ai_now: dict[str, Any]) -> Callable[..., Read]:
    """`window(unet_lr=0, …)`: the AI_Now preset with other values; None takes a key away."""

    def read(steps_per_epoch: int | None = None, **changed: object) -> Read:
        table = {**ai_now, **changed}
        kept = {key: value for key, value in table.items() if value is not None}
        return Read(gui.read(kept, steps_per_epoch))

    return read


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Read]:
    """`read("x.toml", text)`: what a file with this text, or these bytes, becomes."""

    def of(name: str, text: str | bytes, steps_per_epoch: int | None = None) -> Read:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return Read(opening.read(path, steps_per_epoch))

    return of
