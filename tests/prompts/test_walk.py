"""The words that work at every step, and input that nobody would think of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from engine.plan.project import Project
from engine.runs.places import state_dir
from lora_tui.prompts.settings import FIRST, listed
from lora_tui.prompts.talk import LeaveError, Talk
from lora_tui.prompts.walk import WORDS, Walk
from lora_tui.steps import STEPS
from tests.prompts.conversation import converse, talk
from tests.prompts.test_steps import begin

ODD = ["\x1b]0;owned\x07", "[bold red]x[/]", "99999999999999999999", "-1", "é\u202eabc", "/", "g", "g 10", "a" * 50_000]


def test_enter_goes_through_all_steps_and_stays_at_the_last(folder: Path) -> None:
    said = converse(folder, "g 1", *[""] * len(STEPS), "q")
    places = [said.index(f"Step {place} of 9: {step.title}.") for place, step in enumerate(STEPS, 1)]
    assert places == sorted(places)
    assert "This is the last step." in said


def test_any_step_is_reached_by_number_or_name_and_is_where_it_opens_again(folder: Path) -> None:
    assert "Step 6 of 9: Settings." in converse(folder, "g 6", "b", "g captions")
    said = converse(folder, "q")
    assert said.count("Step ") == 1
    assert "Step 4 of 9: Captions." in said


def test_steps_are_told_with_how_they_stand_in_words(folder: Path) -> None:
    said = converse(folder, "g 1", "s")
    assert "1 Project, you are here: done." in said
    assert "9 Results: to do: There is no LoRA yet." in said


def test_help_names_every_word_of_the_step_and_those_of_all(folder: Path) -> None:
    said = converse(folder, "g 7", "?").rpartition("<<b'?'>>")[2]
    assert all(f"{word}: " in said for word in (*WORDS, "start", "try"))


def test_an_option_is_found_by_what_it_does_and_changed(folder: Path) -> None:
    number = next(n for n, option in enumerate(listed(), FIRST) if option.name == "train_batch_size")
    said = converse(folder, "/ memory", str(number), "3")
    assert f"{number}. Batch size (train_batch_size)" in said
    assert Project.open(folder).settings["train_batch_size"] == 3
    assert "No option is found" in converse(folder, "/ zebra")


def test_a_change_is_taken_back(folder: Path) -> None:
    before = Project.open(folder).name
    said = converse(folder, "g 1", "1", "other", "u", "u")
    assert "Taken back: the name." in said
    assert "There is nothing to take back." in said
    assert Project.open(folder).name == before


@pytest.mark.parametrize("step", range(1, 10))
def test_odd_answers_get_a_sentence_and_change_nothing(folder: Path, step: int) -> None:
    before = (folder / "project.toml").read_bytes()
    said = converse(folder, f"g {step}", *ODD, b"\xff\xfe", b"\0\0", "q")
    assert "Traceback" not in said
    assert (folder / "project.toml").read_bytes() == before


def test_a_project_file_that_is_broken_meanwhile_keeps_what_is_changed(folder: Path) -> None:
    file = folder / "project.toml"
    whole = file.read_text()

    def break_it() -> str:
        file.write_text("[project\n")
        return "other"

    def mend_it() -> str:
        file.write_text(whole)
        return "s"

    said = converse(folder, "g 1", "1", break_it, "l", mend_it)
    assert said.count("Error:") >= 2
    assert "is kept, and written once this is mended" in said
    assert Project.open(folder).name == "other"


def test_a_project_that_vanishes_meanwhile_is_told(folder: Path) -> None:
    def vanish() -> str:
        shutil.rmtree(folder)
        return "g 2"

    said = converse(folder, "g 1", vanish, "g 1", "1", "x", "g 7", "start")
    assert "Error:" in said
    assert "Traceback" not in said


def no_folder_takes_it(folder: Path) -> str:
    """An answer in whose time project.toml breaks, and nothing can be kept beside it either."""
    (folder / "project.toml").write_text("= =")
    shutil.rmtree(folder / ".lora-tui", ignore_errors=True)
    (folder / ".lora-tui").touch()
    state_dir().mkdir(parents=True, exist_ok=True)
    shutil.rmtree(state_dir() / "projects", ignore_errors=True)
    (state_dir() / "projects").touch()
    return "other"


@pytest.mark.parametrize(("answers", "asked"), [(["no", "q", "b", "s", "q", "yes"], 3), (["q"], 1), ([], 1)])
def test_leaving_asks_before_changes_are_lost_and_does_not_say_that_all_is_saved(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: list[str], asked: int
) -> None:
    monkeypatch.setattr("lora_tui.wizard.Wizard.left_at", "project")
    known = begin(monkeypatch, f"open {folder}", "1", partial(no_folder_takes_it, folder), "q", *answers)
    assert known[0] == 0
    assert known[1].count("Leave, and lose the changes?") == asked
    assert known[1].endswith("Your last changes are lost. A training goes on.\n")


def test_what_waited_since_the_last_time_is_told(folder: Path) -> None:
    file = folder / "project.toml"
    whole = file.read_text()

    def break_it() -> str:
        file.write_text("= =")
        return "other"

    converse(folder, "g 1", "1", break_it, "q")
    file.write_text(whole)
    assert "Written now what waited since the last time: the name." in converse(folder, "q")
    assert Project.open(folder).name == "other"


def test_what_is_typed_elsewhere_is_taken_over(folder: Path) -> None:
    def write() -> str:
        file = folder / "project.toml"
        file.write_text(file.read_text().replace('class = "man"', 'class = "woman"'))
        return "l"

    assert "3. Class: woman" in converse(folder, "g 1", write)


def test_the_end_of_the_input_leaves(folder: Path) -> None:
    given, _ = talk()
    with pytest.raises(LeaveError):
        Walk(folder, given).run()


def test_names_that_a_terminal_could_obey_are_spelt_out() -> None:
    given, said = talk()
    given.say("a \x1b[31m \u202e b \x07")
    assert said.getvalue() == "a \\x1b[31m \\u202e b \\x07\n"
    assert isinstance(given, Talk)


def test_nothing_of_the_app_is_loaded() -> None:
    heavy = {"textual", "rich", "torch"}
    code = f"import sys, lora_tui.prompts.welcome; print({{m.split('.')[0] for m in sys.modules}} & {heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
