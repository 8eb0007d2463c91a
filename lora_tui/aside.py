"""Runs what takes long in a thread of its own, so that the app stays alive; the app never waits for such a thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from engine.plan.errors import UserError

_T = TypeVar("_T")


def or_error(work: Callable[[], _T], failed: str) -> _T | UserError:
    """What `work` gives, or why not; `failed` begins the sentence for a fault of ours, which in a thread nobody else
    would tell, and a screen would wait for ever.
    """
    try:
        return work()
    except UserError as error:
        return error
    except Exception as error:
        return UserError("internal", f"{failed}: {error}")


def aside(work: Callable[[], _T], then: Callable[[_T], object]) -> None:
    """Do `work` in a thread, and call `then` with what came of it in the thread of the running event loop.

    The thread is a daemon: an app that has to leave within a second cannot wait for a disk. `work` must not raise.
    """
    loop, here = asyncio.get_running_loop(), contextvars.copy_context()  # which knows the app

    def run() -> None:
        result = work()
        with contextlib.suppress(RuntimeError):  # the app has left in the meantime
            loop.call_soon_threadsafe(then, result, context=here)

    threading.Thread(target=run, name="aside", daemon=True).start()
