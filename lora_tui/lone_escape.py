"""Esc is answered soon.

Terminals begin other keys with ESC too, so Textual holds a lone one back for 100 ms, or 200 as it looks only that often
whether the time is up. Those other keys come in one piece; a sixth of that is enough to tell (tmux waits 10).
"""

from __future__ import annotations

import os
import selectors
from types import SimpleNamespace
from typing import Any

ESCAPE_SECONDS = 0.015
_LATER = 0.003  # seconds; the driver asks whether the time is up only when its wait is over, which must not be before


class SoonAwake(selectors.SelectSelector):
    """The driver's wait for keys: a short one after something has come, to see at once that no more does."""

    _expecting = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(ESCAPE_SECONDS + _LATER if self._expecting else timeout)
        self._expecting = bool(ready)
        return ready


def answer_soon() -> None:
    """For all drivers from now on. Who has set ESCDELAY, as ncurses has it, knows of a line that is slower."""
    if "ESCDELAY" in os.environ:
        return
    from textual import constants
    from textual.drivers import linux_driver

    constants.ESCAPE_DELAY = ESCAPE_SECONDS  # type: ignore[misc]
    driver: Any = linux_driver  # which has no other place for it than its own import
    driver.selectors = SimpleNamespace(SelectSelector=SoonAwake, EVENT_READ=selectors.EVENT_READ)
