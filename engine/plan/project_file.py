"""project.toml as text: what may stand in it, reading it, and writing it so that a person's comments survive."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array
from tomlkit.toml_document import TOMLDocument

from engine.plan import job_options
from engine.plan.errors import UserError
from engine.plan.files import atomic_write, reading_errors
from engine.plan.nearest import nearest
from engine.plan.option_values import is_plain_name
from engine.plan.settings import check_names

FILE_NAME = "project.toml"

_TABLES = ("project", "settings", "folders", "pictures", *job_options.TABLES)
_PROJECT_KEYS = ("name", "trigger", "class", "preset")
_FOLDER_KEYS = ("num_repeats",)
_PICTURES_KEYS = ("left_out",)


@dataclass
class ProjectFile:
    """The contents of a project.toml. None: the key is not there."""

    name: str | None = None
    trigger: str | None = None
    class_name: str | None = None
    preset: str | None = None
    settings: dict[str, object] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    captioning: dict[str, object] = field(default_factory=dict)
    regularising: dict[str, object] = field(default_factory=dict)


def read(path: Path) -> ProjectFile:
    """Read a project.toml. Values of settings are checked later, when they are resolved.

    Raises UserError: `bad-project-file` (with the line, or the byte that is not UTF-8), `unknown-key`,
    `unknown-option`, `not-readable`.
    """
    tables = parse_toml(_read_text(path), path)
    _known(tables, _TABLES, path, "table")
    project = _table(tables, "project", path)
    _known(project, _PROJECT_KEYS, path, "key in [project]")
    settings = _table(tables, "settings", path)
    check_names(settings, str(path))
    jobs = {name: _table(tables, name, path) for name in job_options.TABLES}
    for table, values in jobs.items():
        job_options.check_job_names(table, values, str(path))
    pictures = _table(tables, "pictures", path)
    _known(pictures, _PICTURES_KEYS, path, "key in [pictures]")
    name = _text(project, "name", path)
    _check_name(name, path)
    return ProjectFile(
        name=name,
        trigger=_text(project, "trigger", path),
        class_name=_text(project, "class", path),
        preset=_text(project, "preset", path),
        settings=settings,
        repeats=_repeats(_table(tables, "folders", path), path),
        left_out=_left_out(pictures, path),
        **jobs,
    )


def write(path: Path, contents: ProjectFile) -> None:
    """Write `contents` over the project.toml at `path`, keeping its comments, order and spelling where nothing changed.

    The file is read anew, so that a comment somebody added a minute ago is kept. Raises UserError as `read` and
    `atomic_write` do; then the file is as it was.
    """
    _check_name(contents.name, path)
    document = _document(path)
    project = {
        "name": contents.name,
        "trigger": contents.trigger,
        "class": contents.class_name,
        "preset": contents.preset,
    }
    _update(document, "project", {key: value for key, value in project.items() if value is not None})
    _update(document, "settings", contents.settings)
    _update_folders(document, contents.repeats)
    _update(document, "pictures", {"left_out": contents.left_out} if contents.left_out else {})
    _update(document, "captioning", contents.captioning)
    _update(document, "regularising", contents.regularising)
    text = tomlkit.dumps(document)
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # bytes of a file name that are not UTF-8
        raise UserError(
            "not-utf8", f"{path} could not hold a value that is not UTF-8; it was left as it was.", "Rename the file."
        )
    parse_toml(text, path)
    # What is new has \n; in a file from Windows it would be the only line that has.
    atomic_write(path, re.sub(r"\r?\n", "\r\n", text) if "\r\n" in text else text)


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """The values of a TOML text; `path` is named in errors. Raises UserError `bad-project-file` with the line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = re.search(r"\(at line (\d+), column (\d+)\)", message)
        line = int(place[1]) if place else text.count("\n") + 1
        what = re.sub(r"\s*\(at .*\)$", "", message)
        raise UserError(
            "bad-project-file",
            f"{path}, line {line}: this is not valid TOML ({what}).",
            'Texts need quotes ("…") and switches are true or false.',
        ) from None
    except (ValueError, RecursionError):
        raise UserError(
            "bad-project-file",
            f"{path} has a number of thousands of digits, or thousands of brackets inside one another.",
            "No setting needs them: remove them.",
        ) from None


def _read_text(path: Path) -> str:
    with reading_errors(path):
        data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            "bad-project-file", f"{path} is not UTF-8 at byte {error.start}.", "Save it again as UTF-8 in your editor."
        ) from None


def _document(path: Path) -> TOMLDocument:
    if not path.exists():
        return tomlkit.document()
    text = _read_text(path)
    parse_toml(text, path)
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:  # tomlkit refuses a little that TOML 1.0 allows
        raise UserError("bad-project-file", f"{path} cannot be edited: {error}.") from None


