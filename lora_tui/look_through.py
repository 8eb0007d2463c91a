"""Looking at every picture from a command, with how far it is on stderr; Ctrl-C stops that, and the command goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lora_tui import output
from lora_tui.progress import PLAIN_SECONDS, amount

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from engine.plan.looked import Looks

LABEL = "Looking for blur and near-copies"
_SHOWN_AFTER = 1.0  # seconds; most projects are done by then


def look_through(looks: Looks, paths: Sequence[Path]) -> bool:
    """Look at the pictures that were not looked at yet; whether that came to its end."""
    from lora_tui.follow import count_interrupts

    with ExitStack() as stack:
        presses = stack.enter_context(count_interrupts())
        try:
            looks.look_at(paths, _Shown(stack, presses))
        except _StoppedError:
            return False
    return True


class _Shown:
    """A bar in a terminal, a line now and then elsewhere; nothing while it takes no time."""

    def __init__(self, stack: ExitStack, presses: Callable[[], int]) -> None:
        self._stack, self._presses = stack, presses
        self._bar: ProgressBar[int] | None = None
        self._began = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if self._presses():
            raise _StoppedError
        now = time.monotonic()
        if sys.stderr.isatty():
            if self._bar is None and now - self._began > _SHOWN_AFTER:
                bar = click.progressbar(length=total, label=f"{LABEL}, Ctrl-C stops", file=sys.stderr)
                self._bar = self._stack.enter_context(bar)
            if self._bar is not None:
                self._bar.update(done - self._bar.pos)
        elif now - self._said > PLAIN_SECONDS:
            self._said = now
            output.tell(f"{LABEL}: {amount(done, total, seconds=now - self._began)}")


class _StoppedError(Exception):
    """Ctrl-C was pressed."""
