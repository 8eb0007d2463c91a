"""What stands in the list of changes: entries that can be undone, and those that were and can be redone.

A line of version 2 is a change of one or many caption files (`do`), an undo or redo of one (`undo`, `redo`), or says
that the one before it is complete (`end`); a line of version 1 is one caption written by itself. A change without its
end was cut off by a kill. Lines that cannot be read are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.plan.caption_files import packed, unpacked

_FILES = b', "files": ['
"""The files stand last in their line and may be megabytes: what is before them is read alone."""


@dataclass(frozen=True)
class FileChange:
    """One caption file of an entry. path, picture: absolute, or relative to the project. None: no such file.

    loose: a line of version 1 that knew the texts only; the bytes are what is read as these.
    """

    path: str
    picture: str
    before: bytes | None
    after: bytes | None
    loose: bool = False


@dataclass(frozen=True)
class Entry:
    """One thing that was done. offset, length: its line in the list; without: files it left alone after all."""

    id: str
    label: str
    count: int
    offset: int
    length: int
    without: frozenset[str] = frozenset()

    def files(self, line: bytes) -> list[FileChange]:
        """The files it changed, out of its line. Raises ValueError where that is damaged."""
        try:
            record = json.loads(line)
            files = [_loose(record)] if record["v"] == 1 else [_file(one) for one in record["files"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"a damaged line: {error}") from error
        return [one for one in files if one.path not in self.without]


@dataclass(frozen=True)
class Pending:
    """What has begun and has no end. kind: "do", "undo", "redo"."""

    kind: str
    id: str
    entry: Entry
    joins: str = ""
    void: bool = False


@dataclass
class Entries:
    """All entries of the list as read so far; the last of each can be undone, or redone."""

    done: list[Entry] = field(default_factory=list)
    undone: list[Entry] = field(default_factory=list)
    pending: Pending | None = None

    def read(self, offset: int, line: bytes) -> None:
        """The next line."""
        record = _head(line)
        if record is None:
            return
        length = len(line)
        match record:
            case {"v": 1, "path": str(path)}:
                self._settle()
                self._push(Entry(f"@{offset}", f"the caption of {Path(path).name}", 1, offset, length))
            case {"v": 2, "do": str(id), "label": str(label), "count": int(count)}:
                self._settle()
                joins, void = str(record.get("joins", "")), record.get("void") is True
                self.pending = Pending("do", id, Entry(id, label, count, offset, length), joins, void)
            case {"v": 2, "undo": str(id), "of": str(of)} if self.done and self.done[-1].id == of:
                self._settle()
                self.pending = Pending("undo", id, self.done[-1])
            case {"v": 2, "redo": str(id), "of": str(of)} if self.undone and self.undone[-1].id == of:
                self._settle()
                self.pending = Pending("redo", id, self.undone[-1])
            case {"v": 2, "end": str(id)} if self.pending is not None and self.pending.id == id:
                kept = record.get("kept", [])
                self._settle(frozenset(map(str, kept)) if isinstance(kept, list) else frozenset())

    def _settle(self, without: frozenset[str] = frozenset()) -> None:
        """What was pending is done."""
        pending, self.pending = self.pending, None
        if pending is None:
            return
        entry = pending.entry
        if pending.kind == "undo":
            self.undone.append(self.done.pop())
        elif pending.kind == "redo":
            self.done.append(self.undone.pop())
        elif entry.count > len(without):
            if pending.joins and self.done and self.done[-1].id == pending.joins:
                self.done.pop()
            if pending.void:
                self.undone.clear()
            else:
                whole = Entry(entry.id, entry.label, entry.count, entry.offset, entry.length, without)
                self._push(whole)

    def _push(self, entry: Entry) -> None:
        self.done.append(entry)
        self.undone.clear()


def do_record(
    id: str, label: str, time: float, files: Sequence[FileChange], joins: str = "", void: bool = False
) -> dict[str, object]:
    """The line of a change. joins: the entry that becomes one with this; void: together they change nothing."""
    record: dict[str, object] = {"v": 2, "do": id, "label": label, "time": round(time, 3), "count": len(files)}
    if joins:
        record["joins"] = joins
    if void:
        record["void"] = True
    record["files"] = [
        {"path": one.path, "picture": one.picture, "before": packed(one.before), "after": packed(one.after)}
        for one in files
    ]
    return record


def shortened(entries: Entries, lines: Mapping[str, bytes]) -> bytes:
    """The list written anew with only these entries, so that reading it makes the same of them. `lines`: by ids."""
    out: list[bytes] = []
    ids: dict[str, str] = {}
    at = 0
    for entry in (*entries.done, *reversed(entries.undone)):
        line = lines[entry.id].rstrip(b"\n") + b"\n"
        ids[entry.id] = f"@{at}" if entry.id.startswith("@") else entry.id
        # A change of version 1 is complete by itself; ids of those are their places.
        end = b"" if entry.id.startswith("@") else _line({"v": 2, "end": entry.id, "kept": sorted(entry.without)})
        out += [line, end]
        at += len(line) + len(end)
    for entry in entries.undone:
        undo = f"{entry.id}-undone"
        out += [_line({"v": 2, "undo": undo, "of": ids[entry.id]}), _line({"v": 2, "end": undo})]
    return b"".join(out)


def newest(entries: Entries, most: int, most_bytes: int) -> Entries:
    """The entries to keep, at least the last one of each kind: those nearest to now, by number and bytes."""
    return Entries(_last(entries.done, most, most_bytes), _last(entries.undone, most, most_bytes))


def _last(entries: Sequence[Entry], most: int, most_bytes: int) -> list[Entry]:
    kept: list[Entry] = []
    size = 0
    for entry in reversed(entries[-most:]):
        size += entry.length
        if kept and size > most_bytes:
            break
        kept.append(entry)
    return kept[::-1]


def _line(record: Mapping[str, object]) -> bytes:
    return (json.dumps(record) + "\n").encode()


def _head(line: bytes) -> dict[str, object] | None:
    """What a line says, without its files; None for one that is torn or no line of ours."""
    place, whole = line.find(_FILES), line.rstrip()
    if place >= 0:
        if not whole.endswith(b"]}"):
            return None
        whole = whole[:place] + b"}"
    try:
        record = json.loads(whole)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _file(record: Mapping[str, object]) -> FileChange:
    path, picture = record["path"], record["picture"]
    if not isinstance(path, str) or not isinstance(picture, str):
        raise ValueError("no path")
    return FileChange(path, picture, unpacked(record["before"]), unpacked(record["after"]))


def _loose(record: Mapping[str, object]) -> FileChange:
    """A line of version 1. Those of before there were bytes in it have texts, which the bytes are looked up for."""
    path, before, after = record["path"], record["before"], record["after"]
    if not isinstance(path, str) or not isinstance(before, str | None) or not isinstance(after, str):
        raise ValueError("no path or no text")
    if "was" in record and "now" in record:
        return FileChange(path, "", unpacked(record["was"]), unpacked(record["now"]))
    old = None if before is None else before.encode("utf-8", "surrogatepass")
    return FileChange(path, "", old, after.encode("utf-8", "surrogatepass"), loose=True)
