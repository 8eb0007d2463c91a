"""`lora-tui download`: bring a base model or a captioner onto this machine."""

from __future__ import annotations

from pathlib import Path

import click

from lora_tui import output
from lora_tui.options import json_option


@click.command("download")
@click.argument("what", metavar="URL|NAME")
@click.option("--to", metavar="DIR", help="Where to put it. Of a NAME: a cache folder of huggingface_hub.")
@click.option("--full-precision", is_flag=True, help="Of a NAME: the 32-bit weights, twice as large.")
@json_option
def command(what: str, to: str | None, full_precision: bool, as_json: bool) -> None:
    """Download a base model: a .safetensors file by its https URL, or a model on Hugging Face by its NAME. A captioner
    comes by its NAME as well.

    What was stopped or broke off goes on where it was. Tokens come from the environment: HF_TOKEN for huggingface.co,
    CIVITAI_TOKEN for civitai.com.
    """
    from lora_tui.downloads import make_run
    from lora_tui.follow import run_job

    run, title = make_run(what, Path(to) if to is not None else None, full_precision)
    outcome = run_job(run, title)
    if outcome.exit_code:
        output.tell("What has come is kept: the same command goes on from there.")
    result = outcome.done().result()
    if as_json:
        output.answer({name: result.get(name) for name in ("path", "source", "bytes", "message")})
        return
    output.tell(str(result.get("message")))
    output.say(str(result.get("path")))
