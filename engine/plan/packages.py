"""Whether a Python package is there, found out without importing it."""

from __future__ import annotations

from importlib.util import find_spec


def is_installed(package: str) -> bool:
    """Whether the top-level package could be imported, as far as its place tells."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False
