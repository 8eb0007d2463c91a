"""When an app that is driven without a terminal has nothing left to do; `install` tells Textual's Pilot so.

Its own way is to sleep 20 ms and to see whether the processor was needed meanwhile, two or three times for a key: most
of the time of these tests was such sleep. And a process that got no turn for as long, on a busy machine, passes for an
idle one. Two short rests in a row are quicker, and surer: in between, all that had become due has had its turn.
"""

from __future__ import annotations

import asyncio
from time import monotonic, process_time

import textual.app
import textual.pilot

REST_SECONDS = 0.004
BUSY = 0.1
"""The part of a rest in which the processor may have been at work."""


async def wait_for_idle(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Wait until there were two rests in a row, at most `max_sleep` seconds."""
    end, rests = monotonic() + max_sleep, 0
    while rests < 2 and monotonic() < end:
        before = process_time()
        await asyncio.sleep(REST_SECONDS)
        rests = rests + 1 if process_time() - before < BUSY * REST_SECONDS else 0


def install() -> None:
    for module in (textual.app, textual.pilot):
        module.wait_for_idle = wait_for_idle  # type: ignore[attr-defined]
