"""What an edit changes in a project, as plain data: it can wait on the disk for a file that cannot be written now.

A patch says for each place what stands there afterwards. A place is (field of `Project`, key within it or ""); None
means that nothing stands there any more. It can be made on any project, also one that somebody else has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy

from engine.plan.errors import UserError
from engine.plan.job_options import TABLES, job_options, resolve_job
from engine.plan.options import by_name
from engine.plan.project import Project
from engine.plan.settings import resolve

Place = tuple[str, str]
Patch = dict[Place, object]
_PLAIN = ("name", "trigger", "class_name", "preset")
_WORDS = {
    "name": "the name",
    "trigger": "the trigger word",
    "class_name": "the class",
    "preset": "the preset",
    "repeats": "the repeats",
    "left_out": "which pictures are left out",
}


def facts(project: Project) -> Patch:
    """All that an edit may change, as the patch that would make it so."""
    found: Patch = {(name, ""): getattr(project, name) for name in _PLAIN}
    found |= {("settings", name): deepcopy(value) for name, value in project.settings.items()}
    for table in TABLES:
        found |= {(table, name): deepcopy(value) for name, value in getattr(project, table).items()}
    found |= {("repeats", folder): count for folder, count in project.repeats.items()}
    return found | {("left_out", path): True for path in project.left_out}


def difference(before: Mapping[Place, object], after: Mapping[Place, object]) -> Patch:
    """The patch that leads from one state to the other."""
    places = [place for place in {**before, **after} if before.get(place) != after.get(place)]
    return {place: after.get(place) for place in places}


def make(patch: Mapping[Place, object], project: Project) -> None:
    """Change the project as the patch says."""
    pictures = {key: value for (field, key), value in patch.items() if field == "left_out"}  # may be thousands
    if pictures:
        kept = [path for path in project.left_out if path not in pictures]
        project.left_out[:] = [*kept, *(path for path, value in pictures.items() if value)]
    for (field, key), value in patch.items():
        if field in _PLAIN:
            setattr(project, field, value)
        elif field != "left_out":
            entries: dict[str, object] = getattr(project, field)
            if value is None:
                entries.pop(key, None)
            else:
                entries[key] = deepcopy(value)


def words(patch: Iterable[Place]) -> list[str]:
    """What it changes, as people call it."""
    return list(dict.fromkeys(_title(field, key) for field, key in patch))


def _title(field: str, key: str) -> str:
    known = by_name() if field == "settings" else job_options(field) if field in TABLES else {}
    return known[key].title if key in known else _WORDS.get(field, key)


def to_json(patch: Mapping[Place, object]) -> list[list[object]]:
    return [[field, key, list(value) if isinstance(value, tuple) else value] for (field, key), value in patch.items()]


def from_json(said: object) -> Patch:
    """The patch that was written down; without whatever is none, as somebody may have edited that file."""
    entries = said if isinstance(said, list) else []
    return {
        (entry[0], entry[1]): entry[2]
        for entry in entries
        if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[1], str) and _fits(*entry)
    }


def _fits(field: object, key: str, value: object) -> bool:
    if field == "repeats":
        return value is None or (type(value) is int and value > 0)
    if field == "left_out":
        return value is None or value is True
    if field == "settings":
        return value is None or _is_value(lambda: resolve({key: value}))
    if field in TABLES:
        return value is None or _is_value(lambda: resolve_job(field, {key: value}))
    if field in _PLAIN:
        return isinstance(value, str) or (field == "preset" and value is None)
    return False


def _is_value(read: Callable[[], object]) -> bool:
    try:
        read()
    except UserError:
        return False
    return True
