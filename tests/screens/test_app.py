"""The app as a whole: a fault of its own, its log, and which terminal gets what."""

from __future__ import annotations

import io

import pytest

from lora_tui.app import LOG_LIMIT_BYTES, LoraTui, open_log
from lora_tui.commands.watch import ui_log_path
from lora_tui.screens.dashboard import Dashboard
from tests.screens.app_test import dashboard


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard gets a bug."""

    def paint(self: Dashboard, seen: object) -> None:
        raise ZeroDivisionError("a bug with [markup] in it")

    monkeypatch.setattr(Dashboard, "paint", paint)


@pytest.mark.usefixtures("faulty")
def test_fault_of_the_app_is_one_line_and_the_rest_is_in_its_log(endings, tmp_path, capsys, monkeypatch):
    log = tmp_path / "made" / "ui.log"
    app = LoraTui(lambda: dashboard(endings["finished"]), log_path=log)
    run = app.run
    monkeypatch.setattr(app, "run", lambda mouse: run(headless=True, mouse=mouse))
    assert app.start() == 1
    err = capsys.readouterr().err
    assert err.splitlines() == [f"The screen had a fault and closed; the training goes on. What happened is in {log}."]
    assert "ZeroDivisionError: a bug with [markup] in it" in log.read_text()
    assert "in paint" in log.read_text()


@pytest.mark.usefixtures("faulty")
def test_app_without_a_place_for_its_log_runs_all_the_same(endings, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    app = LoraTui(lambda: dashboard(endings["finished"]), log_path=tmp_path / "file" / "ui.log")
    run = app.run
    monkeypatch.setattr(app, "run", lambda mouse: run(headless=True, mouse=mouse))
    assert app.start() == 1
    assert "the training goes on" in capsys.readouterr().err


def test_log_of_the_app_is_kept_small(tmp_path):
    log = tmp_path / "ui.log"
    log.write_bytes(b"x" * (LOG_LIMIT_BYTES + 1))
    file = open_log(log)
    assert isinstance(file, io.TextIOBase)
    file.close()
    assert log.stat().st_size == 0
    assert (tmp_path / "ui.old.log").stat().st_size == LOG_LIMIT_BYTES + 1


def test_log_lies_in_the_project_where_there_is_one(endings, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    run = endings["died"]
    project = run.path.parent.parent
    assert not ui_log_path(run).is_relative_to(project)
    (project / "project.toml").write_text("")
    assert ui_log_path(run) == project / ".lora-tui" / "ui.log"


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
def test_these_keys_leave(endings, key):
    import asyncio

    async def run() -> LoraTui:
        app = LoraTui(lambda: dashboard(endings["finished"]))
        async with app.run_test() as pilot:
            await pilot.press(key)
        return app

    app = asyncio.run(run())
    assert app.return_code == 0
    assert not app.is_running
