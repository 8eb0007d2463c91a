"""What the keys ask of the engine: which command files they leave, how the answers are shown, and what is not sent."""

from __future__ import annotations

import json

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from benchmarks.recorded import hold
from engine.plan.errors import Finding, UserError
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from lora_tui.resuming import FAILS_HERE, SLOW_HERE, in_one
from lora_tui.screens.dashboard import Dashboard
from lora_tui.screens.dialogs import Ask, Question
from lora_tui.widgets.status import Status
from tests.screens.app_test import dashboard, drive, press, text


def commands(run: RunFolder) -> list[dict[str, object]]:
    """What has been asked, oldest first, without the ids."""
    found = [json.loads(path.read_bytes()) for path in sorted(run.control_dir.glob("*.json"))]
    return [{name: value for name, value in body.items() if name not in ("v", "id")} for body in found]


def after(run: RunFolder, *keys: str) -> tuple[list[dict[str, object]], tuple[str, str]]:
    """(the commands sent, what the status line says) after these keys."""
    said: list[tuple[str, str]] = []

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, *keys)
        found = [screen for screen in pilot.app.screen_stack if isinstance(screen, Dashboard)]
        said.append(found[-1].query_one(Status).said)

    with hold(run):
        drive(lambda: dashboard(run), act)
    return commands(run), said[0]


def test_pause_keeps_the_memory_unless_it_is_to_be_given_back(running):
    assert after(running, "p", "enter")[0] == [{"command": "pause", "release_memory": False}]


def test_pause_can_give_the_memory_back(running):
    assert after(running, "p", "down", "enter")[0] == [{"command": "pause", "release_memory": True}]


@pytest.mark.parametrize("keys", [("p", "escape"), ("p", "up", "enter"), ("p", "p"), ("p", "q")])
def test_pause_can_be_left_alone(running, keys):
    assert after(running, *keys)[0] == []


def test_pausing_twice_asks_once(running):
    sent, (_, said) = after(running, "p", "enter", "p", "enter")
    assert len(sent) == 1
    assert "not answered yet" in said


def test_paused_run_goes_on_with_the_same_key(endings, tmp_path):
    from tests.screens.app_test import recorded

    run = recorded(tmp_path / "zibo", "paused", steps=20)
    assert after(run, "p")[0] == [{"command": "resume"}]


def test_stop_asks_first_and_the_answer_at_hand_is_no(running):
    sent, _ = after(running, "s", "enter")
    assert sent == []


@pytest.mark.parametrize(("keys", "command"), [(("down",), "stop"), (("down", "down"), "stop-after-epoch")])
def test_stop_now_or_after_this_epoch(running, keys, command):
    assert after(running, "s", *keys, "enter")[0] == [{"command": command}]


def test_checkpoint_pressed_twice_is_asked_once(running):
    sent, (mark, said) = after(running, "c", "c", "c")
    assert sent == [{"command": "checkpoint"}]
    assert mark == "ok"
    assert said.startswith("Asked the engine to save a checkpoint.")


def test_sample_proposes_the_prompt_that_is_looked_at(running):
    assert after(running, "i", "enter")[0] == [{"command": "sample", "prompt": "zibo, a photo of a man"}]


def test_sample_takes_any_prompt_as_it_is(running):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "i")
        assert isinstance(pilot.app.screen, Ask)
        pilot.app.screen.query_one(Input).value = "  [b]größe[/b] q ? $x "
        await press(pilot, "q", "enter")

    with hold(running):
        drive(lambda: dashboard(running), act)
    (sent,) = commands(running)
    assert "[b]größe[/b] q ? $x" in str(sent["prompt"])


def test_sample_can_be_left_alone(running):
    assert after(running, "i", "escape")[0] == []


@pytest.mark.parametrize("ending", ["finished", "died", "failed"])
def test_where_no_engine_is_at_work_nothing_is_asked(endings, ending):
    async def act(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, Dashboard)
        for key in "psci":
            screen.say("ok", "")
            await press(pilot, key)
            mark, said = screen.query_one(Status).said
            assert (mark, "No engine is at work" in said) == ("!", True), key

    drive(lambda: dashboard(endings[ending]), act)
    assert commands(endings[ending]) == []


@pytest.mark.parametrize(("result", "mark"), [("done", "ok"), ("refused", "x"), ("ignored", "!")])
def test_answer_of_the_engine_is_shown(running, result, mark):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "c")
        (path,) = running.control_dir.glob("*.json")
        with EventWriter(running.events_path) as events:
            events.write(
                "command", id=path.stem, command="checkpoint", result=result, message="Saved [b]at\x1b[2J step 300."
            )
        await press(pilot)
        assert pilot.app.screen.query_one(Status).said == (mark, "Saved [b]at\\x1b[2J step 300.")

    with hold(running):
        drive(lambda: dashboard(running), act)


def test_answer_does_not_outlive_the_state_it_was_about(running):
    async def act(pilot: Pilot[None]) -> None:
        lock = hold(running)
        await press(pilot)
        pilot.app.screen.say("ok", "The engine has started.")  # type: ignore[attr-defined]
        lock.release()
        await press(pilot)
        assert "The engine was killed" in pilot.app.screen.query_one(Status).said[1]

    drive(lambda: dashboard(running), act)


def test_engine_that_ends_before_it_answers_is_told(running):
    async def act(pilot: Pilot[None]) -> None:
        lock = hold(running)
        await press(pilot)
        await press(pilot, "c")
        lock.release()
        await press(pilot)
        assert "ended before it could answer" in pilot.app.screen.query_one(Status).said[1]

    with hold(running):
        pass
    drive(lambda: dashboard(running), act)


