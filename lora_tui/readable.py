"""Moments as people read them."""

from __future__ import annotations

import time


def at(when: float, now: float) -> str:
    """A moment on the clock on the wall: `16:20`, `Tue 16:20` within a week, else `22 Nov 16:20`."""
    there, here = time.localtime(when), time.localtime(now)
    if there[:3] == here[:3]:
        return time.strftime("%H:%M", there)
    return time.strftime("%a %H:%M" if abs(when - now) < 6 * 86400 else "%d %b %H:%M", there)


def ago(seconds: float) -> str:
    """How long ago in steps so coarse that a screen seldom changes for it."""
    if seconds < 10:
        return "just now"
    if seconds < 60:
        return f"{seconds // 10 * 10:.0f} s ago"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    return f"{seconds // 3600:.0f} h ago"
