"""Changing captions so that everything can be undone and redone, across files and after the app was closed or killed.

Each change of one or thousands of captions is one entry of `.lora-tui/undo.jsonl`. The entry, with the bytes of every
file before and after, is on the disk before the first caption is touched; so a change that was cut off is finished the
next time, and one that goes wrong is taken back as a whole. What another program has changed meanwhile is never written
over without being told to: it is a conflict, and both texts are kept.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.plan import caption_entries, caption_log
from engine.plan.caption_edits import Change
from engine.plan.caption_entries import Entries, Entry, FileChange, Pending
from engine.plan.caption_files import (
    ELSEWHERE,
    backups_of,
    caption_path,
    contents,
    digest_of,
    keep,
    line_bytes,
    one_line,
    put,
    relative,
)
from engine.plan.caption_log import Log
from engine.plan.captions import first_line
from engine.plan.errors import UserError, few, inert, plural
from engine.plan.pictures import EXTENSIONS

Progress = Callable[[int, int], None]

MOST_ENTRIES = 10_000
MOST_BYTES = 32 << 20
"""So many changes can be undone, and redone, the newest ones; older ones leave the list. At least one of each."""

MANY = 50
"""From so many files on the disk is waited for once, and not for each."""

_SLACK = 1.25


@dataclass(frozen=True)
class Conflict:
    """A caption that was left as it is. wanted: the bytes that were to be written, None for no file; reason: what is
    with the file; theirs: the digest of what is in it.

    What is in the file is kept among the backups, and so is what was wanted; the list has a line that says so.
    """

    picture: Path
    path: Path
    wanted: bytes | None
    reason: str
    theirs: str = ""

    @property
    def why(self) -> str:
        """For people, a sentence."""
        return f"{inert(self.path.name)} {self.reason}; it stays as it is, and both texts are kept."


@dataclass(frozen=True)
class Outcome:
    """What was done. label: as the caller named it; pictures: whose captions are other ones now."""

    kind: Literal["done", "undone", "redone", "finished"]
    label: str
    pictures: tuple[Path, ...]
    conflicts: tuple[Conflict, ...] = ()

    @property
    def sentence(self) -> str:
        """For people: what was done, and what was left alone."""
        begin = {"done": "Done", "undone": "Undone", "redone": "Done again", "finished": "Finished after a stop"}
        where = f" ({plural(len(self.pictures), 'caption')})" if len(self.pictures) != 1 else ""
        said = f"{begin[self.kind]}: {inert(self.label)}{where}." if self.pictures or not self.conflicts else ""
        if not self.conflicts:
            return said
        if len(self.conflicts) == 1:
            return f"{said} {self.conflicts[0].why}".strip()
        names = few(inert(one.path.name) for one in self.conflicts)
        reasons = " or ".join(dict.fromkeys(one.reason for one in self.conflicts))
        return f"{said} {names} stay as they are, since each {reasons}; all texts are kept.".strip()


class History:
    """The changes of a project's captions. Any thread may call it, one at a time.

    To open it may take seconds where a change of thousands was cut off and is finished: a screen does it in a thread.
    recovered: what was finished when this was opened, because the app before was killed in the midst of it.
    """

    def __init__(self, project_path: Path, extension: str) -> None:
        self._project, self._extension = project_path, extension
        self._entries = Entries()
        self._seen: tuple[int, int] | None = None
        self._read = 0
        self.recovered: Outcome | None = None
        if os.path.exists(caption_log.file_of(project_path)):
            with contextlib.suppress(UserError):  # a project that can only be read has nothing to undo
                self.refresh()

    @property
    def undo_label(self) -> str:
        """What `undo` would take back, "" where there is nothing."""
        return self._entries.done[-1].label if self._entries.done else ""

    @property
    def redo_label(self) -> str:
        """What `redo` would do again, "" where there is nothing."""
        return self._entries.undone[-1].label if self._entries.undone else ""

    @property
    def behind(self) -> bool:
        """Whether the list has lines that were not read yet: of another app, or of a captioning job."""
        return caption_log.stands(self._project) not in (None, (self._seen, self._read))

    def refresh(self) -> None:
        """Read what another app has done meanwhile, and finish what a killed one has begun. Raises UserError."""
        with caption_log.opened(self._project) as log:
            self._catch_up(log)

    def apply(
        self, label: str, changes: Sequence[Change], progress: Progress | None = None, *, join: bool = False
    ) -> Outcome:
        """Write all these captions, as one entry with this name.

        Captions that another program has changed since they were read are left alone, and are the conflicts. With
        `join` the entry becomes one with the last, where that has the same label and the same one picture: for a
        caption that is saved while it is typed. `progress(done, total)` after each; what it raises takes all back.

        Raises UserError `disk-full`, `not-writable`, `not-readable`, `is-a-link`, `caption-too-long`, `captions-busy`;
        then nothing has changed.
        """
        with caption_log.opened(self._project) as log:
            self._catch_up(log)
            files, conflicts = self._prepared(changes)
            return self._do(log, label, files, conflicts, progress, join)

    def force(self, label: str, conflicts: Iterable[Conflict], progress: Progress | None = None) -> Outcome:
        """Write what the conflicts of an outcome wanted over what is there now, which is kept as a backup.

        It is an entry of its own, so it can be undone as well. Raises UserError as `apply`.
        """
        with caption_log.opened(self._project) as log:
            self._catch_up(log)
            files = [
                FileChange(self._name(one.path), self._name(one.picture), contents(one.path), one.wanted)
                for one in conflicts
            ]
            return self._do(log, label, [one for one in files if one.before != one.after], [], progress, False)

    def undo(self, progress: Progress | None = None) -> Outcome | None:
        """Take back the last change, in every file the bytes as they were; None where there is nothing to undo.

        A caption that was changed by another program since stays, and is a conflict. Raises UserError as `apply`.
        """
        return self._turn("undo", progress)

    def redo(self, progress: Progress | None = None) -> Outcome | None:
        """Do again what was undone last; as `undo`."""
        return self._turn("redo", progress)

    # --------------------------------------------------------------------------------------------------- doing things
    def _do(
        self,
        log: Log,
        label: str,
        files: list[FileChange],
        conflicts: list[Conflict],
        progress: Progress | None,
        join: bool,
    ) -> Outcome:
        self._note(log, conflicts)
        if not files:
            return Outcome("done", label, (), tuple(conflicts))
        joined = self._joined(log, label, files) if join else None
        noted, joins = (files, "") if joined is None else joined
        void = bool(joins) and noted[0].before == noted[0].after
        name = secrets.token_hex(8)
        record = caption_entries.do_record(name, label, time.time(), noted, joins, void)
        written, late = self._carry_out(log, record, name, files, progress)
        return Outcome("done", label, tuple(written), (*conflicts, *late))

    def _joined(self, log: Log, label: str, files: list[FileChange]) -> tuple[list[FileChange], str] | None:
        """These changes and the last entry as one, with that entry's id; None where they do not belong together."""
        last = self._entries.done[-1] if self._entries.done else None
        if last is None or last.label != label or last.count != 1 or len(files) != 1 or self._entries.undone:
            return None
        try:
            (before,) = last.files(log.read(last.offset, last.length))
        except ValueError:
            return None
        if before.loose or before.path != files[0].path or before.after != files[0].before:
            return None
        return [FileChange(before.path, files[0].picture, before.before, files[0].after)], last.id

    def _turn(self, kind: Literal["undo", "redo"], progress: Progress | None) -> Outcome | None:
        with caption_log.opened(self._project) as log:
            self._catch_up(log)
            stack = self._entries.done if kind == "undo" else self._entries.undone
            while stack:
                entry, name = stack[-1], secrets.token_hex(8)
                try:
                    files = self._towards(kind, entry, log)
                except ValueError:  # its line is damaged: what it was nobody knows, and the one before can be undone
                    stack.pop()
                    continue
                written, conflicts = self._carry_out(log, {"v": 2, kind: name, "of": entry.id}, name, files, progress)
                return Outcome("undone" if kind == "undo" else "redone", entry.label, tuple(written), tuple(conflicts))
        return None

    def _towards(self, kind: str, entry: Entry, log: Log) -> list[FileChange]:
        """What is to be written for an entry, forwards or backwards."""
        files = [self._exact(one) if one.loose else one for one in entry.files(log.read(entry.offset, entry.length))]
        if kind != "undo":
            return files
        return [FileChange(one.path, one.picture, one.after, one.before) for one in files]

    def _carry_out(
        self, log: Log, record: dict[str, object], name: str, files: list[FileChange], progress: Progress | None
    ) -> tuple[list[Path], list[Conflict]]:
        """Note what begins, write the files, note that it is complete; all of it or nothing."""
        start = log.append(record, lasting=True)
        written: list[FileChange] = []
        conflicts: list[Conflict] = []
        try:
            self._write(files, written, conflicts, progress)
        except BaseException:
            # Captions that cannot be put back either are finished by whoever opens the list next.
            with contextlib.suppress(UserError, OSError):
                back = [FileChange(one.path, one.picture, one.after, one.before) for one in reversed(written)]
                self._write(back, [], [], None)
                log.cut(start)
            raise
        with contextlib.suppress(UserError):  # the captions stand, and who reads the list next sees that they do
            log.append({"v": 2, "end": name, "kept": [self._name(one.path) for one in conflicts]})
        self._note(log, conflicts)
        self._catch_up(log)
        return [self._picture(one) for one in written], conflicts

    def _write(
        self,
        files: list[FileChange],
        written: list[FileChange],
        conflicts: list[Conflict],
        progress: Progress | None,
    ) -> None:
        lasting = len(files) < MANY
        for number, one in enumerate(files, start=1):
            path = self._path(one.path)
            there = contents(path)
            if there != one.after:
                if there == one.before:
                    written.append(one)  # first: where writing stops half way, it is put back too
                    put(self._project, path, there, one.after, self._extension, lasting=lasting)
                else:
                    conflicts.append(self._conflict(self._picture(one), path, there, one.after))
            if progress is not None:
                progress(number, len(files))
        if not lasting:
            os.sync()

    # ---------------------------------------------------------------------------------------------- what is to be done
    def _prepared(self, changes: Sequence[Change]) -> tuple[list[FileChange], list[Conflict]]:
        """The changes with the bytes of their files, and those that are in conflict with another program's."""
        files: dict[str, FileChange] = {}
        conflicts: list[Conflict] = []
        for change in changes:
            path, after = caption_path(change.picture, self._extension), line_bytes(change.after)
            own = os.path.realpath(path)  # pictures may share a caption, by a link or a name
            if own in files and files[own].after == after:
                continue
            try:
                there = contents(path)
            except UserError as error:
                conflicts.append(Conflict(change.picture, path, after, f"cannot be read ({error.code})"))
                continue
            text = _text(there)
            if own in files or _changed(change, there, text):
                conflicts.append(self._conflict(change.picture, path, there, after))
            elif text != one_line(change.after):
                files[own] = FileChange(self._name(path), self._name(change.picture), there, after)
        return list(files.values()), conflicts

    def _conflict(self, picture: Path, path: Path, there: bytes | None, wanted: bytes | None) -> Conflict:
        for content in (there, wanted):
            if content is not None:
                keep(self._project, path, content)
        reason = "is not UTF-8" if _text(there) is None and there is not None else "was changed by another program"
        return Conflict(picture, path, wanted, reason, digest_of(there))

    def _note(self, log: Log, conflicts: Iterable[Conflict]) -> None:
        """A line for each, so that the backups with these digests can be told from others."""
        with contextlib.suppress(UserError):
            for one in conflicts:
                note = {"v": 2, "conflict": self._name(one.path), "theirs": one.theirs, "wanted": digest_of(one.wanted)}
                log.append(note | {"time": round(time.time(), 3)})

    def _exact(self, one: FileChange) -> FileChange:
        """A change that knew only texts, with the bytes of the file now and of the backup that has the text before."""
        path = self._path(one.path)
        there = contents(path)
        now, then = (one.after or b"").decode("utf-8", "replace"), one.before
        after = there if (_text(there) or "") == now else line_bytes(now)
        if then is not None:
            text = then.decode("utf-8", "replace")
            kept = (contents(backup) for backup in reversed(backups_of(self._project, path)))
            then = next((content for content in kept if _text(content) == text), line_bytes(text))
        return FileChange(one.path, one.picture, then, after)

    # ---------------------------------------------------------------------------------------------------- the list
    def _catch_up(self, log: Log) -> None:
        """Read what is new in the list; finish what was cut off; drop what is old."""
        if log.identity != self._seen or log.size < self._read:
            self._entries, self._seen, self._read = Entries(), log.identity, 0
        for offset, line in log.lines(self._read):
            self._entries.read(offset, line)
            self._read = offset + len(line)
        if self._entries.pending is not None:
            self._finish(log, self._entries.pending)
        self._shorten(log)

    def _finish(self, log: Log, pending: Pending) -> None:
        written: list[FileChange] = []
        conflicts: list[Conflict] = []
        with contextlib.suppress(ValueError):
            self._write(self._towards(pending.kind, pending.entry, log), written, conflicts, None)
        start = log.append({"v": 2, "end": pending.id, "kept": [self._name(one.path) for one in conflicts]})
        for offset, line in log.lines(start):
            self._entries.read(offset, line)
            self._read = offset + len(line)
        if written or conflicts:
            pictures = tuple(map(self._picture, written))
            self.recovered = Outcome("finished", pending.entry.label, pictures, tuple(conflicts))

    def _shorten(self, log: Log) -> None:
        entries = self._entries
        if log.size <= MOST_BYTES * _SLACK and len(entries.done) + len(entries.undone) <= MOST_ENTRIES * _SLACK:
            return
        kept = caption_entries.newest(entries, MOST_ENTRIES, MOST_BYTES)
        lines = {one.id: log.read(one.offset, one.length) for one in (*kept.done, *kept.undone)}
        data = caption_entries.shortened(kept, lines)
        with contextlib.suppress(UserError):  # a full disk: the long list is as good
            log.replace(data)
            self._entries, self._seen, offset = Entries(), None, 0
            for line in io.BytesIO(data):
                self._entries.read(offset, line)
                offset += len(line)

    # --------------------------------------------------------------------------------------------------------- names
    def _name(self, path: Path) -> str:
        """A path as it stands in the list: from the project on, or absolute outside of it."""
        place = relative(self._project, path)
        return str(Path(os.path.abspath(path))) if place.parts[0] == ELSEWHERE else place.as_posix()

    def _path(self, name: str) -> Path:
        place = self._project / name
        if name.startswith(f"{ELSEWHERE}/") and not place.parent.is_dir():  # version 1 wrote them so
            return Path("/", *Path(name).parts[1:])
        return place

    def _picture(self, one: FileChange) -> Path:
        if one.picture:
            return self._project / one.picture
        caption = self._path(one.path)
        with contextlib.suppress(OSError):
            for file in sorted(caption.parent.iterdir()):
                if file.stem == caption.stem and file.suffix.lower() in EXTENSIONS:
                    return file
        return caption


def _text(content: bytes | None) -> str | None:
    """What an editor shows of these bytes; None for no file, and for what is not UTF-8."""
    if content is None:
        return None
    try:
        return first_line(content)
    except UnicodeDecodeError:
        return None


def _changed(change: Change, there: bytes | None, text: str | None) -> bool:
    """Whether the file is another one than the change was made for."""
    if change.seen is not None:
        return digest_of(there) != change.seen
    return (there is not None and text is None) or (text or "") != (change.before or "")
