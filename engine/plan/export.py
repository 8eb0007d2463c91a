"""Taking a finished LoRA to the programs that draw with it: finding their folders, copying it there, naming it."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.plan.errors import UserError
from engine.plan.files import absolute_path, disk_errors, reading_errors, sync_folder
from engine.plan.folders import require_folder
from engine.plan.option_values import is_plain_name, plain_name
from engine.plan.safetensors_header import read_header

Program = Literal["AUTOMATIC1111", "Forge", "ComfyUI"]

SUFFIX = ".safetensors"
USUAL_ROOTS = (Path("/workspace"), Path("/opt"), Path("/data"), Path("/content"))
"""Where rented machines and containers keep such programs, besides the home folder."""

MAX_READS, MAX_ENTRIES, MAX_LOOKED_AT = 200, 400, 5000
"""Bounds of a search: folders that are listed, entries of one that are taken, folders that are looked at in all."""

# So that they are found also in a folder with more entries than are taken.
_USUAL_NAMES = ("ComfyUI", "comfyui", "stable-diffusion-webui", "stable-diffusion-webui-forge", "forge")
_PARENTS = 4  # how far up from the current folder
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Destination:
    """A folder in which a program looks for LoRAs."""

    program: Program
    folder: Path


def export(lora: Path, folder: Path, name: str = "") -> Path:
    """Copy the file `lora` into `folder` as `name` (by default its own), and return where it is then.

    It is written beside and renamed, and never over another file: where a different one has the name, this one becomes
    NAME-2 and so on; one with the same bytes is left as it is. Raises UserError: `no-such-file`, `not-a-file`,
    `not-readable` and as `read_header`; `no-such-folder`, `not-a-folder`, `bad-name`, `disk-full`, `not-writable`.
    """
    wanted = file_stem(lora, name)
    source, place = absolute_path(lora), absolute_path(folder)
    tensor_names(source)
    where = place / f"{wanted}{SUFFIX}"
    try:
        with disk_errors(where):
            require_folder(place, "the place for a LoRA")
            return _copy_to_free_name(source, where)
    except OSError as error:
        raise UserError("not-writable", f"{where} could not be written: {error.strerror or error}.") from error


def file_stem(lora: Path, name: str = "") -> str:
    """The name, without .safetensors, that `lora` gets: `name`, or else its own, made plain where it is not.

    A1111 reads `a=b` in a prompt as an option with a value, so there is no = in it. Raises UserError `bad-name`.
    """
    if not name:
        return plain_name(_without_suffix(lora.name)).replace("=", "_")
    wanted = _without_suffix(name)
    if not is_plain_name(wanted) or "=" in wanted:
        raise UserError("bad-name", f'A LoRA cannot be called "{name}".', "Use letters, digits and spaces.")
    return wanted


def tensor_names(lora: Path) -> list[str]:
    """What is in the safetensors file `lora`, of which all bytes are there.

    Raises UserError: `no-such-file`, `not-a-file`, `not-readable` and as `read_header`.
    """
    with reading_errors(lora):
        try:
            os.stat(lora)
        except (FileNotFoundError, NotADirectoryError):
            raise UserError("no-such-file", f"{lora} does not exist.", "Check the spelling of the path.") from None
    if not os.path.isfile(lora):  # opening a pipe would wait for ever
        raise UserError("not-a-file", f"{lora} is not a file.", "Name a .safetensors file.")
    return list(read_header(lora)[0])


def prompt_text(lora_name: str, weight: float = 1) -> str:
    """What A1111 and Forge want in a prompt to use the LoRA whose file is `lora_name`.safetensors: `<lora:name:1>`.

    ComfyUI does not read this: there the file is chosen in a node, Load LoRA.
    """
    return f"<lora:{lora_name}:{weight:g}>"


def usual_folders(home: Path | None = None, roots: Sequence[Path] | None = None) -> list[Destination]:
    """The LoRA folders of A1111, Forge and ComfyUI in the usual places; the nearest first, each once.

    Looks into `home` and `roots` two levels deep; without `roots` into those of rented machines, and one level deep
    into the folders that the current one lies in. A folder behind a link is looked at, but not what lies below it.
    Takes a bounded number of looks and never raises.
    """
    found: dict[tuple[str, str], Destination] = {}
    for destination in _Search().destinations(_tops(home, roots)):
        found.setdefault((destination.program, os.path.realpath(destination.folder)), destination)
    return list(found.values())


def _without_suffix(name: str) -> str:
    return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name


def _copy_to_free_name(source: Path, where: Path) -> Path:
    """`source` at `where`, or at its name with -2, -3, … if something else has it. Raises OSError."""
    beside: Path | None = None
    target, number = where, 1
    try:
        while True:
            if not os.path.lexists(target):
                beside = beside or _copy_into(where.parent, source)
                if _appear(beside, target):
                    return target
            if _is_same(source, target):
                return target
            number += 1
            target = where.with_name(f"{_without_suffix(where.name)}-{number}{SUFFIX}")
    finally:
        if beside is not None:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            sync_folder(where.parent)


def _copy_into(folder: Path, source: Path) -> Path:
    """A copy of `source` under a hidden name in `folder`, whole and on the disk. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=".lora-tui-", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            for block in _blocks(source):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # some disks know no permissions
            os.chmod(name, 0o644)  # mkstemp makes private files, and the program may run as somebody else
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    return Path(name)


