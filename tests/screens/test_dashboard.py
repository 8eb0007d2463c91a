"""What the dashboard shows of each state, at each size, and that all of it can be reached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from benchmarks.recorded import hold
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from lora_tui.look import Look
from lora_tui.screens.dashboard import Dashboard
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.status import Status
from tests.screens.app_test import SIZES, dashboard, drive, held, press, recorded, settle, shown, text, texts

SNAPSHOTS = Path(__file__).parent / "snapshots"
STATES = {
    "running": ("● training", "All is well"),
    "paused": ("‖ paused", "p lets it go on"),
    "finished": ("✓ finished", "Finished. The LoRA: output/zibo-portrait.safetensors"),
    "failed": ("✗ failed", "Start a new run with train_batch_size = 1"),
    "died": ("✗ died", "r goes on from step 1,250"),
}


@pytest.mark.parametrize("ending", STATES)
def test_state_and_what_to_do_are_told_at_every_size(endings, ending):
    word, advice = STATES[ending]

    async def act(pilot: Pilot[None]) -> None:
        for size in SIZES.values():
            await pilot.resize_terminal(*size)
            await settle(pilot)
            lines = text(pilot).splitlines()
            assert word in lines[1]
            assert advice in " ".join(line.strip() for line in lines[-4:])
            assert lines[-1].endswith("? help  q leave")
            assert all(len(line) <= size[0] for line in lines)

    with held(endings[ending], ending):
        drive(lambda: dashboard(endings[ending]), act)


EVERYTHING = (
    "1,316 of 3,000", "43.9 %", "2 of 4", "17 min", "left", "done at", "0.1082", "average", "Prodigy d", "rate",
    "a second", "0.71 s", "21.4 of 24.0 GiB", "peak", "engine", "10.3 of 64.0 GiB", "zibo-portrait-000001", "511 MB",
    "checkpoint 1,250", "2.0 GB", "79.0 GB", "step 1,250", "6 of 6 in time", "zibo, a photo of a man", "seed 42",
    "722 modules", "3 pictures are smaller",
)  # fmt: skip


@pytest.mark.parametrize("size", ["small", "narrow"])
def test_everything_can_be_reached_on_a_small_terminal(endings, size):
    tabs = texts(endings["running"], "running", size, "12345")
    assert [what for what in EVERYTHING if not any(what in tab for tab in tabs)] == []


@pytest.mark.parametrize("size", ["wide", "huge"])
def test_everything_stands_side_by_side_on_a_large_terminal(endings, size):
    screen = shown(endings["running"], "running", size)
    assert [what for what in EVERYTHING if what not in screen] == []


def test_tab_walks_through_the_panels(endings):
    first, second, *_, again = texts(endings["running"], "running", "small", ["0", *["tab"] * 5])
    assert "[1 Loss]" in first
    assert "[2 Samples]" in second
    assert again == first


@pytest.mark.parametrize(("ending", "size"), [("died", "wide"), ("running", "small"), ("finished", "narrow")])
@pytest.mark.parametrize("letters", ["utf8", "ascii"])
def test_screen_looks_as_it_did(endings, ending, size, letters):
    """`UPDATE_SNAPSHOTS=1 pytest tests/screens` writes them anew; look at the difference before you keep it."""
    look = Look(ascii_only=letters == "ascii", images=False, paints_per_second=50)
    screen = shown(endings[ending], ending, size, look=look)
    screen = screen.replace(str(endings[ending].path.parents[2]), "…") + "\n"
    path = SNAPSHOTS / f"{ending}-{size}-{letters}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(screen, encoding="utf-8")
    assert screen == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", ["small", "wide"])
def test_ascii_mode_writes_nothing_but_ascii(endings, size):
    look = Look(ascii_only=True, paints_per_second=50)
    keys = ["0", "2", "3", "4", "5", "1", "question_mark", "escape", "g", "escape", "l", "escape", "p", "escape", "s"]
    for key, screen in zip(keys, texts(endings["running"], "running", size, keys, look), strict=True):
        assert [line for line in screen.splitlines() if not line.isascii()] == [], key


def test_nothing_is_painted_while_nothing_happens(endings, monkeypatch):
    """0 bytes a second over ssh, for a finished run and for a paused one."""
    painted = []
    before = Widget.refresh

    def refresh(self, *args, **kwargs):
        painted.append(self)
        return before(self, *args, **kwargs)

    async def act(pilot: Pilot[None]) -> None:
        monkeypatch.setattr(Widget, "refresh", refresh)
        for _ in range(5):
            await settle(pilot)
        monkeypatch.setattr(Widget, "refresh", before)

    drive(lambda: dashboard(endings["finished"]), act)
    with hold(endings["paused"]):
        drive(lambda: dashboard(endings["paused"]), act)
    assert painted == []


def test_new_steps_appear_and_a_run_that_ends_says_so(running):
    seen = []

    async def act(pilot: Pilot[None]) -> None:
        with EventWriter(running.events_path) as events:
            events.write(
                "step", step=301, epoch=1, epoch_step=301, loss=0.5, loss_avg=0.25, lr={"unet": 1.0}, seconds=0.7
            )
            await settle(pilot)
            seen.append(text(pilot))
            events.write("end", status="stopped", message="Stopped at step 301, saved.", output=None)
            await settle(pilot)
            seen.append(text(pilot))

    with hold(running):
        drive(lambda: dashboard(running), act)
    assert "301 of 3,000" in seen[0]
    assert "0.2500" in seen[0]
    assert "✗ stopped" in seen[1]
    assert "Stopped at step 301, saved." in seen[1]


def test_the_validation_loss_stands_among_the_figures_and_in_the_chart(running):
    with EventWriter(running.events_path) as events:
        for step, loss in ((100, 0.2), (200, 0.25)):
            events.write("validation", step=step, loss=loss)
    screen = shown(running, "running", "wide")
    assert "validated 0.2500  lowest 0.2000" in screen
    assert "◆ validation" in screen
    assert screen.count("◆") == 3  # two rounds, and the legend


def test_loss_that_is_no_number_is_told_and_breaks_nothing(running):
    with EventWriter(running.events_path) as events:
        events.write("step", step=301, epoch=1, epoch_step=301, loss=float("nan"), loss_avg=float("nan"), lr={})
    screen = shown(running, "running")
    assert "x  The loss is not a number any more" in screen
    assert "Stop it (s)" in screen


def test_what_stands_in_a_run_folder_is_never_obeyed_by_the_terminal(tmp_path):
    """Escape sequences and markup in names, prompts, warnings, log lines, answers and phases are shown as text."""
    run = recorded(tmp_path / "zi[red]bo", "running", steps=20, name="run [bold]x")
    evil = "\x1b]0;owned\x07\x1b[31m[link=x]click[/link] $(x) @click"
    run.log_path.write_text(f"a log line {evil}\r\x9b31m\n", encoding="utf-8")
    with EventWriter(run.events_path) as events:
        events.write("warning", code="x", message=f"a warning {evil}", change=evil)
        events.write("sample", step=20, path=f"samples/{evil}.png", prompt=f"a prompt {evil}", seed=1, weight=1.0)
        events.write("saved", path=f"output/{evil}.safetensors", step=20, epoch=1, bytes=5)
        events.write("phase", name=f"phase {evil}", state="start")
    for size in ("wide", "small"):
        for screen in texts(run, "running", size, ["0", "2", "3", "4", "5", "g", "escape", "l", "escape", "o"]):
            assert not any((ord(letter) < 32 and letter != "\n") or ord(letter) == 0x9B for letter in screen)
    wide = shown(run, "running")
    assert "zi[red]bo" in wide
    assert "run [bold]x" in wide
    assert "[link=x]click[/link]" in wide


def test_damaged_run_folder_is_looked_at_all_the_same(tmp_path):
    run = RunFolder(tmp_path / "runs" / "r")
    run.path.mkdir(parents=True)
    run.job_path.write_text("not = [toml")
    run.events_path.write_bytes(b"\xff\x00 no event\n" + b'{"kind":"step","seq":1,"time":"x","step":"nine"}\n{"torn":')
    assert "○ queued" in shown(run, "finished")


def test_hints_name_only_keys_that_do_what_they_say(endings):
    async def act(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, Dashboard)
        bound = {(active.binding.action) for active in screen.active_bindings.values()}
        hints = [*screen.hints(), *screen.pinned()]
        assert {hint.action for hint in hints} <= bound
        for hint in hints:
            name = hint.action.split("(")[0]
            assert hasattr(screen, f"action_{name}") or hasattr(pilot.app, f"action_{name}"), hint
        assert not any("go on" in hint.label or "resume" in hint.label for hint in hints)

    with hold(endings["running"]):
        drive(lambda: dashboard(endings["running"]), act)


def test_help_tells_every_key_that_has_a_meaning(endings):
    async def act(pilot: Pilot[None]) -> None:
        rows = pilot.app.screen.explained()  # type: ignore[attr-defined]
        await press(pilot, "question_mark")
        screen = text(pilot)
        for keys, label, _ in rows:
            assert any(keys in line and label in line for line in screen.splitlines()), keys
        await press(pilot, "escape")
        assert "Progress" in text(pilot)

    with hold(endings["running"]):
        drive(lambda: dashboard(endings["running"]), act)


def test_a_click_on_a_hint_does_what_its_key_does(endings):
    async def act(pilot: Pilot[None]) -> None:
        column = pilot.app.screen.query_one(Hints).plain[0].index("l log")
        await pilot.click("#hints", offset=(column, 0))
        await settle(pilot)
        assert "Log and warnings  run" in text(pilot)
        column = pilot.app.screen.query_one(Hints).plain[0].index("q leave")  # the app's own
        await pilot.click("#hints", offset=(column, 0))
        assert pilot.app._exit

    with hold(endings["running"]):
        drive(lambda: dashboard(endings["running"]), act)


def test_leaving_says_nothing_to_the_engine(running):
    async def act(pilot: Pilot[None]) -> None:
        await pilot.press("q")

    with hold(running):
        app = drive(lambda: dashboard(running), act)
        assert app.return_code == 0
        assert list(running.control_dir.iterdir()) == []


def test_long_sentence_takes_two_rows_and_no_more(running):
    with EventWriter(running.events_path) as events:
        events.write("warning", code="x", message="A very long warning. " * 30, change=None)

    async def act(pilot: Pilot[None]) -> None:
        assert pilot.app.screen.query_one(Status).size.height == 2
        assert "…" in "".join(text(pilot).splitlines()[-3:-1])  # what comes before the last words gives way

    with hold(running):
        drive(lambda: Dashboard(running), act, "small")  # by the real clock: a warning stays for two minutes
