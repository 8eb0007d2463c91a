"""`lora-tui watch`: look at a run, live or long over. Leaving it never touches the run."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from engine.plan.errors import UserError
from engine.plan.files import absolute_path
from lora_tui import output
from lora_tui.options import json_option, theme_option

if TYPE_CHECKING:
    from pathlib import Path

    from textual.widget import Widget

    from engine.runs.folder import RunFolder


@click.command("watch")
@click.argument("run", metavar="[RUN]", default="")
@click.option("--project", default=None, metavar="DIR", help="The project RUN is in, if not the folder you are in.")
@click.option("--plain", is_flag=True, help="Lines of text instead of a screen: for pipes, logs and screen readers.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII letters only.")
@click.option("--no-images", is_flag=True, help="Show where a sample lies instead of drawing it.")
@click.option(
    "--sharp", is_flag=True, help="Large samples in full resolution, on terminals with sixel or kitty graphics."
)
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@click.option(
    "--fps",
    type=click.FloatRange(0.1, 10),
    default=2.0,
    show_default=True,
    help="Looks and paints a second.",
)
@click.option("--slow", is_flag=True, help="For slow connections: paint every two seconds, draw no pictures.")
@theme_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    run: str,
    project: str | None,
    plain: bool,
    ascii_only: bool,
    no_images: bool,
    sharp: bool,
    no_mouse: bool,
    fps: float,
    slow: bool,
    theme: str | None,
    as_json: bool,
) -> None:
    """Watch RUN: a run's name, its folder, or `last`.

    Without RUN, the run at work (or the newest) of the project you are in, else of the projects used last. It goes
    on when you leave.
    """
    chosen = run_to_watch(run, project)
    if plain or as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from lora_tui.plain import watch_plain

        context.exit(watch_plain(chosen, as_json))
    from lora_tui.look import SLOW_PAINTS_PER_SECOND, look_here

    paints = SLOW_PAINTS_PER_SECOND if slow else fps
    look = look_here(ascii_only, not (no_images or slow), not no_mouse, paints, theme)
    if sharp:
        look = replace(look, sharp=find_sharp())
    from lora_tui.app import LoraTui
    from lora_tui.screens.job import screen_of

    context.exit(LoraTui(lambda: screen_of(chosen), look, ui_log_path(chosen)).start())


def find_sharp() -> type[Widget] | None:
    """What draws sharp pictures here, or None where the terminal cannot show any. Raises UserError."""
    from lora_tui.widgets.sharp import find_widget

    widget = find_widget()
    if widget is None:
        output.tell("This terminal shows no sixel or kitty graphics; pictures are drawn in half blocks.")
    return widget


def run_to_watch(run: str, project: str | None) -> RunFolder:
    """The run meant. Raises UserError "no-such-run"."""
    from lora_tui import recent
    from lora_tui.which_run import at_work, chosen_run

    if run or project is not None:
        return chosen_run(run or "last", project, at_work)
    from engine.runs.folder import list_runs

    try:
        return chosen_run("last", None, at_work)
    except UserError as error:
        found = [other for folder in recent.projects() for other in list_runs(folder)]
        if not found:
            raise UserError(error.code, "There is no run to watch yet.", "Start one: lora-tui train DIR") from None
    return next((other for other in _newest_first(found) if at_work(other)), _newest_first(found)[0])


def _newest_first(runs: list[RunFolder]) -> list[RunFolder]:
    return sorted(runs, key=lambda run: run.name, reverse=True)


def ui_log_path(run: RunFolder) -> Path:
    """Where the app writes down its own faults: with the run's project, or else with the app's own state."""
    folder = run.path.parent.parent
    if run.path.parent.name == "runs" and (folder / "project.toml").is_file():
        return absolute_path(folder) / ".lora-tui" / "ui.log"
    from engine.runs.places import state_dir

    return state_dir() / "ui.log"
