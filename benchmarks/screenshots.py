"""Pictures of the dashboard, from recorded runs and with a clock that stands still, so that they come out the same.

`python -m benchmarks.screenshots` writes those of the manual into docs/pictures; `--all --to FOLDER` every state at
every size, `--png` as PNG too, where rsvg-convert is installed (Debian: librsvg2-bin), to look at them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from benchmarks.recorded import Ending, hold, record
from engine.runs.folder import RunFolder

ROOT = Path(__file__).parents[1]
NOW = 1795363200.0  # 22 November 2026, 16:00 UTC, half an hour after recorded runs begin
STEPS: dict[Ending, int] = {"running": 1316, "finished": 3000, "failed": 1316, "paused": 1316, "died": 1316}
SIZES = ((80, 24), (120, 40), (200, 60))
SETTLE_SECONDS = 1.5  # for thumbnails, which are made in a thread


class Shot(NamedTuple):
    ending: Ending
    size: tuple[int, int]
    keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return "-".join(["dashboard", self.ending, f"{self.size[0]}x{self.size[1]}", *self.keys])


MANUAL = tuple(Shot(ending, size) for ending in ("running", "finished", "failed", "paused") for size in SIZES)
ALL = tuple(Shot(ending, size) for ending in STEPS for size in SIZES) + tuple(
    Shot("running", size, (key,)) for size in SIZES for key in ("2", "3", "4", "5", "g", "l", "p", "question_mark")
)


def take(shot: Shot, run: RunFolder) -> str:
    """The screen as SVG."""
    from lora_tui.app import LoraTui
    from lora_tui.look import Look
    from lora_tui.screens.dashboard import Dashboard

    async def act() -> str:
        start = lambda: Dashboard(run, clock=lambda: NOW, steady=lambda: 0.0)  # noqa: E731
        app = LoraTui(start, Look(paints_per_second=10))
        async with app.run_test(size=shot.size) as pilot:
            await pilot.pause(SETTLE_SECONDS)
            for key in shot.keys:
                await pilot.press(key)
                await pilot.pause(SETTLE_SECONDS)
            return app.export_screenshot(title="lora-tui watch")

    held: AbstractContextManager[object] = hold(run) if shot.ending in ("running", "paused") else nullcontext()
    with held:
        return asyncio.run(act())


def keep(svg: str, target: Path, columns: int, png: bool) -> None:
    """Write a picture, and on request as PNG too, and tell of it. `columns`: of the terminal that it shows."""
    # Some programs drop spaces at the ends of texts unless they are told not to.
    target.write_text(svg.replace("<svg ", '<svg xml:space="preserve" ', 1), encoding="utf-8")
    print(f"{target}  {target.stat().st_size / 1000:.0f} kB", flush=True)
    if png and shutil.which("rsvg-convert"):
        subprocess.run(["rsvg-convert", "-w", str(columns * 9), "-o", target.with_suffix(".png"), target], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.screenshots", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every state at every size")
    parser.add_argument("--png", action="store_true", help="as PNG too")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "pictures", metavar="FOLDER")
    args = parser.parse_args()
    os.environ.update(TZ="UTC", COLORTERM="truecolor", TERM="xterm-256color", TEXTUAL_ANIMATIONS="none")
    os.environ.pop("NO_COLOR", None)
    time.tzset()
    args.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[Ending, RunFolder] = {}
        for shot in ALL if args.all else MANUAL:
            if shot.ending not in runs:
                path = Path(folder) / shot.ending / "zibo" / "runs" / "2026-11-22_153012"
                ended = NOW - 1 if shot.ending in ("running", "paused") else None
                runs[shot.ending] = record(path, STEPS[shot.ending], shot.ending, ended=ended)
            target = args.to / f"{shot.name}.svg"
            keep(take(shot, runs[shot.ending]), target, shot.size[0], args.png)


if __name__ == "__main__":
    main()
