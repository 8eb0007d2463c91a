"""Making a new project folder in the guide's layout: whole, or not at all."""

from __future__ import annotations

from pathlib import Path

from engine.plan import project_file
from engine.plan.errors import UserError
from engine.plan.files import disk_errors, whole_folder
from engine.plan.folders import require_folder
from engine.plan.option_values import is_plain_name
from engine.plan.picture_copies import bring
from engine.plan.picture_kinds import no_picture_in, require_no_file
from engine.plan.pictures import picture_files
from engine.plan.project_file import FILE_NAME, ProjectFile


def create(
    target: Path, contents: ProjectFile, *, repeats: int, images: Path | None, reg: Path | None, link: bool
) -> None:
    """Make the folder `target` with img/, reg/, model/ and project.toml.

    Everything is put together in a folder of its own and renamed at the end. Captions are copied even with `link`, so
    that editing one never touches the folder it came from. Raises UserError: `exists`, `bad-name`, `bad-value`,
    `no-such-folder`, `not-a-folder`, `a-video`, `an-archive`, `no-pictures`, `disk-full`, `not-writable`.
    """
    trigger, class_name = contents.trigger or "", contents.class_name or ""
    words = f"{trigger} {class_name}".strip()
    _check_words(trigger, class_name)
    if not is_plain_name(contents.name or ""):
        raise UserError(
            "bad-name",
            f'The name "{contents.name}" cannot be part of a file name.',
            "Use letters, digits and spaces; with --name it may differ from the folder's.",
        )
    if not 1 <= repeats < 10**9:
        raise UserError("bad-value", f"The number of repeats must be 1 or more, not {repeats}.")
    if reg is not None and not class_name:
        raise UserError(
            "bad-name",
            "Regularisation pictures show a class, and none was given.",
            "Say what they show, for example --class man.",
        )
    with disk_errors(target):
        _check_free(target)
    sources = [(images, f"{repeats}_{words}", "img"), (reg, f"1_{class_name}", "reg")]
    for source, _, _ in sources:
        if source is not None:
            require_no_file(source, "what is trained")
            require_folder(source, "a folder of pictures")
            if not picture_files(source)[0]:
                raise no_picture_in(source, [path.name for path in source.iterdir()])
    with disk_errors(target), whole_folder(target) as partial:
        for source, name, parent in sources:
            (partial / parent).mkdir()
            if source is not None or parent == "img":
                folder = partial / parent / name
                folder.mkdir()
                if source is not None:
                    for picture in picture_files(source)[0]:
                        bring(picture, folder, link=link)
        (partial / "model").mkdir()
        project_file.write(partial / FILE_NAME, contents)


def _check_free(target: Path) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() or target.is_symlink():
        raise UserError("exists", f"{target} exists already.", "Choose another name; nothing was changed.")


def _check_words(trigger: str, class_name: str) -> None:
    if not trigger.strip():
        raise UserError(
            "bad-name",
            "A project needs a trigger word.",
            "Choose a made-up word the model does not know, such as ohwx.",
        )
    for what, words in (("trigger", trigger), ("class", class_name)):
        if words and not is_plain_name(words):
            raise UserError(
                "bad-name",
                f'The {what} "{words}" cannot be part of a folder name.',
                "Use letters, digits and spaces.",
            )
