"""`lora-tui export`: a finished LoRA into the folder of the program that is to draw with it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.plan.errors import UserError, few
from engine.plan.lora_formats import FORMATS
from lora_tui import output
from lora_tui.options import json_option

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder

USAGE = 2
SHOWN = 6  # folders that were found, in one line


@click.command("export")
@click.argument("what", metavar="RUN|LORA")
@click.option("--to", "directory", default=None, metavar="DIR", help="Where to; without it you are told what there is.")
@click.option("--name", default="", help="What it is called there, instead of its own name.")
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], help="How it is written.")
@click.option("--project", default=None, metavar="DIR", help="The project RUN is in, if not the folder you are in.")
@json_option
@click.pass_context
def command(
    context: click.Context, what: str, directory: str | None, name: str, form: str, project: str | None, as_json: bool
) -> None:
    """Copy the LoRA of RUN, or the file LORA, into DIR, for example the LoRA folder of ComfyUI, Forge or A1111.

    RUN is a path, a run's name in the project, or `last`. Of a run that is not finished the newest LoRA is taken.
    Nothing is overwritten: where another LoRA has the name, this one becomes NAME-2. The format kohya, in which it was
    trained, is what those programs and sd-scripts read; diffusers reads it too, and has a format of its own. A file of
    diffusers or PEFT is converted to it.
    """
    from engine.plan.export import file_stem, prompt_text
    from lora_tui.conversion import export_as
    from lora_tui.follow import run_job

    if not directory:
        output.fail(_where_to(), as_json)
        context.exit(USAGE)
    lora = _lora(what, project)
    exported = export_as(form, lora, Path(directory), name, lambda run: run_job(run, lora.name).done())
    if exported.stem != file_stem(lora, name):
        output.tell(f"Another {file_stem(lora, name)}.safetensors is there already, so this one is {exported.name}.")
    prompt = prompt_text(exported.stem) if form == FORMATS[0] else None  # other programs do not read diffusers' format
    if as_json:
        output.answer({"lora": exported, "name": exported.stem, "prompt": prompt, "format": form})
        return
    output.say(f"LoRA    {exported}")
    if prompt is not None:
        output.say(f"Prompt  {prompt}  (A1111 and Forge; in ComfyUI choose the file in a Load LoRA node)")
    else:
        output.say("In Python  pipeline.load_lora_weights(FILE)  (A1111, Forge and ComfyUI read only the kohya format)")


def _where_to() -> UserError:
    """What to say to somebody who has not said where to: the folders that were found."""
    from engine.plan.export import usual_folders

    found = [f"--to {shlex.quote(str(there.folder))} ({there.program})" for there in usual_folders()]
    if found:
        hint = f"Found on this machine: {few(found, SHOWN)}."
    else:
        hint = "None was found in the usual places; it is models/loras in ComfyUI, models/Lora in A1111 and Forge."
    return UserError("usage", "Say into which folder, with --to DIR.", hint)


def _lora(what: str, project: str | None) -> Path:
    """The LoRA file that RUN|LORA means. Raises UserError."""
    from engine.plan.files import absolute_path
    from lora_tui.outside import existing_lora
    from lora_tui.which_run import chosen_run

    if what != "last" and (what.lower().endswith(".safetensors") or os.path.isfile(absolute_path(what))):
        return existing_lora(what)
    return newest_lora(chosen_run(what, project, prefer=_is_worth_exporting))


def _is_worth_exporting(run: RunFolder) -> bool:
    """Whether it is a training with a LoRA; not the demo's second one, which only shows what is worse without reg/."""
    if run.kind != "train" or not any(run.output_dir.glob("*.safetensors")):
        return False
    arguments = run.table().get("arguments")
    return not (isinstance(arguments, dict) and arguments.get("no_reg"))


def newest_lora(run: RunFolder) -> Path:
    """The LoRA that a run saved last: when it is finished, the finished one. Says on stderr where it is not.

    Raises UserError "no-lora".
    """
    from engine.runs.resume import resumable
    from engine.runs.state import observe

    seen = observe(run)
    step, total = seen.snapshot.step, seen.snapshot.total_steps
    for saved in reversed(seen.snapshot.saved):
        path = run.output_dir / Path(saved.path).name  # its log may be a stranger's, and name any file
        if os.path.isfile(path):
            if seen.state != "finished" or saved.step < total:
                output.tell(f"Of the run {run.name} ({seen.state}) this is the LoRA of step {saved.step} of {total}.")
            return path
    at = f" It is {seen.state} at step {step} of {total}." if total else ""
    hint = f"To go on with it: lora-tui resume {shlex.quote(str(run.path))}" if resumable(run, seen) else ""
    raise UserError("no-lora", f"The run {run.name} has saved no LoRA.{at}", hint)
