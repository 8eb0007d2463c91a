"""Where Hugging Face's libraries keep what they have downloaded, and which model there a name means. Nothing is asked
of any network, and no library is loaded.

The layout (documented by huggingface_hub): `models--ORG--NAME/refs/main` names a commit, `snapshots/COMMIT` holds its
files as links to `blobs/`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from engine.plan.sources import is_hub_name

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SNAPSHOT = re.compile(r"models--([\w.-]+?)--([\w.-]+)/snapshots/[^/]+", re.ASCII)


def hub_caches(home: str) -> Iterator[str]:
    """The folders that may be such caches, the likeliest first."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            yield os.path.expanduser(os.environ[name])
    if os.environ.get("HF_HOME"):
        yield os.path.join(os.path.expanduser(os.environ["HF_HOME"]), "hub")
    yield os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), "huggingface", "hub")
    yield os.path.join("/workspace", ".cache", "huggingface", "hub")


def cached_model(name: str) -> Path | None:
    """The folder of a model's newest version that was downloaded whole enough to have a model_index.json; else None."""
    return cached_folder(name, "model_index.json")


def cached_folder(name: str, *files: str) -> Path | None:
    """The folder of the newest version of `name` that was downloaded, and has one of these files; else None."""
    if not is_hub_name(name):
        return None
    for cache in dict.fromkeys(hub_caches(os.path.expanduser("~"))):
        folder = Path(cache) / f"models--{name.replace('/', '--')}"
        try:
            commit = (folder / "refs" / "main").read_text("ascii").strip()
            found = folder / "snapshots" / commit
            if _COMMIT.fullmatch(commit) and any((found / file).is_file() for file in files):
                return found
        except (OSError, ValueError):
            continue
    return None


def name_of_snapshot(path: Path) -> str:
    """`org/name` of a model's folder in such a cache, "" for any other path: its own name is only a commit."""
    found = _SNAPSHOT.fullmatch("/".join(path.parts[-3:]))
    return f"{found[1]}/{found[2]}" if found else ""
