"""`lora-tui [DIR]`: the app, with the project DIR or the list of projects."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from engine.plan.errors import UserError
from lora_tui import output
from lora_tui.options import theme_option
from lora_tui.own_command import own_command


@click.command("open")
@click.argument("directory", metavar="[DIR]", default="")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII letters only.")
@click.option("--no-images", is_flag=True, help="Show where pictures lie instead of drawing them.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@click.option("--plain", is_flag=True, help="The same steps as questions and answers, a line each: for screen readers.")
@theme_option
@click.pass_context
def command(
    context: click.Context,
    directory: str,
    ascii_only: bool,
    no_images: bool,
    no_mouse: bool,
    plain: bool,
    theme: str | None,
) -> None:
    """Open the app, on the project DIR or on the list of projects. The word `open` may be left out."""
    if not plain and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError(
            "no-terminal",
            "The app needs a terminal.",
            "lora-tui --plain does without; lora-tui --help names the commands.",
        )
    project = None
    if directory:
        from engine.plan.project import Project

        project = Project.open(directory).path  # what is no project is told before the screen is taken
    if plain:
        from lora_tui.prompts.welcome import run

        context.exit(run(project))
    context.exit(show(project, ascii_only, not no_images, not no_mouse, theme))


def show(
    project: Path | None, ascii_only: bool = False, images: bool = True, mouse: bool = True, theme: str | None = None
) -> int:
    """Run the app, on a project or on the list of projects; the exit code."""
    from engine.runs.places import state_dir
    from lora_tui.look import look_here

    look = look_here(ascii_only, images, mouse, theme=theme)
    from lora_tui.app import LoraTui
    from lora_tui.screens.home import Home

    log = project / ".lora-tui" / "ui.log" if project is not None else state_dir() / "ui.log"
    app = LoraTui(lambda: Home(project), look, log)
    code = app.start()
    if code == 0:
        opened = app.pages.wizard.draft.path if app.pages is not None else project
        output.say(f"Come back with: {own_command(*([opened] if opened is not None else []))}")
    return code
