"""Where pictures may be fetched from: a public data set on Hugging Face, by its name, or a folder in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from engine.plan.errors import UserError
from engine.plan.sources import HUB_NAME, is_hub_name

HOST = "huggingface.co"
LONGEST_NAME = 120  # characters of a file's name
_TREE = re.compile(r"(?:/(?:tree|blob|resolve)/[^/]+)?(?:/(.*))?")


@dataclass(frozen=True)
class HubPictures:
    """name: `owner/name` of a data set. inside: the folder in it, "" for all of it."""

    name: str
    inside: str = ""

    def __str__(self) -> str:
        return f"{self.name}/{self.inside}".rstrip("/")


def hub_pictures(text: str) -> HubPictures:
    """What somebody means by `owner/name`, `owner/name/folder`, or the address of one of these in a browser.

    Raises UserError `not-a-source`.
    """
    path = text.strip().rstrip("/")
    if "://" in path:
        try:
            parts = urlsplit(path)
            host = parts.hostname
        except ValueError:
            host = None
        if host != HOST or not parts.path.startswith("/datasets/"):
            raise _refused(text)
        path = unquote(parts.path).removeprefix("/datasets/")
    path = path.removeprefix("datasets/")
    found = HUB_NAME.match(path)
    name = found[0] if found else ""
    rest = _TREE.fullmatch(path[len(name) :])
    inside = (rest[1] or "").strip("/") if rest else ""
    pieces = PurePosixPath(inside).parts
    if not is_hub_name(name) or rest is None or not inside.isprintable() or ".." in pieces:
        raise _refused(text)
    return HubPictures(name, "/".join(pieces))


def plain_file_name(path: str) -> str:
    """The name of a file from elsewhere as one that is safe here: no folder, nothing hidden, nothing to be obeyed."""
    name = PurePosixPath(path.replace("\\", "/")).name
    kept = "".join(letter if letter.isprintable() and letter not in '<>:"|?*' else "_" for letter in name)
    stem, dot, ending = kept.rstrip(" .").rpartition(".")
    stem = stem[:LONGEST_NAME].strip(" .")
    while len(stem.encode("utf-8", "replace")) > LONGEST_NAME:
        stem = stem[:-1]
    return f"{stem or 'picture'}{dot}{ending}"


def _refused(text: str) -> UserError:
    return UserError(
        "not-a-source",
        f"{text.strip() or 'An empty text'} is not the name of a data set on Hugging Face.",
        "Give owner/name, or owner/name/folder for a folder in it.",
    )
