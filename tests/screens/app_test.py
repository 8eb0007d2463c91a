"""Drives the app without a terminal, over recorded runs with a clock that stands still."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

from textual.pilot import Pilot
from textual.screen import Screen

from benchmarks.recorded import Ending, hold, record
from engine.runs.folder import RunFolder
from lora_tui.app import LoraTui
from lora_tui.look import Look
from lora_tui.screens.dashboard import Dashboard

NOW = 1795363200.0  # 22 November 2026, 16:00 UTC, half an hour after recorded runs begin
SIZES = {"small": (80, 24), "wide": (120, 40), "huge": (200, 60), "narrow": (60, 24)}
SOON_SECONDS = 1.0
PATIENCE_SECONDS = 60.0  # with what comes for certain, on a machine that has much else to do
Act = Callable[[Pilot[None]], Awaitable[None]]


def recorded(folder: Path, ending: Ending, steps: int = 1316, name: str = "2026-11-22_153012") -> RunFolder:
    """A run in a project's `runs/`; one that is under way has spoken a second before NOW."""
    ended = NOW - 1 if ending in ("running", "paused") else None
    return record(folder / "runs" / name, steps if ending != "finished" else 3000, ending, ended=ended)


def dashboard(run: RunFolder) -> Dashboard:
    return Dashboard(run, clock=lambda: NOW, steady=lambda: 0.0)


def held(run: RunFolder, ending: str) -> object:
    """The run's lock in a `with`, where an engine would hold it."""
    return hold(run) if ending in ("running", "paused") else nullcontext()


def drive(
    start: Callable[[], Screen[None]], act: Act, size: str = "wide", look: Look | None = None, toasts: bool = False
) -> LoraTui:
    """Run the app with `act` at the keys; it is closed afterwards. toasts: they are shown, as in a terminal."""

    async def run() -> LoraTui:
        app = LoraTui(start, look or Look(paints_per_second=50))
        async with app.run_test(size=SIZES[size], notifications=toasts) as pilot:
            await settle(pilot)
            await act(pilot)
        return app

    return asyncio.run(run())


async def settle(pilot: Pilot[None]) -> None:
    """Until the whole log has been read and painted."""

    def read() -> bool:
        screens = [screen for screen in pilot.app.screen_stack if isinstance(screen, Dashboard)]
        return all(screen.seen is not None and not screen.seen.more for screen in screens)

    await pilot.pause()
    await until(pilot, read)
    tick = 1.2 / pilot.app.look.paints_per_second  # type: ignore[attr-defined]
    for _ in range(2):
        await asyncio.sleep(tick)
        await answers(pilot)


async def answers(pilot: Pilot[None]) -> None:
    """Until what goes on in threads has come back, where it comes soon, and has been painted."""
    end = time.monotonic() + SOON_SECONDS
    while any(thread.name == "aside" for thread in threading.enumerate()) and time.monotonic() < end:
        await asyncio.sleep(0.01)
    await pilot.pause()


async def until(pilot: Pilot[None], so: Callable[[], bool]) -> None:
    """Wait for what comes by the clock: most screens look again once a second."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not so():
        assert time.monotonic() < end, text(pilot)
        await asyncio.sleep(0.02)
        await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
    await settle(pilot)


def text(pilot: Pilot[None]) -> str:
    """What stands on the screen. (`render_strips` is Textual's own; this is the only place that asks it.)"""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


def shown(run: RunFolder, ending: str, size: str = "wide", look: Look | None = None) -> str:
    """The text of the dashboard."""
    return texts(run, ending, size, [""], look)[0]


def texts(run: RunFolder, ending: str, size: str, keys: Iterable[str], look: Look | None = None) -> list[str]:
    """The text of the screen after each of these keys, one after the other in the same app."""
    seen: list[str] = []

    async def act(pilot: Pilot[None]) -> None:
        for key in keys:
            if key:
                await press(pilot, key)
            seen.append(text(pilot))

    with held(run, ending):  # type: ignore[attr-defined]
        drive(lambda: dashboard(run), act, size, look)
    return seen
