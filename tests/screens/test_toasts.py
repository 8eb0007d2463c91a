"""When memory runs out in a run that is watched, a toast says what it does about that."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets._toast import Toast

from benchmarks.recorded import hold
from engine.runs.events import EventWriter
from lora_tui.look import Look
from tests.screens.app_test import SIZES, dashboard, drive, press, recorded, settle, text

CHANGED = "GPU memory ran out at step 21 [red]\x1b[31m. It goes on with one picture at a time."


def _toasts(pilot: Pilot[None]) -> list[str]:
    return [str(toast.render()) for toast in pilot.app.screen.query(Toast)]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_what_a_run_changes_about_itself_is_a_toast(tmp_path: Path, size: str, ascii_only: bool) -> None:
    run = recorded(tmp_path, "running", steps=20)
    with EventWriter(run.events_path) as events:
        events.write("oom", step=3, message="That was before anybody looked.", change={"batch_size": 1})

    async def act(pilot: Pilot[None]) -> None:
        assert _toasts(pilot) == []
        with EventWriter(run.events_path) as events:
            events.write("oom", step=20, message="The step is done again.", change="repeated")
            events.write("oom", step=21, message=CHANGED, change={"batch_size": 1})
        await settle(pilot)
        assert [said.split(" at step")[0] for said in _toasts(pilot)] == ["GPU memory ran out"]
        shown = text(pilot)
        assert r"[red]\x1b[31m" in "".join(shown.split())
        assert not ascii_only or shown.isascii()
        await press(pilot, "l")  # it is seen over the log too
        assert len(_toasts(pilot)) == 1

    with hold(run):
        drive(lambda: dashboard(run), act, size, Look(paints_per_second=50, ascii_only=ascii_only), toasts=True)
