"""A project: a folder with pictures, and what was decided about it.

A kohya folder opens as it is, also without a project.toml. Nothing here reads pictures: that is `dataset.py`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.plan import new_project, presets, project_file
from engine.plan.errors import Finding, UserError
from engine.plan.files import absolute_path, reading_errors, require_utf8
from engine.plan.folders import (
    child_folder,
    numbered_folders,
    parse_name,
    require_folder,
    split_class_words,
)
from engine.plan.option_values import is_plain_name
from engine.plan.pictures import picture_files
from engine.plan.project_file import FILE_NAME, ProjectFile
from engine.plan.settings import Settings, resolve_named


@dataclass
class Project:
    """What is known of a project without reading its pictures.

    settings: only what is set explicitly in project.toml. repeats: by folder name, only where project.toml differs
    from the name. left_out: pictures that are not trained, as paths relative to the project with forward slashes.
    captioning, regularising: what is set of the options of those jobs (`engine.plan.job_options`).
    notes: what `open` has to say, such as that another folder was given.
    """

    path: Path
    name: str
    trigger: str = ""
    class_name: str = ""
    settings: dict[str, object] = field(default_factory=dict)
    preset: str | None = None
    repeats: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    captioning: dict[str, object] = field(default_factory=dict)
    regularising: dict[str, object] = field(default_factory=dict)
    has_file: bool = False
    notes: list[Finding] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path | str) -> Project:
        """The project at `path`; its img folder or one of the numbered folders may be given instead.

        Raises UserError: `no-such-folder`, `not-a-folder`, `not-a-project`, `only-pictures`, `not-utf8`, and what
        `project_file.read` raises.
        """
        given = absolute_path(path)
        require_utf8(given)
        with reading_errors(given):
            root, notes = _root(given)
        file = root / FILE_NAME
        contents = project_file.read(file) if file.is_file() else ProjectFile()
        project = cls(
            path=root,
            name=contents.name or root.name,
            settings=contents.settings,
            preset=contents.preset,
            repeats=contents.repeats,
            left_out=contents.left_out,
            captioning=contents.captioning,
            regularising=contents.regularising,
            has_file=file.is_file(),
            notes=notes,
        )
        trigger, class_name = project._suggested_words()
        project.trigger = trigger if contents.trigger is None else contents.trigger
        project.class_name = class_name if contents.class_name is None else contents.class_name
        return project

    @classmethod
    def create(
        cls,
        path: Path | str,
        name: str,
        trigger: str,
        class_name: str,
        repeats: int,
        images: Path | str | None = None,
        reg: Path | str | None = None,
        link: bool = False,
    ) -> Project:
        """Make a new project folder in the guide's layout and open it.

        images, reg: folders whose pictures and captions are copied (pictures linked with `link`); None leaves the
        folder empty. The project appears whole or not at all. Raises UserError: `exists`, `bad-name`,
        `no-such-folder`, `no-pictures`, `not-utf8`, `disk-full`, `not-writable`.
        """
        target = absolute_path(path)
        require_utf8(target)
        new_project.create(
            target,
            ProjectFile(name=name or target.name, trigger=trigger, class_name=class_name),
            repeats=repeats,
            images=absolute_path(images) if images else None,
            reg=absolute_path(reg) if reg else None,
            link=link,
        )
        return cls.open(target)

    def save(self) -> None:
        """Write project.toml, keeping a person's comments. Raises UserError as `project_file.write` does."""
        implied = self.name == self.path.name and not is_plain_name(self.name)  # a kohya folder's, which may be any
        project_file.write(
            self.file_path,
            ProjectFile(
                name=None if implied else self.name,
                trigger=self.trigger,
                class_name=self.class_name,
                preset=self.preset,
                settings=self.settings,
                repeats=self.repeats,
                left_out=self.left_out,
                captioning=self.captioning,
                regularising=self.regularising,
            ),
        )
        self.has_file = True

    def resolved(self, overrides: Mapping[str, object] | None = None) -> Settings:
        """Defaults, then the preset, then project.toml, then `overrides` (--set).

        Raises UserError: `unknown-option`, `bad-value`, `unknown-preset`.
        """
        preset = presets.load(self.preset).settings if self.preset else {}
        return resolve_named(
            [
                (f"preset {self.preset}", preset),
                (FILE_NAME, self.settings),
                ("", overrides or {}),
            ]
        )

    @property
    def file_path(self) -> Path:
        """Where project.toml is, or would be."""
        return self.path / FILE_NAME

    @property
    def image_dir(self) -> Path:
        """The folder that holds the numbered folders of pictures: img in any case, or the project itself."""
        found = child_folder(self.path, "img")
        if found is None and numbered_folders(self.path):
            return self.path
        return found or self.path / "img"

    @property
    def reg_dir(self) -> Path:
        """The folder that holds the numbered folders of regularisation pictures; it may not exist."""
        return child_folder(self.path, "reg") or self.path / "reg"

    @property
    def model_dir(self) -> Path:
        """Where finished LoRAs go."""
        return child_folder(self.path, "model") or self.path / "model"

    @property
    def runs_dir(self) -> Path:
        """Where each run has its folder."""
        return self.path / "runs"

    @property
    def cache_dir(self) -> Path:
        """Latents, text embeddings, sizes of pictures; may be deleted at any time."""
        return self.path / "cache"

    def relative(self, path: Path) -> str:
        """A path inside the project as `left_out` spells it: relative, with forward slashes."""
        return path.relative_to(self.path).as_posix()

    def _suggested_words(self) -> tuple[str, str]:
        """(trigger, class) from the names of the folders: `25_ohwx man`, or the class from `reg/1_man`."""
        trigger = class_name = ""
        if folders := numbered_folders(self.image_dir):
            trigger, class_name = split_class_words(_words(folders[0]))
        if not class_name and (folders := numbered_folders(self.reg_dir)):
            class_name = _words(folders[0]).strip()
        return trigger, class_name


def _words(folder: Path) -> str:
    parsed = parse_name(folder.name)
    return parsed[1] if parsed else ""


def _root(path: Path) -> tuple[Path, list[Finding]]:
    """The project's folder that a path means, and a note where that is not the path itself."""
    if path.name == FILE_NAME and path.is_file():
        return path.parent, []
    require_folder(path, "a project")
    if (path / FILE_NAME).is_file() or child_folder(path, "img"):
        return path, []
    if path.name.casefold() == "img" and numbered_folders(path):
        return path.parent, [_used_instead(path, path.parent)]
    if numbered_folders(path):
        return path, []
    if parse_name(path.name) is not None and picture_files(path)[0]:
        parent = path.parent
        root = parent.parent if parent.name.casefold() in ("img", "reg") else parent
        return root, [_used_instead(path, root)]
    if picture_files(path)[0]:
        raise UserError(
            "only-pictures",
            f"{path} holds pictures, but is not a project.",
            f"Make a project of them: lora-tui new DIR --images {shlex.quote(str(path))}",
        )
    raise UserError(
        "not-a-project",
        f'{path} is not a project: it has no folder img with folders such as "25_ohwx man" in it.',
        "Make one with lora-tui new.",
    )


def _used_instead(given: Path, used: Path) -> Finding:
    return Finding(
        "parent-used",
        f"{given} is a folder inside a project; the project {used} is used.",
        "",
        level="note",
    )
