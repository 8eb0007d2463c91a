"""One file over a line that breaks: what has come stays in NAME.part, and a later try goes on from there.

Beside it, NAME.part.json says of which version of the file it is a part; another version is begun anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import requests

from engine.download.connection import BrokenOff, Connection, shown
from engine.plan.byte_counts import size as in_words
from engine.plan.errors import UserError
from engine.plan.files import atomic_write, disk_errors, mount_point
from engine.plan.safetensors_header import MAX_HEADER_BYTES

CHUNK_BYTES = 1 << 17  # what is lost at most when a line breaks
WAITS = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds before each new try; after as many tries without a single byte it is given up."""
SIZE_UNKNOWN = -1
SPARE_BYTES = 100_000_000  # left free: a disk that is full to the last byte stops everything else, too
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

Report = Callable[[int, int | None], None]
"""Told the bytes that are here, and of how many; raises to stop the work."""


@dataclass(frozen=True)
class Version:
    """Which version of a file a part belongs to: what the server called it. bytes: of the whole file, 0 if unsaid."""

    url: str
    etag: str = ""
    modified: str = ""
    bytes: int = 0

    @property
    def validator(self) -> str:
        """What If-Range takes: a strong tag or a date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def same(self, other: Version) -> bool:
        """Whether two answers speak of the same content, as far as both say."""
        pairs = ((self.etag, other.etag), (self.modified, other.modified), (self.bytes, other.bytes))
        return all(one == another for one, another in pairs if one and another)


def version_of(part: Path) -> Version | None:
    """What was noted down beside a part; None where that is nothing, or damaged."""
    try:
        noted = json.loads(beside(part).read_bytes())
        return Version(str(noted["url"]), str(noted["etag"]), str(noted["modified"]), int(noted["bytes"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def beside(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def begun(folder: Path, url: str) -> Path | None:
    """The part of this URL's file that an earlier download has left in a folder."""
    with contextlib.suppress(OSError):
        for note in sorted(folder.glob("*.part.json")):
            part = note.with_name(note.name.removesuffix(".json"))
            version = version_of(part)
            if version is not None and version.url == url and part.is_file():
                return part
    return None