def _appear(beside: Path, target: Path) -> bool:
    """`beside` at `target`; False where something has come to lie there in the meantime. Raises OSError."""
    try:
        os.link(beside, target)  # replaces nothing, as a rename would
    except FileExistsError:
        return False
    except OSError:  # a disk without hard links: the name is taken first, then the empty file replaced
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            return False
        try:
            os.replace(beside, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(target)
            raise
    return True


def _is_same(source: Path, target: Path) -> bool:
    """Whether `target` is `source` itself or a file with the same bytes; False also for one that cannot be read."""
    try:
        if not os.path.isfile(target) or os.path.getsize(source) != os.path.getsize(target):
            return False
        if os.path.samefile(source, target):
            return True
        return all(one == other for one, other in itertools.zip_longest(_blocks(source), _blocks(target)))
    except (OSError, UserError):
        return False


def _blocks(path: Path) -> Iterator[bytes]:
    """A file's bytes, a megabyte at a time. Raises UserError `not-readable`."""
    with reading_errors(path), open(path, "rb") as file:
        while block := file.read(_READ_BYTES):
            yield block


# ---------------------------------------------------------------------------------------------------- the folders
def _destinations(folder: Path) -> Iterator[Destination]:
    """The LoRA folders of the program that is installed in `folder`, if one is."""
    models = folder / "models"
    if not os.path.isdir(models):
        return
    # folder_paths.py is in every copy of ComfyUI's code; the desktop version keeps its models apart from the code, in a
    # folder with custom_nodes.
    if os.path.isdir(models / "loras") and _has(folder, "folder_paths.py", "custom_nodes"):
        yield Destination("ComfyUI", models / "loras")
    if os.path.isdir(models / "Lora") and _has(folder, "webui.py", "webui.sh", "webui-user.sh", "webui-user.bat"):
        # Forge is a fork of A1111 with the same layout. modules_forge/ is its own, in all its versions and descendants,
        # and was never in A1111.
        yield Destination("Forge" if _has(folder, "modules_forge") else "AUTOMATIC1111", models / "Lora")


def _has(folder: Path, *names: str) -> bool:
    return any(os.path.exists(folder / name) for name in names)


def _tops(home: Path | None, roots: Sequence[Path] | None) -> list[tuple[Path, int]]:
    """(where to look, how many levels down). The root of the file system is never searched deep: /proc is there."""
    tops: list[tuple[Path, int]] = []
    with contextlib.suppress(RuntimeError, OSError):  # nobody's home; a current folder that was removed
        home = home or Path.home()
    if roots is None:
        with contextlib.suppress(OSError):
            tops += [(folder, 1) for folder in _parents_of_here(home)]
        roots = USUAL_ROOTS
    if home is not None:
        tops += [(home / "ai", 2), (home, 2)]
    tops += [(root, 2) for root in roots]
    return [(top, 1 if top == top.parent else levels) for top, levels in tops]


def _parents_of_here(home: Path | None) -> Iterator[Path]:
    """The current folder and some that it lies in, not above the home folder and without the root."""
    here = Path.cwd()
    for folder in (here, *here.parents[:_PARENTS]):
        if folder == folder.parent:
            return
        yield folder
        if folder == home:
            return


class _Search:
    """Goes through folders, those of one level before those below, until it is done or has done enough."""

    def __init__(self) -> None:
        self._reads = 0
        self._looks = 0
        # Device and inode, and how many levels below it are searched: a loop of links leads to what was seen.
        self._seen: dict[tuple[int, int], int] = {}

    def destinations(self, tops: Sequence[tuple[Path, int]]) -> Iterator[Destination]:
        """Those in `tops`, pairs of a folder and how many levels below it are to be searched."""
        level, first = list(tops), True
        while level:
            below: list[tuple[Path, int]] = []
            for folder, levels in level:
                if self._looks >= MAX_LOOKED_AT:
                    return
                self._looks += 1
                if not self._is_new(folder, levels):
                    continue
                found = list(_destinations(folder))
                yield from found
                if levels and (first or not found):  # what lies in a program is its own
                    below += self._children(folder, levels - 1)
            level, first = below, False

    def _is_new(self, folder: Path, levels: int) -> bool:
        try:
            about = os.stat(folder)
        except OSError:
            return False
        key = (about.st_dev, about.st_ino)
        if not stat.S_ISDIR(about.st_mode) or self._seen.get(key, -1) >= levels:
            return False
        self._seen[key] = levels
        return True

    def _children(self, folder: Path, levels: int) -> list[tuple[Path, int]]:
        """Folders in `folder` with the levels below them, those with a usual name first; hidden ones are left out."""
        if self._reads >= MAX_READS:
            return []
        self._reads += 1
        names = []
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in itertools.islice(entries, MAX_ENTRIES):
                with contextlib.suppress(OSError):
                    if not entry.name.startswith(".") and entry.is_dir():
                        names.append(entry.name)
        children = [folder / name for name in (*_USUAL_NAMES, *sorted(names))]
        return [(child, 0 if os.path.islink(child) else levels) for child in children]
