"""Pictures are looked at in the background: nothing waits for it, and it gives way to newer wishes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan import looked
from engine.plan.looked import Looks
from engine.plan.looks import Look, look_at
from engine.plan.project import Project
from lora_tui import look_through, looking
from lora_tui.looking import Looker
from lora_tui.survey import Survey
from lora_tui.wizard import Wizard

WAIT_SECONDS = 20


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No picture is looked at until it is set."""
    opened = threading.Event()

    def slow(path: Path) -> Look | None:
        opened.wait(WAIT_SECONDS)
        return look_at(path)

    monkeypatch.setattr(looked, "look_at", slow)
    yield opened
    opened.set()


def pictures(folder: Path) -> list[Path]:
    return sorted((folder / "img").rglob("*.png"))


def test_a_survey_is_there_before_any_picture_was_looked_at(folder: Path, gate: threading.Event) -> None:
    news = threading.Event()
    wizard = Wizard(folder, news.set)
    while wizard.survey is None:
        assert news.wait(WAIT_SECONDS)
        news.clear()
    first: Survey = wizard.survey
    assert first.dataset is not None
    assert wizard.examining
    gate.set()
    while wizard.examining or wizard.looking:
        news.wait(0.05)
    assert wizard.survey is not first  # what was seen is in a new one
    assert wizard._surveyor.looks is not None
    assert wizard._surveyor.looks.looked >= len(pictures(folder))


def test_it_says_how_far_it_is_and_when_it_is_done(
    folder: Path, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "TOLD_SECONDS", 0.0)
    told, done, heard = [], threading.Event(), threading.Event()
    looker = Looker(done.set, lambda: (told.append(looker.told), heard.set()))
    looker.look(Project.open(folder), Looks(), pictures(folder))
    assert heard.wait(WAIT_SECONDS)
    assert told[0].startswith(f"Looking for blur and near-copies: 0 of {len(pictures(folder))}")
    gate.set()
    assert done.wait(WAIT_SECONDS)
    assert looker.told == ""


def test_newer_pictures_take_its_place(folder: Path, gate: threading.Event) -> None:
    done, looks, project = threading.Event(), Looks(), Project.open(folder)
    looker = Looker(done.set, lambda: None)
    looker.look(project, looks, pictures(folder))
    looker.look(project, looks, pictures(folder)[:1])
    gate.set()
    assert done.wait(WAIT_SECONDS)
    while looker.busy:
        threading.Event().wait(0.01)
    assert pictures(folder)[0] in looks.known
    assert looks.lacking(pictures(folder)[:1]) == []


def test_nothing_new_is_no_news(folder: Path) -> None:
    looks, project, news = Looks(), Project.open(folder), []
    looks.look_at(pictures(folder))
    looker = Looker(lambda: news.append(1), lambda: None)
    looker.look(project, looks, pictures(folder))
    while looker.busy:
        threading.Event().wait(0.01)
    assert news == []


def test_a_command_that_is_stopped_goes_on_with_what_was_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import contextlib

    from lora_tui import follow

    monkeypatch.setattr(follow, "count_interrupts", lambda: contextlib.nullcontext(lambda: 1))
    looks = Looks()
    assert not look_through.look_through(looks, pictures(folder))
    monkeypatch.setattr(follow, "count_interrupts", lambda: contextlib.nullcontext(lambda: 0))
    assert look_through.look_through(looks, pictures(folder))
    assert looks.lacking(pictures(folder)) == []


def test_how_far_a_command_is_stands_on_stderr(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(look_through, "PLAIN_SECONDS", 0.0)
    look_through.look_through(Looks(), pictures(folder))
    caught = capsys.readouterr()
    assert caught.out == ""
    assert f"Looking for blur and near-copies: 1 of {len(pictures(folder))}" in caught.err
