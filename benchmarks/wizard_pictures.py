"""Pictures of the wizard, from the demo project, which is really trained and compared for them.

`python -m benchmarks.wizard_pictures` writes those of the manual into docs/pictures; `--all --to FOLDER` every step at
every size, `--png` as PNG too, where rsvg-convert is installed (Debian: librsvg2-bin), to look at them. About a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from benchmarks import small_run
from benchmarks.screenshots import ROOT, SIZES, keep

MANUAL_SIZE = (100, 30)
MANUAL = ("home", "project", "pictures", "captions", "model", "settings", "review", "results")
SETTLE_SECONDS = 1.2  # for pictures, which are read in a thread
COMPARE_SECONDS = 60


async def shoot(project: Path, size: tuple[int, int], to: Path, wanted: tuple[str, ...], png: bool) -> None:
    """The home screen and each step, as SVG."""
    from lora_tui.app import LoraTui
    from lora_tui.look import Look
    from lora_tui.screens.home import Home
    from lora_tui.screens.results import ResultsPage
    from lora_tui.steps import STEPS

    app = LoraTui(Home, Look())
    async with app.run_test(size=size) as pilot:

        async def take(name: str) -> None:
            await pilot.pause(SETTLE_SECONDS)
            if name not in wanted:
                return
            target = to / f"wizard-{name}-{size[0]}x{size[1]}.svg"
            keep(app.export_screenshot(title="lora-tui"), target, size[0], png)

        await take("home")
        app.open_project(project, "project")
        await pilot.pause(SETTLE_SECONDS)
        for number, step in enumerate(STEPS, 1):
            await pilot.press(str(number))
            if isinstance(app.screen, ResultsPage):
                await pilot.press("c")
                for _ in range(COMPARE_SECONDS):
                    await pilot.pause(1.0)
                    if app.screen._view is None and app.screen._drawn is not None:
                        break
            if step.name == "settings":
                await pilot.press("down", "down", "down")
            await take(step.name)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wizard_pictures", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every step at every size")
    parser.add_argument("--png", action="store_true", help="as PNG too")
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "pictures", metavar="FOLDER")
    args = parser.parse_args()
    os.environ.update(TZ="UTC", COLORTERM="truecolor", TERM="xterm-256color", TEXTUAL_ANIMATIONS="none")
    os.environ.pop("NO_COLOR", None)
    args.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home, project = Path(folder) / "home", Path(folder) / "zibo"
        home.mkdir()
        os.environ.update(HOME=str(home), XDG_STATE_HOME=str(home / "state"), XDG_CACHE_HOME=str(home / "cache"))
        env = small_run.environment(home)
        small_run.answer("demo", project, "--prepare-only", env=env)
        small_run.wait_for_end(small_run.start(project, env=env))
        from engine.plan.project import Project
        from lora_tui import recent
        from lora_tui.steps import STEPS

        recent.remember(Project.open(project).path)
        every = ("home", *(step.name for step in STEPS))
        for size in SIZES if args.all else (MANUAL_SIZE,):
            asyncio.run(shoot(project, size, args.to, every if args.all else MANUAL, args.png))


if __name__ == "__main__":
    main()
