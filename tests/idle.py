"""When an app that is driven without a terminal has nothing left to do; `install` tells Textual's Pilot so.

Its own way is to sleep 20 ms and to see whether the processor was needed meanwhile, three times for a key and a look at
the screen: most of the time of these tests was such sleep. And a process that got no turn for as long, on a busy
machine, passes for an idle one. Two short rests in a row are surer: in between, all that had become due has its turn.
"""

from __future__ import annotations

import asyncio
from time import monotonic, process_time

import textual.app
import textual.pilot

BUSY = 0.1
"""The part of a rest in which the processor may have been at work."""


async def rested(seconds: float, most: float) -> None:
    """Wait until there were two rests of so many seconds in a row, at most `most` seconds."""
    end, rests = monotonic() + most, 0
    while rests < 2 and monotonic() < end:
        before = process_time()
        await asyncio.sleep(seconds)
        rests = rests + 1 if process_time() - before < BUSY * seconds else 0


async def after_a_key(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    await rested(0.004, max_sleep)


async def after_all(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Longer than what is painted sixty times a second."""
    await rested(0.01, max_sleep)


def install() -> None:
    textual.app.wait_for_idle = after_a_key  # type: ignore[attr-defined]
    textual.pilot.wait_for_idle = after_all  # type: ignore[attr-defined]
