"""Writing files whole or not at all, and the words for a disk that does not let us."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.plan.errors import UserError

_READ_BYTES = 1 << 20
LONGEST_NAME = 60  # characters of a temporary name: each may be four bytes, and 255 are the most that disks take

Stamp = tuple[int, int, int]
"""Of a file: as long as it stays the same, so does what is in it."""


def stamp_of(path: Path) -> Stamp | None:
    """Its size and its times; None where it cannot be asked for."""
    try:
        about = path.stat()
    except OSError:
        return None
    # The time of change, which nobody can set, tells of a file put there with the old one's size and time, and of one
    # that may be read by now.
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns


def atomic_write(path: Path, data: bytes | str, *, lasting: bool = True) -> None:
    """Put `data` (text as UTF-8) at `path` so that a reader finds the old file or the new one, never a part of one.

    The temporary file stands in the same folder, is synced to the disk and renamed. Without `lasting` the disk is not
    waited for: after a power cut the file may be the old one, or empty. Permissions of a file that is
    replaced are kept; a link is followed, so that a linked project.toml stays a link.
    Raises UserError: `disk-full`, `not-writable`.
    """
    target = Path(os.path.realpath(path))
    content = data.encode("utf-8") if isinstance(data, str) else data
    with disk_errors(target):
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:LONGEST_NAME]}.", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                if lasting:
                    os.fsync(file.fileno())
            os.chmod(name, _mode_for(target))
            os.replace(name, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        if lasting:
            sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlive a power cut. Some network disks cannot; the file is whole all the same."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def open_no_link(path: Path, flags: int) -> int:
    """`os.open` for a file of ours that is written in place: a link there is somebody's, and is not written through.

    Raises UserError `is-a-link`, and OSError.
    """
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise UserError(
                "is-a-link", f"{path} is a link to another file, and is not written.", "Remove the link."
            ) from error
        raise


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what an operating system says about writing at `path` into a UserError: `disk-full` or `not-writable`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = "Your share of the disk" if error.errno == errno.EDQUOT else "The disk"
            raise UserError(
                "disk-full",
                f"{what} at {mount_point(path)} is full: {path} could not be written.",
                "Free some space there and try again; nothing that was there before is lost.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            why = "the disk is read-only" if error.errno == errno.EROFS else "you may not write there"
            raise UserError("not-writable", f"{path} could not be written: {why}.", "Choose another folder.") from error
        if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.ENOTDIR):
            raise UserError("not-writable", f"{path} could not be written: {error.strerror}.") from error
        raise


@contextlib.contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn what an operating system says about reading `path` into a UserError `not-readable`."""
    try:
        yield
    except OSError as error:
        why = "you may not read it" if isinstance(error, PermissionError) else error.strerror or str(error)
        raise UserError("not-readable", f"{path} cannot be read: {why}.") from error


def absolute_path(path: Path | str) -> Path:
    """`path` from the root of the file system, `~` written out; links stay, except where `..` has to look behind them.

    Raises UserError `no-such-folder` for the home of a user who is not there, and for NUL bytes.
    """
    try:
        if "\0" in str(path):
            raise ValueError
        whole = Path(path).expanduser().absolute()
    except (RuntimeError, ValueError):
        raise UserError("no-such-folder", f"{path} does not exist.", "Check the spelling of the path.") from None
    return whole.resolve() if ".." in whole.parts else whole


def existing_path(text: str, folder: Path | None = None) -> Path | None:
    """What a path that somebody typed leads to, absolute: looked for in `folder` first, then where the program runs.

    None where there is nothing.
    """
    try:
        path = Path(text).expanduser()
        candidates = [path.absolute()] if folder is None else [folder.absolute() / path, path.absolute()]
        return next((candidate for candidate in candidates if candidate.exists()), None)
    except (RuntimeError, ValueError, OSError):  # ~unknown, NUL in a path, a name that is too long
        return None


def require_utf8(path: Path) -> None:
    """Raises UserError `not-utf8` for a path that job.toml, which is UTF-8, could not hold."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(
            "not-utf8", f"The path {path} is not UTF-8, and files of a project could not name it.", "Rename the folder."
        ) from None


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill; it becomes `target` where the block ends well, and is gone where it does not.

    An empty folder that is at `target` already is filled and not replaced: it may be one that a shell stands in, a
    link or another disk. Raises OSError.
    """
    there = target.is_dir()
    parent = target if there else target.parent
    parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name[:LONGEST_NAME]}.", suffix=".partial", dir=parent))
    try:
        yield partial
        partial.chmod(0o755)
        if there:
            _move_contents(partial, target)
        else:
            partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _move_contents(folder: Path, target: Path) -> None:
    """Move everything in `folder` into `target`, or nothing; removes `folder`."""
    moved: list[Path] = []
    try:
        for path in sorted(folder.iterdir()):
            place = target / path.name
            if os.path.lexists(place):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
            path.rename(place)
            moved.append(place)
        folder.rmdir()
    except BaseException:
        for place in moved:
            place.rename(folder / place.name)
        raise


def mount_point(path: Path) -> Path:
    """The folder at which the disk that holds `path` is mounted."""
    place = Path(os.path.realpath(path))
    while not os.path.ismount(place) and place != place.parent:
        place = place.parent
    return place


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _mode_for(target: Path) -> int:
    """The permissions a new file at `target` gets: those of the file it replaces, else those of any new file."""
    try:
        return target.stat().st_mode & 0o7777
    except FileNotFoundError:
        # mkstemp makes private files; umask can only be read by setting it, which another thread could notice.
        return 0o644
