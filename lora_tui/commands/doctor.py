"""`lora-tui doctor`: whether this machine and this terminal are ready, and what to do where they are not."""

from __future__ import annotations

from dataclasses import asdict

import click

from engine.plan.errors import inert, plural
from lora_tui import output
from lora_tui.options import json_option

MARKS = {"ok": ("ok", "green"), "warning": ("! ", "yellow"), "error": ("x ", "red")}

VALUE_COLUMN = 26  # behind the mark and the name


@click.command("doctor")
@click.option("--gpus", "list_gpus", is_flag=True, help="Only list the GPUs that can be planned for.")
@click.option(
    "--plan-for",
    metavar="GPU",
    default=None,
    help='Plan for this GPU in every project, e.g. "RTX 3060 12GB"; "here" for this machine\'s own.',
)
@json_option
@click.pass_context
def command(context: click.Context, list_gpus: bool, plan_for: str | None, as_json: bool) -> None:
    """Look at this machine: its GPUs, Python, torch and what it can do, packages, disk, the way to the hub, terminal;
    and say what to do.

    ok is well, ! keeps some things from working, x keeps everything from training (exit code 1 then).
    """
    from lora_tui.checkup import all_checks
    from lora_tui.hardware import gpus_here

    if list_gpus:
        _list_gpus(as_json)
        return
    if plan_for is not None:
        _plan_for(plan_for, as_json)
        return
    checks = []
    for check in all_checks():  # each is shown as soon as it is known: torch takes seconds
        checks.append(check)
        if not as_json:
            mark, colour = MARKS[check.status]
            value = output.in_columns(check.value, VALUE_COLUMN)
            click.echo(f"{click.style(mark, fg=colour)}  {inert(check.name):<20}  {value}")
            if check.advice:
                click.echo(" " * VALUE_COLUMN + output.in_columns(check.advice, VALUE_COLUMN))
    errors = sum(check.status == "error" for check in checks)
    warnings = sum(check.status == "warning" for check in checks)
    if as_json:
        found = gpus_here()
        gpus = [gpu.as_json() for gpu in found.gpus]
        answer = {"checks": [asdict(check) for check in checks], "gpus": gpus}
        output.answer(answer | {"driver": found.driver or None, "cuda": found.cuda or None})
    elif errors:
        output.say(f"{plural(errors, 'thing stops', 'things stop')} every training.")
    elif warnings:
        output.say(f"Ready, but look at the {plural(warnings, 'line')} with !.")
    else:
        output.say("All is well.")
    context.exit(1 if errors else 0)


def _list_gpus(as_json: bool) -> None:
    from engine.plan.gpu_catalogue import cards

    if as_json:
        output.answer({"gpus": [card.as_json() for card in cards()]})
        return
    for card in cards():
        output.say(f"{card.name:<24}{card.facts}")


def _plan_for(name: str, as_json: bool) -> None:
    from engine.plan.gpu_catalogue import named
    from lora_tui import hardware

    card = None if name.strip().lower() == "here" else named(name)
    hardware.plan_for(card)
    if as_json:
        output.answer({"planned_for": card.as_json() if card is not None else None})
    elif card is not None:
        output.say(f"Every project is planned for {card.name} now: {card.facts}.")
    else:
        output.say("Every project is planned for this machine's own GPU now.")
