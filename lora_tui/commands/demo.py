"""`lora-tui demo`: a small training that shows, in minutes and with numbers, that everything works."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from engine.plan.demo import DEFAULT_FOLDER
from lora_tui import output, recent
from lora_tui.options import device_option, json_option

if TYPE_CHECKING:
    from engine.plan.project import Project


@click.command("demo")
@click.argument("directory", metavar="[DIR]", default=DEFAULT_FOLDER)
@click.option(
    "--headless",
    is_flag=True,
    help="Without the app: train, compare and print what came of it. So it is also without a terminal.",
)
@click.option("--prepare-only", is_flag=True, help="Only make the project.")
@device_option
@json_option
def command(directory: str, headless: bool, prepare_only: bool, device: str, as_json: bool) -> None:
    """Make the demo project in DIR (./lora-tui-demo by default) and open it in the app.

    With --headless its LoRA is trained here, and what it does is measured. Both run on any computer, without a graphics
    card and without a network.
    """
    from engine.plan.demo import prepare

    began = time.monotonic()
    project = prepare(directory)
    recent.remember(project.path)
    if prepare_only:
        if as_json:
            output.answer({"project": project.path})
        else:
            output.say(f"Made the demo project {project.path}")
        return
    if not (headless or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        from lora_tui.commands.open import show

        click.get_current_context().exit(show(project.path))
    answer = {
        "project": project.path,
        **_train_and_prove(project, device),
        "seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        output.answer(answer)
    else:
        _print(answer)


def _train_and_prove(project: Project, device: str) -> dict[str, Any]:
    """Two trainings, with and without regularisation pictures, and the proof; what the demo has found."""
    from engine.runs.folder import create
    from lora_tui.commands.train import loras, new_run, refuse_or_tell
    from lora_tui.follow import project_job, run_job

    settings = project.resolved()
    refuse_or_tell(project, settings, accept_warnings=False)
    trained = run_job(new_run(project, settings, device), "1 of 3, the LoRA").done()
    without_reg = run_job(
        new_run(project, settings, device, no_reg=True), "2 of 3, the same without regularisation"
    ).done()
    lora = loras(trained)[-1]
    arguments = {"lora": lora, "lora_without_reg": loras(without_reg)[-1]}
    run = create(project.runs_dir, project_job("demo-proof", project, settings, device, **arguments))
    result = run_job(run, "3 of 3, the proof").done().result()
    return {
        "run": trained.run.path,
        "lora": lora,
        "sheet": run.absolute(str(result["sheet"])),
        "steps": trained.seen.snapshot.step,
        "distance": result["distance"],
        "leak": result["leak"],
    }


def _print(answer: dict[str, Any]) -> None:
    from lora_tui.progress import duration

    distance, leak = answer["distance"], answer["leak"]
    output.say(
        f"With the LoRA, pictures come {distance['gap_closed']:.0%} of the way from what the base model draws to the "
        "real character."
    )
    output.say(
        f"  Distance to held-out pictures: {distance['without']:.3f} without, {distance['with']:.3f} with, "
        f"{distance['truth']:.3f} among real ones"
    )
    output.say(
        f"  How far it leaks into everybody else: {leak['with_reg']:.3f} with regularisation pictures, "
        f"{leak['without_reg']:.3f} without"
    )
    output.say(f"LoRA   {answer['lora']}")
    output.say(f"Sheet  {answer['sheet']}   the same prompts and seeds, without | with")
    output.say(f"{answer['steps']} steps; {duration(answer['seconds'])} in all.")
