"""The header of a safetensors file: names, types and shapes of its tensors, read without loading one of them.

The format: 8 bytes with the header's length (little-endian), the header as JSON, then the tensors' bytes.
"""

from __future__ import annotations

import json
import math
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.plan.errors import UserError
from engine.plan.files import reading_errors

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit. SDXL's header has some 300 kB."""

_MOST_SIDES = 64
"""Of a tensor's shape, as in torch. A list of millions would take hours to multiply."""

_ITEM_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """dtype as the format spells it (F16, BF16, F32 …)."""

    dtype: str
    shape: tuple[int, ...]


def read_header(
    path: Path, *, expected_size: int | None = None, name: str = ""
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors by name, metadata) of a safetensors file whose bytes are all there.

    expected_size: in bytes, of a file that is being downloaded and has its header already; negative where that is not
    known. name: what to call it.
    Raises UserError: `is-a-pickle`, `not-safetensors`, `truncated`, `damaged`, `not-readable`.
    """
    named = name or path
    with reading_errors(path):
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            raise UserError("not-readable", f"{named} is not a file.", "Choose a .safetensors file.")
    with reading_errors(path), open(path, "rb") as file:
        size = file.seek(0, 2) if expected_size is None else expected_size
        file.seek(0)
        first = file.read(8)
        length = int.from_bytes(first, "little")
        _refuse_other_formats(named, first + file.read(56), size)
        if length > MAX_HEADER_BYTES:
            raise _not_safetensors(named)
        if 8 + length > size >= 0:
            raise _truncated(named, 8 + length, size)
        file.seek(8)
        data = file.read(length)
    try:
        table = json.loads(data)
        if not isinstance(table, dict):
            raise ValueError("not an object")
        metadata = {str(key): str(value) for key, value in dict(table.pop("__metadata__", None) or {}).items()}
        tensors, end = _tensors(table)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(
            "damaged", f"{named} is damaged: its list of contents cannot be read.", "Download it again."
        ) from None
    if size < 0:
        return tensors, metadata
    if 8 + length + end > size:
        raise _truncated(named, 8 + length + end, size)
    if 8 + length + end < size:
        raise UserError(
            "damaged",
            f"{named} is damaged: it has {size:,} bytes, {size - 8 - length - end:,} more than it says it has.",
            "Download it again.",
        )
    return tensors, metadata


def _tensors(table: dict[str, Any]) -> tuple[dict[str, Tensor], int]:
    """The tensors, and where the bytes of the last one end. Raises ValueError, KeyError or TypeError for nonsense.

    As the format has it, the tensors' bytes follow one another without gaps, in whatever order.
    """
    tensors: dict[str, Tensor] = {}
    places: list[tuple[int, int]] = []
    for name, entry in table.items():
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        start, stop = entry["data_offsets"]
        if not isinstance(dtype, str) or len(shape) > _MOST_SIDES or not all(map(_is_amount, (*shape, start, stop))):
            raise ValueError(name)
        bits = _ITEM_BITS.get(dtype)
        if bits is not None and (stop - start) * 8 != math.prod(shape) * bits:
            raise ValueError(name)
        tensors[name] = Tensor(dtype, shape)
        places.append((start, stop))
    end = 0
    for start, stop in sorted(places):
        if start != end or stop < start:
            raise ValueError("gaps, or bytes that are claimed twice")
        end = stop
    return tensors, end


def _is_amount(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _refuse_other_formats(path: Path | str, start: bytes, size: int) -> None:
    if is_pickle(start):
        raise pickle_refused(path)
    if start.startswith(b"version https://git-lfs"):
        raise UserError(
            "truncated", f"{path} is only a pointer to the real file ({size} bytes).", "Download it with git lfs pull."
        )
    if start[8:9] != b"{" and start.lstrip()[:1] == b"<":  # else it is the length of a header, whose JSON begins
        raise UserError(
            "not-safetensors",
            f"{path} is a web page that was saved under a model's name.",
            "Download the model again; some sites need you to log in first.",
        )
    if 0 <= size < 8:
        raise _truncated(path, 8, size)


def is_pickle(start: bytes) -> bool:
    """Whether a file that begins so is one that torch.save has written: a zip archive, or a bare pickle.

    A safetensors file begins with the length of its header, whose low bytes may be a pickle's; byte 8 begins its JSON.
    """
    if start[8:9] == b"{":
        return False
    return start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04"))


def pickle_refused(path: Path | str) -> UserError:
    """Pickle files can run any program when they are loaded."""
    return UserError(
        "is-a-pickle",
        f"{path} is a pickle file, which can run programs when it is loaded, so it is not opened.",
        "Use the .safetensors version of the model, or convert it to one.",
    )


def _not_safetensors(path: Path | str) -> UserError:
    return UserError("not-safetensors", f"{path} is not a safetensors file.", "Choose another .safetensors file.")


def _truncated(path: Path | str, expected: int, size: int) -> UserError:
    return UserError(
        "truncated",
        f"{path} is not whole: it has {size:,} of at least {expected:,} bytes.",
        "Download it again.",
    )
