"""Paths as people give them: pasted with a shell's quotes, dropped from a file manager, or typed with the help of Tab.

Only texts and one folder at a time; what a path leads to is not looked at. Nothing here ever raises.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from urllib.parse import unquote

from engine.plan.errors import inert

MOST_CANDIDATES = 200
MOST_READ = 100_000  # entries of a folder; some 0.1 s on a local disk
_FILE_URL = re.compile(r"file:(?://[^/]*)?(?=/)", re.IGNORECASE)
# What shells and terminals never put a backslash before, so that one there belongs to the name (or to Windows).
_NEVER_ESCAPED = re.compile(r"\\[A-Za-z0-9_./-]|\\$")
_NEXT_PATH = ("/", "~", "'", '"', "file:")  # several files that are dropped together follow each other like this
_CLOSING = {"`": "`", "“": "”", "‘": "’", "«": "»"}  # quotes of chats and documents around a path


@dataclass(frozen=True)
class Completion:
    """text: what was typed, as far as it is certain how it goes on. candidates: names that fit, folders with a slash.

    more: how many candidates there are beyond those (the folder may hold yet more that were not read).
    """

    text: str
    candidates: tuple[str, ...] = ()
    more: int = 0


def clean(text: str) -> str:
    """A plain path from what somebody pasted, typed or dropped into the terminal; of several paths, the first.

    Takes away white space and quotes around it, a shell's backslashes and the form of a file:// URL, and writes out
    `~`. Whatever else a name may hold stays: quotes within it, percent signs, blanks, backslashes before letters.
    """
    first = next((line for line in text.replace("\0", "").splitlines() if line.strip()), "")
    path = first.strip()
    if re.search(r"(?<!\\)(?:\\\\)*\\$", path) and first.rstrip("\r\n").endswith(path + " "):
        path += " "  # an escaped blank at the end belongs to the name
    url = _FILE_URL.match(_unquoted(path))
    if url is not None:
        return _from_url(_unquoted(path)[url.end() :]) or path
    return _with_home(_unquoted(path))


def _from_url(path: str) -> str:
    found = unquote(path, errors="surrogateescape")
    return "" if "\0" in found else found


def _unquoted(path: str) -> str:
    """Without the quotes or the backslashes of a shell, where the whole text reads like its work."""
    if _CLOSING.get(path[:1]) == path[-1:] and len(path) > 2:
        return path[1:-1].strip()
    if path[:1] not in ("'", '"') and ("\\" not in path or _NEVER_ESCAPED.search(path)):
        return path
    word, rest = _first_word(path)
    rest = rest.lstrip()
    return path if not word or (rest and not rest.startswith(_NEXT_PATH)) else word


def _first_word(text: str) -> tuple[str, str]:
    """The first word as a shell reads it, and what follows it; ("", "") where a quote is never closed.

    A blank without a backslash does not end a word that has no quotes: people escape some blanks and not others.
    """
    word: list[str] = []
    quote, quoted, at = "", text[:1] in ("'", '"'), 0
    while at < len(text):
        letter = text[at]
        if quote:
            if letter == quote:
                quote = ""
            elif letter == "\\" and quote == '"' and text[at + 1 : at + 2] in ('"', "\\", "$", "`"):
                at += 1
                word.append(text[at])
            else:
                word.append(letter)
        elif letter in "'\"" and quoted:
            quote = letter
        elif letter == "\\" and at + 1 < len(text):
            at += 1
            word.append(text[at])
        elif letter.isspace() and (quoted or text[at:].lstrip().startswith(_NEXT_PATH)):
            break
        else:
            word.append(letter)
        at += 1
    return ("", "") if quote else ("".join(word), text[at:])


def _with_home(path: str) -> str:
    try:
        return os.path.expanduser(path)
    except (KeyError, ValueError, RuntimeError, OSError):  # users that no system could have
        return path


def complete(text: str, *, folders_only: bool, suffixes: Sequence[str] = (), start: str = "") -> Completion:
    """Complete the last part of a path as shells do. Reads one folder, so it can take as long as a disk takes.

    folders_only: files are no candidates. suffixes: else only files that end so (`.safetensors`, in any case), or all
    where there are none. start: the folder where a relative path begins, else the current one. A name that would do
    harm on a terminal is shown as candidate (make it inert), but never becomes part of the text.
    """
    endings = tuple(suffix.lower() for suffix in suffixes)
    if re.match("(['\"])[/~]", text) and text.count(text[0]) == 1:  # quoted out of habit, and not closed yet
        opened = complete(text[1:], folders_only=folders_only, suffixes=suffixes, start=start)
        return opened if opened.candidates else Completion(text)
    try:
        last = text.rpartition("/")[2]
        if text == "~" or last == "..":
            there = os.path.isdir(os.path.join(start, _with_home(text)))
            return Completion(text + "/", (last + "/",)) if there else Completion(text)
        found = _complete(text, folders_only, endings, start)
        if not found.candidates and "\\" in text:  # escaped out of habit
            plain = _unquoted(text)
            again = _complete(plain, folders_only, endings, start) if plain != text else found
            found = again if again.candidates else found
    except (OSError, ValueError):  # no such folder, one that may not be read, a name that no system could have
        return Completion(text)
    return found


def _complete(text: str, folders_only: bool, endings: tuple[str, ...], start: str) -> Completion:
    head, slash, typed = text.rpartition("/")
    folder = os.path.join(start, _with_home(head + slash)) or "."
    exact: list[str] = []
    similar: list[str] = []
    whole = True
    alike = _folded(typed)
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count >= MOST_READ:
                whole = False
                break
            name = entry.name
            if name.startswith(".") != typed.startswith("."):
                continue
            if name.startswith(typed):
                kept = exact
            elif not exact and _folded(name).startswith(alike):
                kept = similar
            else:
                continue
            if _is_folder(entry):
                kept.append(name + "/")
            elif not folders_only and (not endings or name.lower().endswith(endings)):
                kept.append(name)
    found = exact or similar
    if not found:
        return Completion(text)
    certain = _shared_start(min(found), max(found))
    if len(found) > 1:
        certain = certain.rstrip("/") if len(certain) >= len(typed) else typed
    shown = nsmallest(MOST_CANDIDATES, found, key=lambda name: (name.casefold(), name))
    grown = _harmless(certain, typed) if whole else typed
    return Completion(head + slash + grown, tuple(shown), len(found) - len(shown))


def _shared_start(one: str, other: str) -> str:
    """With the first and the last name in alphabetical order: what all names begin with."""
    pairs = zip(one, other, strict=False)
    return one[: next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _folded(name: str) -> str:
    """One spelling for small and capital letters, and for the two ways in which systems store an é."""
    return unicodedata.normalize("NFC", name).casefold()


def _harmless(certain: str, typed: str) -> str:
    """`certain`, cut before the first character that a terminal could obey or not show."""
    for place, letter in enumerate(certain):
        if inert(letter) != letter:
            return certain[:place] if place > len(typed) else typed
    return certain