def test_question_is_left_by_a_click_beside_it_and_answered_by_one_on_it(running):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "s")
        await pilot.click(offset=(1, 1))
        await press(pilot)
        assert not isinstance(pilot.app.screen, Question)
        await press(pilot, "s")
        await pilot.click("#choices", offset=(6, 1))
        await press(pilot)
        assert commands(running) == [{"command": "stop"}]

    with hold(running):
        drive(lambda: dashboard(running), act)


@pytest.mark.parametrize("ending", ["died", "failed"])
def test_resume_is_offered_by_itself_and_starts_an_engine(endings, ending, monkeypatch):
    started = []
    monkeypatch.setattr("engine.runs.resume.prepare", lambda run, sets: None)
    monkeypatch.setattr("lora_tui.follow.start", lambda run, *_, **__: started.append(run))

    async def act(pilot: Pilot[None]) -> None:
        assert text(pilot).splitlines()[-1].startswith(" r resume")
        await press(pilot, "r")
        assert "The engine has started" in pilot.app.screen.query_one(Status).said[1]

    drive(lambda: dashboard(endings[ending]), act)
    assert started == [endings[ending]]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (UserError("run-busy", "Another engine is at work.", "Watch it."), "Another engine is at work. Watch it."),
        (OSError(28, "No space left on device"), "No space left on device"),
        (RuntimeError("what nobody thought of"), "what nobody thought of"),
    ],
)
def test_resume_that_cannot_be_is_told(endings, monkeypatch, trouble, said):
    def refuse(run: RunFolder, sets: object) -> None:
        raise trouble

    monkeypatch.setattr("engine.runs.resume.prepare", refuse)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "r")
        mark, sentence = pilot.app.screen.query_one(Status).said
        assert mark == "x"
        assert said in sentence

    drive(lambda: dashboard(endings["died"]), act)


@pytest.mark.parametrize("heading", [FAILS_HERE, SLOW_HERE])
def test_what_is_known_to_fail_here_is_asked_about_before_a_run_goes_on(endings, monkeypatch, heading):
    slow = Finding("no-bf16", "Tesla T4 does not calculate in bf16.", "Take another GPU.", blocks_training=True)
    fails = Finding("does-not-fit", "Tesla T4 has 2 GiB.", "Take another GPU.", blocks_training=True)
    told = in_one([slow, fails] if heading == FAILS_HERE else [slow])
    started = []
    monkeypatch.setattr("lora_tui.resuming.hindrance", lambda run, job: told)
    monkeypatch.setattr("lora_tui.follow.start", lambda run, *_, **__: started.append(run))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "r")
        assert heading in text(pilot)
        await press(pilot, "enter")  # what is proposed is to leave it
        assert isinstance(pilot.app.screen, Dashboard)
        assert started == []
        await press(pilot, "r", "down", "enter")
        assert "The engine has started" in pilot.app.screen.query_one(Status).said[1]

    drive(lambda: dashboard(endings["died"]), act)
    assert started == [endings["died"]]


def test_what_nobody_may_overrule_is_only_told(endings, monkeypatch):
    told = Finding("too-few-gpus", "It needs two GPUs.", "Take two.", blocks_training=True, overridable=False)
    monkeypatch.setattr("lora_tui.resuming.hindrance", lambda run, job: told)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "r")
        assert pilot.app.screen.query_one(Status).said == ("x", "It needs two GPUs. Take two.")

    drive(lambda: dashboard(endings["died"]), act)


def test_a_finished_run_can_be_given_more_epochs(endings, monkeypatch):
    changed, started = [], []
    monkeypatch.setattr("engine.runs.resume.prepare", lambda run, sets: changed.append((run, sets)))
    monkeypatch.setattr("lora_tui.follow.start", lambda run, *_, **__: started.append(run))
    run = endings["finished"]

    async def act(pilot: Pilot[None]) -> None:
        assert text(pilot).splitlines()[-1].startswith(" r more epochs…")
        await press(pilot, "r")
        assert "It has done its 4." in text(pilot)
        await press(pilot, "enter")  # two more are proposed
        await press(pilot, "r", "backspace", "1", "0", "enter")

    drive(lambda: dashboard(run), act)
    assert changed == [(run, {"max_train_epochs": 6}), (run, {"max_train_epochs": 10})]
    assert started == [run, run]


@pytest.mark.parametrize("keys", [("escape",), ("x", "enter"), ("backspace", "enter"), ("full_stop", "5", "enter")])
def test_more_epochs_may_be_left_alone_or_mistyped(endings, monkeypatch, keys):
    started = []
    monkeypatch.setattr("lora_tui.follow.start", lambda run, *_, **__: started.append(run))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "r", *keys)
        assert isinstance(pilot.app.screen, Dashboard)

    drive(lambda: dashboard(endings["finished"]), act)
    assert started == []


def test_fewer_epochs_than_were_done_are_refused_in_words(endings):
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "r", "backspace", "3", "enter")
        mark, sentence = pilot.app.screen.query_one(Status).said
        assert (mark, "epoch 4" in sentence) == ("x", True)

    drive(lambda: dashboard(endings["finished"]), act)


def test_resume_is_not_offered_where_there_is_nothing_to_resume(endings):
    async def act(pilot: Pilot[None]) -> None:
        assert "r resume" not in text(pilot)
        assert "r more" not in text(pilot)
        await press(pilot, "r")
        assert "it has not ended" in pilot.app.screen.query_one(Status).said[1]

    with hold(endings["running"]):
        drive(lambda: dashboard(endings["running"]), act)
