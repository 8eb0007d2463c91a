"""Counts of bytes in words. Alone in its module: dashboards and engines want it without all the settings."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes in the words of a file manager, in powers of 1000: 511 MB, 4.9 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            return f"{count:.0f} {unit}" if unit != "GB" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
