"""`lora-tui new`: a project folder in the guide's layout."""

from __future__ import annotations

import click

from lora_tui import output
from lora_tui.options import json_option


@click.command("new")
@click.argument("directory", metavar="DIR")
@click.option("--name", default="", help="The project's name, and its LoRA's. The folder's name by default.")
@click.option("--trigger", required=True, help="The made-up word that calls up what is trained, e.g. ohwx.")
@click.option("--class", "class_name", default="", help="What it is, in a plain word: man, woman, dog, style.")
@click.option("--repeats", default=25, show_default=True, help="How often each picture is seen in an epoch.")
@click.option("--images", default=None, metavar="FOLDER", help="Pictures to train, with their captions; copied.")
@click.option("--reg", default=None, metavar="FOLDER", help="Regularisation pictures: others of that class; copied.")
@click.option("--link", is_flag=True, help="Link the pictures instead of copying them. Captions are always copied.")
@json_option
def command(
    directory: str,
    name: str,
    trigger: str,
    class_name: str,
    repeats: int,
    images: str | None,
    reg: str | None,
    link: bool,
    as_json: bool,
) -> None:
    """Make a new project folder DIR."""
    from engine.plan.project import Project

    project = Project.create(directory, name, trigger, class_name, repeats, images, reg, link)
    folder = f"{repeats}_{trigger} {class_name}".strip()
    if as_json:
        output.answer(
            {
                "project": project.path,
                "name": project.name,
                "trigger": project.trigger,
                "class": project.class_name,
                "images": project.image_dir / folder,
                "reg": project.reg_dir,
            }
        )
        return
    output.say(f"Made the project {project.path}")
    for source in (images, reg):
        _tell_others(source)
    if images is None:
        output.say(f"Put your pictures and captions into {project.image_dir / folder}")
    output.say(f"Then: lora-tui check {directory}")


def _tell_others(source: str | None) -> None:
    """What lay among the pictures and was not taken: videos, archives, kinds that are not read."""
    from engine.plan.files import absolute_path
    from engine.plan.picture_kinds import OTHER_FILES
    from engine.plan.pictures import picture_files

    found = picture_files(absolute_path(source))[1] if source else []
    for finding in found:
        if finding.code in OTHER_FILES:
            output.tell(f"{finding.level}: {finding}")
