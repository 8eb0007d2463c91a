"""What this terminal can do, and how to mend what it cannot: for `doctor`, and for the app before its first frame.

Nothing here asks the terminal itself: the answer would come in among the keys that a person types, and on a slow link
it comes late. The environment tells, and tmux, which can be asked beside the terminal.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Literal

Colours = Literal["none", "16", "256", "true"]
TMUX_SECONDS = 1.0  # it answers in some 10 ms; a server that hangs must not keep the app from starting
SMALLEST_COLUMNS, SMALLEST_ROWS = 60, 20

# Terminals that show 24-bit colours under any circumstances. TERM reaches us over ssh, COLORTERM does not.
_TRUE_COLOUR_TERMS = re.compile(r"xterm-kitty|xterm-ghostty|alacritty.*|foot.*|wezterm|contour.*|.*-direct")
_PLAIN_LOCALES = ("C", "POSIX")


@dataclass(frozen=True)
class Remark:
    """One thing about the terminal in words. level: "ok", "note" (worth knowing) or "warning"; hint: what to do."""

    what: str
    level: Literal["ok", "note", "warning"]
    says: str
    hint: str = ""


@dataclass(frozen=True)
class Tmux:
    """What tmux says of itself and of the terminal it runs in; `client_utf8` None: it did not say."""

    version: str = ""
    client_utf8: bool | None = None
    set_clipboard: str = ""  # on, external (only tmux itself may copy) or off
    allow_passthrough: str = ""  # on, all, off, or "" before tmux 3.3


@dataclass(frozen=True)
class Terminal:
    """`utf8_known` is False where nothing says so and UTF-8 is a guess, true of nearly every terminal of today.

    `colours` is what it can show; `colours_sure` is False where it may be able to show more than it said. Whether any
    are drawn is a matter of the theme.
    """

    interactive: bool
    columns: int
    rows: int
    term: str
    utf8: bool
    utf8_known: bool
    colours: Colours
    colours_sure: bool
    no_color: bool = False
    ssh: bool = False
    screen: bool = False
    tmux: Tmux | None = None


def examine(
    environ: Mapping[str, str] = os.environ,
    ask: Callable[[], Tmux] | None = None,
    interactive: bool | None = None,
) -> Terminal:
    """Look at the terminal this process runs in. Takes some 10 ms in tmux, no time elsewhere; never raises."""
    tmux = (ask or ask_tmux)() if environ.get("TMUX") else None
    utf8 = _locale_utf8(environ)
    if tmux is not None and tmux.client_utf8 is not None:
        utf8 = tmux.client_utf8  # tmux turns what it believes the terminal cannot show into underscores
    columns, rows = shutil.get_terminal_size((80, 24))
    colours, sure = _colours(environ, tmux is not None)
    return Terminal(
        interactive=sys.stdin.isatty() and sys.stdout.isatty() if interactive is None else interactive,
        columns=columns,
        rows=rows,
        term=environ.get("TERM", ""),
        utf8=utf8 is not False,
        utf8_known=utf8 is not None,
        colours=colours,
        colours_sure=sure,
        no_color=bool(environ.get("NO_COLOR")),
        ssh=bool(environ.get("SSH_TTY") or environ.get("SSH_CONNECTION")),
        screen=bool(environ.get("STY")) and tmux is None,
        tmux=tmux,
    )


def erases_in_colour() -> bool:
    """Whether cells that this terminal is told to empty get the colour that is set; False where nothing says so."""
    try:
        import curses
    except ImportError:  # not on Windows
        return False
    try:
        curses.setupterm(fd=1)
    except curses.error:  # a terminal that nobody has described
        return False
    return curses.tigetflag("bce") == 1 and curses.tigetstr("ech") == b"\x1b[%p1%dX"


def prepare(terminal: Terminal, environ: MutableMapping[str, str] = os.environ) -> None:
    """Before the app starts: say in the environment what is known to be so, because libraries look there."""
    if terminal.colours == "true":
        environ["COLORTERM"] = "truecolor"
    environ.setdefault("TEXTUAL_ANIMATIONS", "none")


def remarks(terminal: Terminal, coloured: bool = True) -> list[Remark]:
    """Everything worth saying about the terminal, each with what to do about it. coloured: the theme has colours."""
    return [
        _size(terminal),
        _letters(terminal),
        _palette(terminal, coloured),
        *_multiplexer(terminal),
        *_link(terminal),
    ]


def ask_tmux() -> Tmux:
    """What the tmux we run in says; empty answers where it cannot be asked."""
    questions = [
        "display-message -p #{version}|#{client_utf8}",
        "show-options -sv set-clipboard",
        "show-options -wgqv allow-passthrough",
    ]
    said = [_tmux(*question.split(" ", 2)) for question in questions]
    version, _, utf8 = said[0].partition("|")
    return Tmux(version, utf8 == "1" if utf8 in ("0", "1") else None, said[1], said[2])


def ask_tmux_for(name: str) -> str:
    """`NAME=value` of the environment that tmux gives to new windows, renewed at each attach; "" where it has none."""
    return _tmux("show-environment", name)


def _tmux(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["tmux", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TMUX_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def _locale_utf8(environ: Mapping[str, str]) -> bool | None:
    """Whether the locale is UTF-8; None if the environment does not say.

    Python itself puts LC_CTYPE=C.UTF-8 (or UTF-8) there when it finds the C locale, which says nothing of the terminal.
    """
    language = environ.get("LANG", "")
    ctype = environ.get("LC_CTYPE", "")
    if ctype in ("C.UTF-8", "C.utf8", "UTF-8") and language in ("", *_PLAIN_LOCALES):
        ctype = ""
    said = environ.get("LC_ALL") or ctype or language
    if not said:
        return None
    return bool(re.search(r"utf-?8", said, re.IGNORECASE))


def _colours(environ: Mapping[str, str], in_tmux: bool) -> tuple[Colours, bool]:
    """(what the terminal can show, whether it surely can show no more)."""
    term = environ.get("TERM", "").lower()
    if term in ("", "dumb", "unknown"):
        return "none", True
    if environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit") or _TRUE_COLOUR_TERMS.fullmatch(term):
        return "true", True
    if in_tmux:
        return "true", True  # tmux turns them into what its own terminal can show
    if "256color" in term or "kitty" in term:
        return "256", False
    return "16", False


def _size(terminal: Terminal) -> Remark:
    says = f"{terminal.columns} columns, {terminal.rows} rows"
    if not terminal.interactive:
        return Remark("terminal", "note", "none: the output goes to a file or a pipe", "Use watch --plain there.")
    if terminal.columns < SMALLEST_COLUMNS or terminal.rows < SMALLEST_ROWS:
        return Remark(
            "size",
            "warning",
            f"{says}: lines will be cut",
            f"Make the window larger, at least {SMALLEST_COLUMNS} by {SMALLEST_ROWS}, or the font smaller.",
        )
    return Remark("size", "ok", says)


def _letters(terminal: Terminal) -> Remark:
    if terminal.utf8 and terminal.utf8_known:
        return Remark("letters", "ok", "UTF-8")
    if terminal.utf8:
        return Remark(
            "letters",
            "note",
            "UTF-8 assumed: no language is set here",
            "Put `export LANG=C.UTF-8` into ~/.profile; if charts look broken, use --ascii.",
        )
    if terminal.tmux is not None:
        return Remark(
            "letters",
            "warning",
            "tmux was started without UTF-8, so charts and pictures are drawn in ASCII",
            "Detach and come back with `tmux -u attach`; for good: `export LANG=C.UTF-8` before starting tmux.",
        )
    return Remark(
        "letters",
        "warning",
        "the language set here is not UTF-8, so charts and pictures are drawn in ASCII",
        "Put `export LANG=C.UTF-8` into ~/.profile and log in again.",
    )


def _palette(terminal: Terminal, coloured: bool) -> Remark:
    if terminal.colours == "none":
        return Remark(
            "colours", "warning", f"none: TERM is {terminal.term or 'not set'}", "Try `export TERM=xterm-256color`."
        )
    names = {"16": "16 colours", "256": "256 colours", "true": "all 16 million colours"}
    says = names[terminal.colours]
    if not coloured:
        why = "NO_COLOR is set" if terminal.no_color else "the theme has none"
        hint = "To have them all the same: t on the screen behind !, or --theme dark." if terminal.no_color else ""
        return Remark("colours", "ok", f"none are drawn: {why}; there could be {says}", hint)
    if terminal.no_color:
        says += ", though NO_COLOR is set: a theme was chosen"
    if terminal.colours_sure:
        return Remark("colours", "ok", says)
    hint = "If your terminal shows more (most do): `export COLORTERM=truecolor`; pictures look much better then."
    if terminal.ssh:
        return Remark("colours", "note", f"{says}; ssh does not pass on what your terminal can show", hint)
    return Remark("colours", "note", says, hint)


def _multiplexer(terminal: Terminal) -> list[Remark]:
    tmux = terminal.tmux
    if terminal.screen:
        says = "GNU screen: 256 colours at most, and text cannot be copied to your own computer from the app"
        return [Remark("screen", "note", says, "tmux does better: `apt install tmux`.")]
    if tmux is None:
        return []
    found = [Remark("tmux", "ok", f"tmux {tmux.version}".strip())]
    if tmux.set_clipboard and tmux.set_clipboard != "on":
        says = f"tmux keeps copies to itself (set-clipboard is {tmux.set_clipboard})"
        found.append(Remark("copying", "note", says, "`tmux set -s set-clipboard on`, for good in ~/.tmux.conf."))
    elif tmux.set_clipboard:
        found.append(Remark("copying", "ok", "tmux passes copies on to your terminal"))
    if tmux.allow_passthrough == "off":
        says = "sharp pictures cannot pass tmux (allow-passthrough is off); the usual ones of half blocks do"
        found.append(Remark("pictures", "note", says, "`tmux set -wg allow-passthrough on`, for good in ~/.tmux.conf."))
    return found


def _link(terminal: Terminal) -> list[Remark]:
    if not terminal.ssh:
        return []
    hint = "A training goes on when the connection breaks. On a slow one: `lora-tui watch --slow`."
    return [Remark("connection", "ok", "over ssh", hint)]
