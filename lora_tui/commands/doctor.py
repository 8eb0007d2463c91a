"""`lora-tui doctor`: whether this machine and this terminal are ready, and what to do where they are not."""

from __future__ import annotations

from dataclasses import asdict

import click

from engine.plan.errors import inert, plural
from lora_tui import output
from lora_tui.options import json_option

MARKS = {"ok": ("ok", "green"), "warning": ("! ", "yellow"), "error": ("x ", "red")}


@click.command("doctor")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Look at this machine: Python, torch and its device, packages, disk, terminal; and say what to do.

    ok is well, ! keeps some things from working, x keeps everything from training (exit code 1 then).
    """
    from lora_tui.checkup import all_checks

    checks = []
    for check in all_checks():  # each is shown as soon as it is known: torch takes seconds
        checks.append(check)
        if not as_json:
            mark, colour = MARKS[check.status]
            click.echo(f"{click.style(mark, fg=colour)}  {inert(check.name):<20}  {inert(check.value)}")
            if check.advice:
                click.echo(f"    {'':<20}  {inert(check.advice)}")
    errors = sum(check.status == "error" for check in checks)
    warnings = sum(check.status == "warning" for check in checks)
    if as_json:
        output.answer({"checks": [asdict(check) for check in checks]})
    elif errors:
        output.say(f"{plural(errors, 'thing stops', 'things stop')} every training.")
    elif warnings:
        output.say(f"Ready, but look at the {plural(warnings, 'line')} with !.")
    else:
        output.say("All is well.")
    context.exit(1 if errors else 0)