def _update(document: TOMLDocument, name: str, values: Mapping[str, object]) -> None:
    """Make the table `name` hold exactly `values`; what is equal already is not touched."""
    if name not in document:
        if not values:
            return
        document[name] = tomlkit.table()
    table: Any = document[name]
    for key in [key for key in table if key not in values]:
        del table[key]
    for key, value in values.items():
        plain = list(value) if isinstance(value, tuple) else value
        if key in table and _same(table[key], plain):
            continue
        if not (key in table and isinstance(plain, list) and _edit_list(table[key], plain)):
            table[key] = _item(plain)


def _update_folders(document: TOMLDocument, repeats: Mapping[str, int]) -> None:
    if "folders" not in document:
        if not repeats:
            return
        document["folders"] = tomlkit.table(is_super_table=True)
    folders: Any = document["folders"]
    for name in [name for name in folders if name not in repeats]:
        del folders[name]
    for name, count in repeats.items():
        if name not in folders:
            folders[name] = tomlkit.table()
        if folders[name].get("num_repeats") != count:
            folders[name]["num_repeats"] = count


_MANY = 50  # items of a list


def _edit_list(item: Any, wanted: list[object]) -> bool:
    """Take out and append items so that a person's comments between the others stay; False where that is not enough."""
    if not isinstance(item, Array):
        return False
    texts = {value for value in wanted if isinstance(value, str)}  # thousands of pictures may be left out

    def is_wanted(value: object) -> bool:
        return value in texts if isinstance(value, str) else value in wanted

    kept = [value for value in item.unwrap() if is_wanted(value)]
    if kept != wanted[: len(kept)]:
        return False
    gone = [index for index, value in enumerate(item.unwrap()) if not is_wanted(value)]
    bare = "#" not in item.as_string() + item.trivia.comment
    if bare and len(gone) + len(wanted) - len(kept) > _MANY:  # no comment is lost, and one by one takes seconds
        return False
    for index in reversed(gone):
        del item[index]
    for value in wanted[len(kept) :]:
        item.append(value)
    return True


def _same(item: Any, value: object) -> bool:
    plain = item.unwrap() if hasattr(item, "unwrap") else item
    # 1 == True and 1 == 1.0 in Python, though not in TOML.
    return type(plain) is type(value) and bool(plain == value)


def _item(value: object) -> Any:
    if isinstance(value, list) and len(value) > _MANY and all(isinstance(one, str) for one in value):
        # `tomlkit.item` takes time by the square of their number: 7 s for 10,000 pictures that are left out.
        rows = "".join(f"    {tomlkit.string(one).as_string()},\n" for one in value)
        return tomlkit.parse(f"long = [\n{rows}]\n")["long"]
    item = tomlkit.item(value)  # type: ignore[arg-type, call-overload, unused-ignore]
    if isinstance(item, Array) and len(item) > 1:
        item.multiline(True)
    return item


def _table(tables: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    value = tables.get(name, {})
    if not isinstance(value, dict):
        raise UserError("bad-project-file", f"{path}: [{name}] must be a table.")
    return value


def _text(table: Mapping[str, Any], key: str, path: Path) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise UserError("bad-project-file", f"{path}: {key} in [project] must be a text in quotes.")
    return value


def _check_name(name: str | None, path: Path) -> None:
    """LoRAs are called by it, so it must not lead anywhere else."""
    if name and not is_plain_name(name):
        raise UserError(
            "bad-project-file",
            f'{path}: the name "{name}" in [project] cannot be part of a file name.',
            "Use letters, digits and spaces.",
        )


def _repeats(folders: Mapping[str, Any], path: Path) -> dict[str, int]:
    answer = {}
    for name, table in folders.items():
        if not isinstance(table, dict):
            raise UserError(
                "bad-project-file", f'{path}: write the repeats of a folder as [folders."{name}"] num_repeats = 10.'
            )
        _known(table, _FOLDER_KEYS, path, f'key in [folders."{name}"]')
        count = table.get("num_repeats")
        if count is None:
            continue
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 10**9:
            raise UserError(
                "bad-project-file", f'{path}: num_repeats of the folder "{name}" must be a whole number, 0 or more.'
            )
        answer[name] = count
    return answer


def _left_out(pictures: Mapping[str, Any], path: Path) -> list[str]:
    value = pictures.get("left_out", [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UserError("bad-project-file", f"{path}: left_out in [pictures] must be a list of paths in quotes.")
    return value


def _known(names: Iterable[str], known: tuple[str, ...], path: Path, what: str) -> None:
    for name in names:
        if name not in known:
            raise UserError(
                "unknown-key",
                f'{path}: "{name}" is not a known {what}.',
                f"The nearest one is {nearest(name, known)}.",
            )