class Transfer:
    """Brings the file behind a connection into a .part file. Ask for one file once.

    place: where to put it, told the answer's Content-Disposition. check: looks at the file as soon as its header
    is here (told the part and how many bytes it will have, or SIZE_UNKNOWN), and once more when all of it is (None);
    raises UserError for a wrong file. wait: sleeps, and raises
    to stop the work.
    """

    def __init__(
        self,
        connection: Connection,
        place: Callable[[str], Path],
        check: Callable[[Path, int | None], None],
        report: Report,
        wait: Callable[[float], None],
        waits: Sequence[float] = WAITS,
    ) -> None:
        self._connection, self._place, self._check = connection, place, check
        self._report, self._wait, self._waits = report, wait, waits
        self._checked = False
        self._here = 0
        self._part: Path | None = None

    def run(self, part: Path | None) -> tuple[Path, Version]:
        """Get all of it; `part`: what an earlier try has left. Returns the whole .part file and what it is.

        A file that is refused is not kept; one that broke off or was stopped is. Raises UserError: those of
        `Connection.open` and of `check`, `broken-off`, `unreachable`, `no-room`, `disk-full`, `busy`.
        """
        failures = 0
        while True:
            before = self._here
            try:
                part, version, whole = self._try(part)
            except BrokenOff:
                part = part or self._part
                failures = 1 if self._here > before else failures + 1
                tries = len(self._waits) if self._connection.reached else min(1, len(self._waits))
                if failures > tries:
                    raise self._given_up() from None
                self._wait(self._waits[failures - 1])
                continue
            if whole:
                return part, version
            failures = 0

    def _try(self, part: Path | None) -> tuple[Path, Version, bool]:
        """One request. (the part, its version, whether all of it is here now; else another try is due)."""
        old = version_of(part) if part is not None else None
        have = part.stat().st_size if part is not None and old is not None and part.is_file() else 0
        headers = {}
        if part is not None and old is not None and have:
            if old.bytes and have == old.bytes:  # it was stopped between the last byte and the end
                self._refuse_or_pass(part)
                return part, old, True
            if old.validator:
                headers = {"Range": f"bytes={have}-", "If-Range": old.validator}
        with self._connection.open(headers) as response:
            begin, version = _answer(response, self._connection.url)
            if part is not None and headers and response.status_code != 200:
                if response.status_code == 416 or begin != have or old is None or not version.same(old):
                    _forget(part)  # another version, or another piece than was asked for: never glued together
                    return part, version, False
            elif response.status_code == 416 or begin:
                raise UserError("refused-by-server", f"{self._connection.host} sends another piece than was asked for.")
            if part is None:
                part = self._place(response.headers.get("Content-Disposition", ""))
            self._part = part
            require_room(part.parent, version.bytes - begin, shown(self._connection.url), version.bytes)
            with _open_alone(part, keep=bool(begin)) as file:
                if not begin:
                    self._here, self._checked = 0, False
                    atomic_write(beside(part), json.dumps({"v": 1, **asdict(version)}))
                self._read(response, file, part, begin, version.bytes or None)
            return part, version, True

    def _refuse_or_pass(self, part: Path) -> None:
        """The last look at what is here; what is refused is not kept."""
        try:
            self._check(part, None)
        except UserError:
            _forget(part)
            raise

    def _read(self, response: requests.Response, file: BinaryIO, part: Path, begin: int, total: int | None) -> None:
        self._here = begin
        try:
            self._report(self._here, total)
            for chunk in response.iter_content(CHUNK_BYTES):
                with disk_errors(part):
                    file.write(chunk)
                    file.flush()  # what has come survives a kill
                self._here += len(chunk)
                if not self._checked and enough_for_the_header(part):
                    self._check(part, SIZE_UNKNOWN if total is None else total)
                    self._checked = True
                self._report(self._here, total)
            if total is not None and self._here < total:
                raise BrokenOff
            self._check(part, None)
            with disk_errors(part):
                os.fsync(file.fileno())
        except UserError as error:
            if error.code not in ("disk-full", "not-writable"):
                _forget(part)  # it is not what was wanted: nothing to go on from
            raise

    def _given_up(self) -> UserError:
        host = self._connection.host
        if not self._connection.reached:
            return UserError("unreachable", f"{host} cannot be reached.", "Check the network, and try again.")
        here = f" after {in_words(self._here)}" if self._here else ""
        again = "What has come is kept: the same command goes on from there." if self._here else "Try again later."
        return UserError("broken-off", f"The connection to {host} broke off{here}, several times.", again)


def enough_for_the_header(part: Path) -> bool:
    """Whether the beginning tells what the file is: a safetensors file's whole header, or bytes that are none."""
    with open(part, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        here = file.seek(0, 2)
    return here >= 64 and (length > MAX_HEADER_BYTES or here >= 8 + length)


def require_room(folder: Path, needed: int, name: str, whole: int) -> None:
    """Raises UserError "no-room" where a disk has not the bytes that are still to come."""
    free = shutil.disk_usage(folder).free
    if needed > 0 and needed + SPARE_BYTES > free:
        raise UserError(
            "no-room",
            f"{name} has {in_words(whole)}, and the disk at {mount_point(folder)} has {in_words(free)} free.",
            "Free some space, or choose another disk with --to.",
        )


def _answer(response: requests.Response, url: str) -> tuple[int, Version]:
    """(where in the file the body begins, which version of it this is)."""
    headers = response.headers
    begin, total = 0, 0
    if response.status_code == 206:
        found = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if found is None:
            raise UserError("refused-by-server", "The server sends a piece of the file without saying which.")
        begin, total = int(found[1]), int(found[3])
    elif (
        response.status_code == 200
        and not headers.get("Content-Encoding")
        and headers.get("Content-Length", "").isdecimal()
    ):
        total = int(headers["Content-Length"])
    return begin, Version(url, headers.get("ETag", ""), headers.get("Last-Modified", ""), total)


@contextlib.contextmanager
def _open_alone(part: Path, keep: bool) -> Iterator[BinaryIO]:
    """The part to write at its end. Raises UserError "busy" where another download is at work on it."""
    with disk_errors(part), open(part, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("busy", f"{part} is being downloaded already.", "Wait for it, or stop that one.") from None
        if not keep:
            file.truncate(0)
        yield file


def _forget(part: Path) -> None:
    for path in (part, beside(part)):
        path.unlink(missing_ok=True)
