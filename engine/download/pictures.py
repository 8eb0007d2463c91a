"""The job that fetches pictures of a public data set on Hugging Face: pictures and their captions, and nothing else.

Files lie beside each other there, in folders or packed in a zip. Each is checked against the checksum that the hub
gives, looked at as a picture, and only then put among the others; what is there already is not fetched again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from engine.context import JobContext, Stopped
from engine.download.connection import Connection
from engine.download.hub import HubFile, in_words, token_for_hub
from engine.download.job import SCHEMES, wait
from engine.download.transfer import WAITS, Transfer, beside, require_room
from engine.plan.errors import UserError, few, plural
from engine.plan.files import atomic_write, disk_errors
from engine.plan.picture_sources import HubPictures, hub_pictures, plain_file_name
from engine.plan.pictures import EXTENSIONS, measure

ENDPOINT: str | None = None  # the hub's own; tests have one
INCOMING = ".incoming"
"""The folder beside the pictures for what is still coming; hidden, so that nobody takes it for pictures."""
MOST_PICTURE_BYTES, MOST_CAPTION_BYTES = 200_000_000, 100_000
_PACKED = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".parquet", ".arrow")


@dataclass(frozen=True)
class Remote(HubFile):
    """git: the name that git gives to the content of a small file."""

    git: str = ""
    caption: Remote | None = None


@dataclass
class Fetched:
    """How many pictures came, were there already, and could not be used."""

    added: int = 0
    there: int = 0
    broken: int = 0

    @property
    def usable(self) -> int:
        return self.added + self.there


def run(context: JobContext) -> dict[str, Any]:
    """Arguments of the job: `what` (a data set, as `picture_sources.hub_pictures` reads it), `to` (a folder), `count`
    (how many pictures at most). The result says how many came."""
    arguments = context.job.arguments
    source, folder = hub_pictures(str(arguments["what"])), Path(str(arguments["to"]))
    most = int(arguments["count"])
    context.announce("network")
    fetched, complete = Fetched(), True
    try:
        fetch(context, source, folder, most, fetched)
    except Stopped:
        complete = False
    finally:
        with contextlib.suppress(OSError):
            (folder / INCOMING).rmdir()
    said = f"{plural(fetched.added, 'picture')} fetched."
    said += f" {fetched.there:,} were here already." if fetched.there else ""
    said += f" {fetched.broken:,} could not be used." if fetched.broken else ""
    said += "" if complete else " Stopped; the same goes on from there."
    return {**vars(fetched), "folder": str(folder), "message": said, "complete": complete}


def fetch(context: JobContext, source: HubPictures, folder: Path, most: int, fetched: Fetched) -> None:
    """Bring at most `most` pictures into `folder`, counting them in `fetched`.

    Raises Stopped and UserError: `no-pictures`, those of the hub, of `Transfer.run` and of the disk.
    """
    with context.phase("asking for the list of files"):
        commit, files = _listing(source)
    chosen, packed = _chosen(source, files)
    incoming = folder / INCOMING
    with disk_errors(folder):
        incoming.mkdir(parents=True, exist_ok=True)

    def get(file: Remote, report: Callable[[int, int | None], None]) -> Path:
        return _get(source.name, commit, file, incoming, report, lambda s: wait(context, s))

    if packed is not None:
        require_room(folder, 2 * packed.bytes, source.name, packed.bytes)
        with context.phase("downloading", packed.bytes, "bytes") as progress:
            archive = get(packed, progress)
        with context.phase("unpacking pictures", unit="pictures") as progress:
            _unpack(archive, incoming, folder, most, fetched, progress)
        if fetched.usable + fetched.broken == 0:
            raise _nothing(source, [])
        archive.unlink(missing_ok=True)
        return
    if not chosen:
        raise _nothing(source, files)
    chosen = chosen[:most]
    require_room(folder, sum(file.bytes for file in chosen), source.name, sum(file.bytes for file in chosen))
    known = _Known(folder)
    with context.phase("fetching pictures", len(chosen), "pictures") as progress:
        for number, file in enumerate(chosen, 1):
            if known.has(file):
                fetched.there += 1
            else:
                words = None
                if file.caption is not None and file.caption.bytes <= MOST_CAPTION_BYTES:
                    words = get(file.caption, lambda _here, _all: context.raise_if_stopped())
                picture = get(file, lambda _here, _all: context.raise_if_stopped())
                _take(picture, file.name, folder, fetched, words)
            progress(number)


def _listing(source: HubPictures) -> tuple[str, list[Remote]]:
    """(the commit, all files of the data set)."""
    from huggingface_hub import HfApi

    for library in ("httpx", "httpx2", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)  # they would log every URL
    with in_words(source.name, "data set"):
        info = HfApi(endpoint=ENDPOINT).dataset_info(source.name, files_metadata=True)
    files = [
        Remote(
            entry.rfilename,
            int(entry.size or 0),
            str(entry.lfs.sha256) if entry.lfs else "",
            "" if entry.lfs else str(entry.blob_id or ""),
        )
        for entry in info.siblings or ()
    ]
    return str(info.sha), files


def _chosen(source: HubPictures, files: Sequence[Remote]) -> tuple[list[Remote], Remote | None]:
    """(the pictures in the folder that is meant, in order and with their captions; or the zip that is meant)."""
    inside = source.inside
    exact = next((file for file in files if file.name == inside), None)
    if exact is not None and inside.lower().endswith(".zip"):
        return [], exact
    mine = [file for file in files if not inside or file.name == inside or file.name.startswith(f"{inside}/")]
    captions = {str(PurePosixPath(file.name).with_suffix("")): file for file in mine if file.name.endswith(".txt")}
    pictures = []
    for file in sorted(mine, key=lambda file: file.name):
        path = PurePosixPath(file.name)
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and file.bytes <= MOST_PICTURE_BYTES:
            caption = captions.get(str(path.with_suffix("")))
            pictures.append(Remote(file.name, file.bytes, file.sha256, file.git, caption))
    return pictures, None


def _nothing(source: HubPictures, files: Sequence[Remote]) -> UserError:
    packed = [file.name for file in files if file.name.lower().endswith(_PACKED)]
    if source.inside and not any(file.name.startswith(source.inside) for file in files) and files:
        folders = sorted({file.name.rpartition("/")[0] for file in files} - {""})
        has = f"It has the folders {few(folders, 5)}." if folders else "It has no folders."
        return UserError("no-pictures", f"There is no {source.inside} in {source.name}.", has)
    if zips := [name for name in packed if name.lower().endswith(".zip")]:
        hint = f"Name the file to unpack it: {source.name}/{zips[0]}"
        return UserError("no-pictures", f"The pictures of {source} are packed: {few(zips, 5)}.", hint)
    if packed:
        hint = "Unpack it yourself and take the pictures over from a folder, or choose a data set of plain files."
        return UserError("no-pictures", f"The pictures of {source} are packed as {few(packed)}.", hint)
    return UserError("no-pictures", f"There is no picture in {source}.", "Choose another data set, or a folder in it.")


def _get(
    name: str,
    commit: str,
    file: Remote,
    incoming: Path,
    report: Callable[[int, int | None], None],
    pause: Callable[[float], None],
) -> Path:
    """One file, whole and with the right checksum, in the folder for what is coming. Goes on with a part of it."""
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(name, file.name, repo_type="dataset", revision=commit, endpoint=ENDPOINT)
    key = hashlib.sha256(f"{name} {file.name} {file.sha256 or file.git}".encode()).hexdigest()[:24]
    part = incoming / f"{key}.part"
    connection = Connection(url, token_for_hub(url), allow_http="http" in SCHEMES)
    Transfer(connection, lambda _: part, lambda _part, _size: None, report, pause, WAITS).run(
        part if part.is_file() else None
    )
    beside(part).unlink(missing_ok=True)
    if not _is(part, file):
        part.unlink()
        raise UserError("damaged", f"{file.name} arrived damaged: its checksum is wrong.", "Fetch it again.")
    return part


def _is(path: Path, file: Remote) -> bool:
    """Whether a file here has the content of the one there, as far as the hub says what that is."""
    with disk_errors(path):
        if path.stat().st_size != file.bytes:
            return False
        if file.sha256:
            digest = hashlib.sha256()
        elif file.git:
            digest = hashlib.sha1(f"blob {file.bytes}\0".encode(), usedforsecurity=False)
        else:
            return True
        with open(path, "rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() == (file.sha256 or file.git)


class _Known:
    """The pictures that lie in a folder, by their size; their content is only read where that agrees."""

    def __init__(self, folder: Path) -> None:
        self._by_size: dict[int, list[Path]] = {}
        for path in folder.iterdir():
            if path.is_file() and not path.name.startswith("."):
                self._by_size.setdefault(path.stat().st_size, []).append(path)

    def has(self, file: Remote) -> bool:
        if not (file.sha256 or file.git):
            return False
        return any(_is(path, file) for path in self._by_size.get(file.bytes, ()))


def _take(arrived: Path, name: str, folder: Path, fetched: Fetched, words: Path | None = None) -> None:
    """Put a picture that has come among the others, its caption first; one that is broken is thrown away."""
    looked_at = arrived.with_name(f"{arrived.stem}{PurePosixPath(name).suffix.lower()}")
    with disk_errors(arrived):
        arrived.rename(looked_at)
        try:
            if measure(looked_at).problem:
                fetched.broken += 1
                return
            place = _free_place(folder, plain_file_name(name))
            if words is not None:
                with contextlib.suppress(UnicodeDecodeError):
                    atomic_write(place.with_suffix(".txt"), words.read_text(encoding="utf-8-sig"))
            looked_at.rename(place)
            fetched.added += 1
        finally:
            looked_at.unlink(missing_ok=True)
            if words is not None:
                words.unlink(missing_ok=True)


def _free_place(folder: Path, name: str) -> Path:
    """A name in the folder that neither a picture nor a caption has."""
    stem, suffix = os.path.splitext(name)
    for number in count(1):
        path = folder / (name if number == 1 else f"{stem}-{number}{suffix}")
        if not os.path.lexists(path) and not os.path.lexists(path.with_suffix(".txt")):
            return path
    raise AssertionError("there is always another number")


def _unpack(
    archive: Path,
    incoming: Path,
    folder: Path,
    most: int,
    fetched: Fetched,
    progress: Callable[[int, int | None], None],
) -> None:
    """The pictures in a zip. Its paths lead nowhere: only the names of the files are taken, and none is larger than a
    picture may be."""
    known = _Known(folder)
    try:
        with zipfile.ZipFile(archive) as packed:
            members = list(_members(packed))[:most]
            for number, member in enumerate(members, 1):
                part = incoming / f"{archive.stem}-{number}.part"
                with disk_errors(part), packed.open(member) as reader, open(part, "wb") as writer:
                    shutil.copyfileobj(reader, writer, 1 << 20)
                digest = hashlib.sha256(part.read_bytes()).hexdigest()
                if known.has(Remote(member.filename, part.stat().st_size, digest)):
                    part.unlink()
                    fetched.there += 1
                else:
                    _take(part, member.filename, folder, fetched)
                progress(number, len(members))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise UserError("damaged", f"{archive.name} is no zip that can be read.", "Choose another one.") from None


def _members(packed: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    for member in sorted(packed.infolist(), key=lambda member: member.filename):
        path = PurePosixPath(member.filename.replace("\\", "/"))
        hidden = path.name.startswith(".") or "__MACOSX" in path.parts
        # What a member claims to have is what zipfile reads of it at most.
        fits = member.file_size <= MOST_PICTURE_BYTES and not member.is_dir() and not member.flag_bits & 1
        if fits and not hidden and path.suffix.lower() in EXTENSIONS:
            yield member
