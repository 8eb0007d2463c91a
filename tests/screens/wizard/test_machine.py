"""The screen behind `!`: what is amiss comes first, and what it says of colours is what is drawn."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot

from lora_tui import checkup, themes
from lora_tui.checkup import Check
from lora_tui.look import Look, look_here
from lora_tui.screens import machine
from lora_tui.terminal import Tmux, examine
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press
from tests.screens.wizard.test_themes import colours_on

POOR = {"TERM": "screen-256color", "TMUX": "x", "LANG": "C", "SSH_TTY": "/dev/pts/1"}
GOOD = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch, which takes seconds."""
    checks = [
        Check("Python", "ok", "3.11.7"),
        Check("torch", "error", "cannot be loaded", "Install it again."),
        Check("disk", "warning", "nearly full", "Free some space."),
    ]
    monkeypatch.setattr(machine, "machine_checks", lambda: iter(checks))


def test_no_name_runs_into_what_is_said_of_it() -> None:
    rows = machine._told(machine.Fact("ok", "attention xformers", "attention xformers would need xformers"), 100)
    assert "attention xformers attention xformers would need" in rows[0].plain


def terminal_of(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    """The app runs in a terminal with this environment; in tmux in one that is badly set up."""
    tmux = Tmux("3.3a", client_utf8=False, set_clipboard="external", allow_passthrough="off")
    monkeypatch.setattr(machine, "examine", lambda: examine(environ, lambda: tmux))


def names(shown: str) -> list[str]:
    """The headings and the marks with their rows, from the top."""
    found = re.findall(r"^ (?:(ok|i|!|x) +([A-Za-z]+)|(Look at this|The terminal|The machine)$)", shown, re.MULTILINE)
    return [heading or f"{mark} {name}" for mark, name, heading in found]


def test_what_is_amiss_comes_first_then_the_terminal_then_the_machine(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal_of(monkeypatch, POOR)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark")
        assert names(text(pilot)) == [
            *("Look at this", "! letters", "i copying", "i pictures", "x torch", "! disk"),
            *("The terminal", "ok theme", "ok size", "ok colours", "ok tmux", "ok connection"),
            *("The machine", "ok Python"),
        ]
        assert "tmux -u attach" in text(pilot)

    drive(folder, act)


def test_colours_that_ssh_has_lost_are_among_what_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal_of(monkeypatch, {"TERM": "xterm-256color", "LANG": "C.UTF-8", "SSH_TTY": "/dev/pts/1"})

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark")
        assert names(text(pilot))[:2] == ["Look at this", "i colours"]

    drive(folder, act)


def test_where_all_is_well_nothing_is_to_be_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal_of(monkeypatch, GOOD)
    monkeypatch.setattr(machine, "machine_checks", lambda: iter([Check("Python", "ok", "3.11.7")]))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark")
        assert names(text(pilot)) == [
            *("The terminal", "ok theme", "ok size", "ok letters", "ok colours"),
            *("The machine", "ok Python"),
        ]

    drive(folder, act)


def colours_row(shown: str) -> str:
    row = re.search(r"^ \S+ +colours +(.*)$", shown, re.MULTILINE)
    assert row is not None
    return row[1]


@pytest.mark.parametrize("no_color", [{}, {"NO_COLOR": "1"}])
def test_what_is_said_of_colours_is_what_is_drawn(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_color: dict[str, str],
) -> None:
    terminal_of(monkeypatch, {**GOOD, **no_color})

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark")
        for _ in range(len(themes.THEMES)):
            drawn = not colours_on(pilot) <= {"default"}
            assert colours_row(text(pilot)).startswith("all 16 million" if drawn else "none are drawn")
            await press(pilot, "t")

    drive(folder, act, look=Look(theme="none" if no_color else "dark"))


def test_the_size_is_that_of_the_window_now(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal_of(monkeypatch, GOOD)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "exclamation_mark")
        assert "120 columns, 40 rows" in text(pilot)
        await pilot.resize_terminal(90, 30)
        await press(pilot)
        assert "90 columns, 30 rows" in text(pilot)

    drive(folder, act)


def test_the_look_is_what_the_terminal_can_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also under NO_COLOR: what was chosen in the app comes before it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, value in {**GOOD, "NO_COLOR": "1", "LANG": "C", "LC_ALL": "C"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TMUX", raising=False)
    look = look_here(images=False)
    assert (look.ascii_only, look.images, look.mouse, look.theme) == (True, False, True, "none")
    themes.remember("light")
    assert look_here().theme == "light"
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("COLORTERM")
    assert look_here().theme == "none"
    assert look_here(theme="contrast").theme == "contrast"


def test_doctor_says_the_same_of_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, value in {**GOOD, "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    colours = [check.value for check in checkup._terminal() if check.name == "terminal: colours"]
    themes.remember("light")
    colours += [check.value for check in checkup._terminal() if check.name == "terminal: colours"]
    assert colours[0].startswith("none are drawn: NO_COLOR is set")
    assert colours[1].startswith("all 16 million colours, though NO_COLOR is set")


def test_the_environment_is_prepared_before_textual_reads_it() -> None:
    """Textual looks whether it may animate anything as it is loaded."""
    code = (
        "import sys; from lora_tui import terminal; from lora_tui.commands.open import show\n"
        "def prepare(found): sys.exit('textual' in sys.modules)\n"
        "terminal.prepare = prepare; show(None)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
