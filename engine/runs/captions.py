"""What a run of the job `caption` sets out to do, and what it has done: two files in its folder.

`captions.json` is written once, before the first caption, with what every picture's caption was then; `captions.jsonl`
grows by a line for each picture that was looked at, and by one for each caption that was written. An engine that takes
the run up again goes on from both.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.plan.files import atomic_write, disk_errors, open_no_link
from engine.plan.wanted_captions import Wanted

if TYPE_CHECKING:
    from engine.runs.folder import RunFolder

State = Literal["said", "written", "unchanged", "kept", "skipped", "due"]
"""said: its caption is known, and is written with all others. unchanged: what was said stood there already. kept: it
has a caption, and is to keep it. skipped: nothing could be written, the reason stands in `text` and `code`. due: it is
to be looked at again, whatever was noted before."""


@dataclass(frozen=True)
class Done:
    """A picture that is done with, and its caption. The newest line of a picture counts.

    code: of what one was skipped for; "" in lines of before it was noted down.
    """

    path: str
    state: State
    text: str = ""
    code: str = ""


def plan_path(run: RunFolder) -> Path:
    return run.path / "captions.json"


def done_path(run: RunFolder) -> Path:
    return run.path / "captions.jsonl"


def write_plan(run: RunFolder, wanted: Sequence[Wanted]) -> None:
    """Note down all that is to be done. Raises UserError as `atomic_write` does."""
    atomic_write(plan_path(run), json.dumps({"v": 1, "pictures": [asdict(one) for one in wanted]}))


def read_plan(run: RunFolder) -> list[Wanted] | None:
    """What was noted down; None where that is nothing, or damaged."""
    try:
        return [Wanted(**one) for one in json.loads(plan_path(run).read_bytes())["pictures"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


class Log:
    """Appends to what is done; used by the engine alone. A line is one write: readers never see half of it."""

    def __init__(self, run: RunFolder) -> None:
        self.path = done_path(run)
        self._fd = open_no_link(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")  # an engine was killed in the middle of a line

    def add(self, done: Done) -> None:
        with disk_errors(self.path):
            os.write(self._fd, json.dumps(asdict(done)).encode() + b"\n")

    def close(self) -> None:
        os.close(self._fd)


class DoneReader:
    """Reads what is new at every look."""

    def __init__(self, run: RunFolder) -> None:
        self.all: list[Done] = []
        self._path, self._offset = done_path(run), 0

    def look(self) -> list[Done]:
        """What has been done since the last look. Never raises."""
        found: list[Done] = []
        with contextlib.suppress(OSError), open(self._path, "rb") as file:
            file.seek(self._offset)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._offset += len(whole)
            found = [done for line in whole.splitlines() if (done := _read(line)) is not None]
        self.all += found
        return found


def read_done(run: RunFolder) -> list[Done]:
    """All that is done. Never raises."""
    return DoneReader(run).look()


def newest_done(run: RunFolder) -> dict[str, Done]:
    """What counts of each picture, by path, in the order of these lines. Never raises."""
    newest: dict[str, Done] = {}
    for done in read_done(run):
        newest.pop(done.path, None)
        newest[done.path] = done
    return {path: done for path, done in newest.items() if done.state != "due"}


def _read(line: bytes) -> Done | None:
    try:
        said: Any = json.loads(line)
        return Done(str(said["path"]), said["state"], str(said["text"]), str(said.get("code") or ""))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
