"""`lora-tui regularise`: have the regularisation pictures that a project needs, made or taken over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.plan.byte_counts import size
from engine.plan.errors import UserError
from engine.plan.files import absolute_path
from engine.plan.job_options import job_options, parse_job_text
from engine.plan.regularisation import require_class
from engine.plan.regularising import AUTOMATIC
from lora_tui import output
from lora_tui.options import device_option, json_option, open_project, set_option

if TYPE_CHECKING:
    from engine.plan.base_model import BaseModel
    from engine.plan.dataset import Dataset
    from engine.plan.project import Project
    from engine.plan.settings import Settings
    from engine.runs.folder import RunFolder
    from lora_tui.follow import Outcome
    from lora_tui.regularising import Outlook

_F = TypeVar("_F", bound=Callable[..., Any])


def _own_options(command: _F) -> _F:
    """An option of the command for each of [regularising] in project.toml."""
    for name, known in reversed(list(job_options("regularising").items())):
        usual = f" Usual: {known.usual}." if known.usual else ""
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, name, metavar="VALUE", default=None, help=known.help + usual)(command)
    return command


@click.command("regularise")
@click.argument("directory", metavar="DIR")
@click.option("--plan", is_flag=True, help="Only say how many are needed and why, how large and how long.")
@click.option("--from", "folder", metavar="FOLDER", help="Take the pictures of a folder over in place of making any.")
@click.option("--link", is_flag=True, help="With --from: link the pictures, which takes no room, in place of copying.")
@click.option(
    "--from-hub",
    "hub",
    metavar="ID",
    help="Fetch pictures of a public data set on Hugging Face: owner/name, owner/name/folder or owner/name/file.zip.",
)
@click.option(
    "--class",
    "class_name",
    metavar="WORD",
    help="With --from and --from-hub: the class that the pictures show, where the project has several. "
    "Usual: the project's own.",
)
@_own_options
@set_option
@device_option
@json_option
def command(
    directory: str,
    plan: bool,
    folder: str | None,
    link: bool,
    hub: str | None,
    class_name: str | None,
    sets: tuple[tuple[str, str], ...],
    device: str,
    as_json: bool,
    **own: str | None,
) -> None:
    """Have regularisation pictures for the project DIR: ordinary ones of its class, drawn with its base model.

    As many are seen in an epoch as there are pictures of your own with their repeats; fewer are repeated. What is there
    already counts and is never touched, and what was stopped goes on where it was. The options stand in project.toml
    as well, under [regularising].
    """
    if folder is not None and hub is not None:
        raise click.UsageError("--from and --from-hub exclude each other.")
    if link and folder is None:
        raise click.UsageError("--link goes with --from FOLDER: it links the pictures of a folder.")
    if class_name is not None and folder is None and hub is None:
        raise click.UsageError("--class goes with --from FOLDER or --from-hub ID: it says what those pictures show.")
    given = {name: parse_job_text("regularising", name, text) for name, text in own.items() if text is not None}
    project, settings = open_project(directory, sets)
    if class_name is not None:
        require_class(project, class_name)
    if folder is not None and not plan:
        _take_over(project, folder, link, class_name or "")
        look_out, base = _look(project, settings, given)
    elif hub is not None and not plan:
        look_out, base = _look(project, settings, given)
        _fetch(project, hub, look_out, class_name or "")
        look_out, base = _look(project, settings, given)
    else:
        look_out, base = _look(project, settings, given)
        if not plan and not look_out.missing:
            _answer(
                look_out, as_json, {"made": 0, "seconds_each": None, "message": "As many are here as were asked for."}
            )
            return
        if not plan:
            outcome = _make(project, settings, look_out, base, device)
            result = outcome.done().result()
            _describe(project, settings, outcome)
            look_out, base = _look(project, settings, given)
            _answer(look_out, as_json, {name: result.get(name) for name in ("made", "seconds_each", "message")})
            return
    _answer(look_out, as_json, {})


def _look(project: Project, settings: Settings, given: dict[str, object]) -> tuple[Outlook, BaseModel | None]:
    from engine.plan.base_model import recognise
    from lora_tui.regularising import outlook

    base = None
    if settings.pretrained_model_name_or_path:
        base = recognise(settings.pretrained_model_name_or_path, project.path)
    return outlook(project, settings, _dataset(project, settings), base, given), base


def _dataset(project: Project, settings: Settings) -> Dataset:
    from engine.plan.dataset import scan
    from engine.plan.measured import keep_measures, kept_measures

    measures = kept_measures(project)
    dataset = scan(project, settings, measure=measures)
    keep_measures(project, measures)
    return dataset


def _make(project: Project, settings: Settings, look_out: Outlook, base: BaseModel | None, device: str) -> Outcome:
    from engine.runs.folder import create
    from lora_tui.follow import run_job
    from lora_tui.regularising import make_job, refuse_busy

    if base is None:
        raise UserError(
            "no-base-model",
            "The pictures are drawn with the base model, and none is chosen.",
            "Choose one in project.toml, or add --set pretrained_model_name_or_path=FILE.",
        )
    refuse_busy(project.path)
    _tell_why(look_out)
    output.tell(f"To be made: {look_out.in_words()}.")
    if look_out.too_large:
        output.tell(f"warning: the disk has {size(look_out.free or 0)} free, so not all of them will fit.")
    outcome = run_job(create(project.runs_dir, make_job(project, settings, look_out, device)), project.name)
    if outcome.exit_code:
        with contextlib.suppress(UserError):  # killed, or left before it was over
            output.tell(str(outcome.result().get("message")))
        output.tell("What is there is kept: the same command goes on from there.")
    return outcome


def _describe(project: Project, settings: Settings, made: Outcome) -> None:
    """The captions, where they are automatic."""
    from lora_tui.follow import run_begun
    from lora_tui.regularising import begin_captions_of

    if made.run.job.arguments["options"].get("captions") != AUTOMATIC:
        return

    def begin() -> RunFolder:
        run = begin_captions_of(project, settings, made.run)
        assert run is not None
        return run

    output.tell(str(run_begun(begin, project.name).done().result().get("message")))


def _fetch(project: Project, hub: str, look_out: Outlook, class_name: str) -> None:
    from engine.runs.folder import create
    from lora_tui.follow import run_job
    from lora_tui.regularising import fetch_job, refuse_busy

    refuse_busy(project.path)
    job = fetch_job(project, hub, look_out, class_name)
    outcome = run_job(create(project.runs_dir, job), job.name)
    if outcome.exit_code:
        output.tell("What has come is kept: the same command goes on from there.")
    output.tell(str(outcome.done().result().get("message")))


def _take_over(project: Project, folder: str, link: bool, class_name: str) -> None:
    from engine.plan.take_over import take_over

    taken = take_over(project, absolute_path(folder), "reg", link=link, class_name=class_name)
    output.tell(f"{taken} They are in {taken.folder}.")


def _tell_why(look_out: Outlook) -> None:
    from engine.plan.class_balance import uneven_classes
    from engine.plan.regularisation import explanation

    for need in look_out.needs:
        for line in explanation(need):
            output.tell(line)
    if (uneven := uneven_classes(look_out.needs)) is not None:
        output.findings([uneven])


def _answer(look_out: Outlook, as_json: bool, made: dict[str, object]) -> None:
    from engine.plan.class_balance import uneven_classes
    from engine.plan.regularisation import as_object, explanation

    uneven = uneven_classes(look_out.needs)
    if as_json:
        classes = [as_object(need, look_out.options) for need in look_out.needs]
        output.answer(
            {
                "classes": classes,
                "options": look_out.options.model_dump(mode="json"),
                "missing": look_out.missing,
                "warning": str(uneven) if uneven is not None else None,
                "size": list(look_out.picture_size),
                "bytes": look_out.bytes,
                "free_bytes": look_out.free,
                "seconds": look_out.seconds_each * look_out.missing if look_out.seconds_each else None,
                **made,
            }
        )
        return
    if made:
        output.say(str(made["message"]))
    for need in look_out.needs:
        for line in explanation(need):
            output.say(line)
        output.say(f"Folder  {need.folder}")
    if uneven is not None:
        output.findings([uneven])
    if look_out.missing:
        output.say(f"Still to be made: {look_out.in_words()}.")
