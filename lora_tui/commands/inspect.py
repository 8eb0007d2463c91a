"""`lora-tui inspect`: what is in a LoRA file."""

from __future__ import annotations

from typing import Any

import click

from lora_tui import output
from lora_tui.options import json_option

STRONGEST_SHOWN = 5


@click.command("inspect")
@click.argument("lora", metavar="LORA")
@json_option
def command(lora: str, as_json: bool) -> None:
    """Say what is in the file LORA: its format, rank, modules, strengths and what it says of its training."""
    from engine.runs.folder import create
    from engine.runs.job import Job
    from lora_tui.follow import run_job
    from lora_tui.outside import cached_runs_dir, existing_lora

    path = existing_lora(lora)
    run = create(cached_runs_dir(), Job("inspect", name=path.stem, device="cpu", arguments={"lora": str(path)}))
    result = run_job(run, path.name).done().result()
    if as_json:
        names = ("format", "rank", "conv_rank", "alpha", "modules", "norms", "metadata", "problems")
        output.answer({name: result.get(name) for name in names})
        return
    _print(result)


def _print(result: dict[str, Any]) -> None:
    conv = result.get("conv_rank")
    of_convolutions = f", rank of convolutions {conv}" if conv else ""
    output.say(
        f"Format {result.get('format')}, rank {result.get('rank')}{of_convolutions}, alpha {result.get('alpha')}"
    )
    modules = result.get("modules") or {}
    output.say("Modules: " + ", ".join(f"{name} {count}" for name, count in modules.items()))
    norms = [norm for norm in result.get("norms") or () if isinstance(norm, dict) and norm.get("norm")]
    if norms:
        output.say("Strongest layers:")
    for norm in norms[:STRONGEST_SHOWN]:
        output.say(f"  {norm['norm']:10.4g}  {norm.get('module')}")
    for name, value in (result.get("metadata") or {}).items():
        output.say(f"  {name}: {str(value)[:200]}")
    for problem in result.get("problems") or ():
        output.say(f"Problem: {_told(problem)}")


def _told(problem: object) -> str:
    if not isinstance(problem, dict):
        return str(problem)
    return " ".join(str(problem[key]) for key in ("message", "hint") if problem.get(key))
