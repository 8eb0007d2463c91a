"""Counts of bytes in words. Alone in its module: dashboards and engines want it without all the settings."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes in powers of 1000, as disks and files are sold, in about three digits: 96 kB, 3.4 MB, 511 MB, 84.2 GB."""
    for unit in ("bytes", "kB"):
        if count < 999.5:
            return f"{count:.0f} {unit}"
        count /= 1000
    for unit, precise in (("MB", 9.95), ("GB", 99.95), ("TB", 99.95)):
        if count < 999.5 or unit == "TB":
            return f"{count:.1f} {unit}" if count < precise else f"{count:,.0f} {unit}"
        count /= 1000
    raise AssertionError
