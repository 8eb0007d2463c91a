"""Pictures that are there more than once: files with the same bytes, found without reading more than has to be."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from engine.plan.files import sha256_file

HEAD_BYTES = 1 << 16


def same_files(paths: Iterable[Path]) -> list[list[Path]]:
    """Groups of two or more files with the same content, each in the order of `paths`; what cannot be read is in none.

    Only files of the same size are read, first their beginnings, and wholly where these agree.
    """
    groups: list[list[Path]] = [list(paths)]
    for fingerprint in (_size, _head, sha256_file):
        groups = [same for group in groups for same in _alike(group, fingerprint)]
    return groups


def _alike(paths: Sequence[Path], fingerprint: Callable[[Path], object]) -> list[list[Path]]:
    groups: defaultdict[object, list[Path]] = defaultdict(list)
    for path in paths:
        try:
            groups[fingerprint(path)].append(path)
        except OSError:
            continue
    return [group for group in groups.values() if len(group) > 1]


def _size(path: Path) -> int:
    return path.stat().st_size


def _head(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(HEAD_BYTES)).digest()
