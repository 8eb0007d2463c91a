"""`lora-tui caption`: have a captioner describe the pictures of a project."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from engine.runs.captions import newest_done
from lora_tui import output
from lora_tui.options import device_option_unset, json_option, set_option

if TYPE_CHECKING:
    from engine.plan.captioning import CaptioningOptions
    from engine.plan.project import Project
    from engine.plan.settings import Settings

SHOWN = 5  # captions, for people


def _own(name: str, **more: Any) -> Callable[[Any], Any]:
    """A command-line option for the option of [captioning] that has its name."""
    return click.option(f"--{name.replace('_', '-')}", name, default=None, **more)


@click.command("caption")
@click.argument("directory", metavar="DIR")
@_own("model", metavar="NAME", help="auto, blip, florence-2, wd14, micro, filename, class, a folder, or ORG/NAME.")
@_own("prefix", metavar="WORDS", help="Stands in front; TRIGGER is the trigger word. Without it: TRIGGER.")
@_own("suffix", metavar="WORDS", help="Stands behind.")
@_own("existing", metavar="WHAT", help="keep, append or replace the captions that are there. Without it: keep.")
@_own("folders", metavar="WHICH", help="train, reg or both. Without it: train.")
@_own("prompt", metavar="WORDS", help="What BLIP goes on from; it does not stand in the caption.")
@_own("num_beams", metavar="N", help="Sentences that are tried beside one another. Without it: 10.")
@_own("min_length", metavar="N", help="Least tokens of the caption alone. Without it: 25.")
@_own("max_length", metavar="N", help="Most tokens of the caption alone. Without it: 75.")
@_own("batch_size", metavar="N", help="Pictures that are looked at together.")
@click.option("--yes", is_flag=True, help="Download a captioner that is not here without asking.")
@set_option
@device_option_unset
@json_option
def command(
    directory: str, yes: bool, sets: tuple[tuple[str, str], ...], device: str | None, as_json: bool, **own: str | None
) -> None:
    """Write captions for the pictures of the project DIR.

    Captions that are there are kept unless --existing says otherwise, and what is replaced stays in a backup. --set
    gives any option of [captioning]. Stopped with Ctrl-C, the same command goes on where it was.
    """
    from engine.plan.job_options import parse_job_text
    from engine.plan.project import Project
    from engine.plan.subjects import Subjects
    from lora_tui.captioning import begin, on_subjects, options_of, outlook, refuse_without_pictures
    from lora_tui.follow import run_begun

    given = [*sets, *((name, text) for name, text in own.items() if text is not None)]
    given += [("device", device)] if device is not None else []
    over = {name: parse_job_text("captioning", name, text) for name, text in given}
    project = Project.open(directory)
    options, settings = options_of(project, over), project.resolved()
    found = outlook(project, options, settings.caption_extension)
    refuse_without_pictures(project, found)
    _bring(project, settings, options, yes, as_json)
    output.tell(found.sentence)
    if several := on_subjects(Subjects.of_project(project)):
        output.tell(several)
    if found.warning:
        output.tell(f"warning: {found.warning}")
    outcome = run_begun(lambda: begin(project, settings, options)[0], project.name)
    if outcome.exit_code:
        output.tell("What is written stays: the same command goes on from there.")
    result = outcome.done().result()
    written = [done for done in newest_done(outcome.run).values() if done.state == "written"]
    if as_json:
        names = ("written", "unchanged", "kept", "skipped", "seconds", "model", "message")
        counts = {name: result.get(name) for name in names}
        captions = [{"path": project.path / done.path, "caption": done.text} for done in written]
        output.answer({**counts, "run": outcome.run.path, "captions": captions})
        return
    for done in written[:SHOWN]:
        output.say(f"{done.path}: {done.text}")
    if len(written) > SHOWN:
        output.say(f"and {len(written) - SHOWN} more")
    output.tell(str(result.get("message")))


def _bring(project: Project, settings: Settings, options: CaptioningOptions, yes: bool, as_json: bool) -> None:
    """Download the captioner, where it is not here and somebody says so. Raises UserError `not-downloaded`."""
    from engine.plan.captioners import not_downloaded
    from lora_tui.captioning import download_for
    from lora_tui.downloads import make_run
    from lora_tui.follow import run_job

    name, weighs = download_for(options, settings.pretrained_model_name_or_path, project.path)
    if not name:
        return
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise not_downloaded(name)
        about = f" (about {weighs})" if weighs else ""
        if not click.confirm(f"The captioner {name} is not here yet. Download it{about}?", default=True, err=True):
            raise not_downloaded(name)
    run, title = make_run(name)
    outcome = run_job(run, title)
    if outcome.exit_code:
        output.tell("What has come is kept: the same command goes on from there.")
    outcome.done()
