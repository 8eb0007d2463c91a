"""A lone ESC is not held back for long, and costs nothing while no key is pressed."""

from __future__ import annotations

import os
import selectors
from typing import Any

import pytest

from lora_tui.lone_escape import ESCAPE_SECONDS, SoonAwake, answer_soon


def test_only_after_a_key_the_wait_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float | None] = []
    select = selectors.SelectSelector.select

    def counted(selector: SoonAwake, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        waited.append(timeout)
        return select(selector, 0)

    monkeypatch.setattr(selectors.SelectSelector, "select", counted)
    end, other_end = os.pipe()
    selector = SoonAwake()
    selector.register(end, selectors.EVENT_READ)
    selector.select(0.1)
    os.write(other_end, b"\x1b")
    assert selector.select(0.1)
    os.read(end, 1)
    selector.select(0.1)
    selector.select(0.1)
    assert waited == [0.1, 0.1, pytest.approx(ESCAPE_SECONDS, abs=0.01), 0.1]
    assert waited[2] > ESCAPE_SECONDS  # type: ignore[operator]
    os.close(end), os.close(other_end)


@pytest.mark.parametrize("asked", ["", "200"])
def test_it_is_the_drivers_unless_somebody_wants_another_delay(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    from textual import constants
    from textual.drivers import linux_driver

    driver: Any = linux_driver
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.1)
    monkeypatch.setattr(driver, "selectors", selectors)
    monkeypatch.delenv("ESCDELAY", raising=False)
    if asked:
        monkeypatch.setenv("ESCDELAY", asked)
    answer_soon()
    assert (0.1 if asked else ESCAPE_SECONDS) == constants.ESCAPE_DELAY
    assert (driver.selectors.SelectSelector is SoonAwake) == (not asked)
