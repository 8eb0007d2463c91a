"""Whole words and whole paths, and that whoever is asked something can get away from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.recorded import record
from benchmarks.small_run import make_project
from lora_tui import wish as wishes
from lora_tui.prompts.settings import FIRST, listed
from lora_tui.prompts.talk import WIDEST, BackError, LeaveError
from tests.prompts.conversation import converse, talk
from tests.prompts.test_steps import begin

RANK = str(next(n for n, option in enumerate(listed(), FIRST) if option.name == "network_dim"))
LONG = "/workspace/" + "a-folder-with-a-long-name/" * 6 + "model.safetensors"
WITH_SPACES = "/workspace/" + "a folder with a long name/" * 6 + "my model.safetensors"


# ------------------------------------------------------------------------------------------------- nothing is broken
@pytest.mark.parametrize("before", ["", "It lies in ", "An explanation that is so long that a line ends in it: "])
def test_an_explanation_breaks_no_path(before: str) -> None:
    given, said = talk()
    given.explain(f"{before}{LONG}. Enter takes it.")
    assert LONG in said.getvalue()
    given.explain(f"{before}{WITH_SPACES}. Enter takes it.", WITH_SPACES)
    assert WITH_SPACES in said.getvalue()


def test_an_explanation_is_in_lines_for_a_braille_display() -> None:
    given, said = talk()
    given.explain("Words that follow each other. " * 20)
    assert max(len(line) for line in said.getvalue().splitlines()) <= WIDEST


def test_a_line_is_one_line_whatever_names_are_in_it() -> None:
    """The name of a folder may have a line end."""
    given, said = talk()
    given.say("Copied: /a/two\nlines.safetensors")
    assert said.getvalue() == "Copied: /a/two\\nlines.safetensors\n"


def test_the_longest_path_there_may_be_is_said_whole() -> None:
    path = "/" + "a" * 4_094
    given, said = talk("")
    given.say(f"Copied: {path}")
    given.ask("Folder", f"takes {path}")
    assert said.getvalue().count(path) == 2


@pytest.mark.parametrize("name", ["a folder with a name that is longer than a line " * 3, "two\nlines"])
def test_the_place_of_a_project_is_said_in_one_piece_everywhere(tmp_path: Path, name: str) -> None:
    project = make_project(tmp_path / name / "ohwx")
    said = converse(project, *[f"g {step}" for step in range(1, 10)], "q")
    whole = str(project).replace("\n", "\\n")
    lines = said.splitlines()
    assert whole in next(line for line in lines if line.startswith("Project "))
    assert whole in next(line for line in lines if line.startswith("As a command: "))


# ------------------------------------------------------------------------------------------------------- getting away
QUESTIONS = {
    "a name": ("g 1", "1"),
    "repeats": ("g 1", "4"),
    "a picture": ("g 2", "1"),
    "a folder": ("g 2", "add"),
    "a folder once more": ("g 2", "add", "/nowhere"),
    "copy or link": ("g 2", "add", "{pictures}"),
    "a caption": ("g 4", "all"),
    "the caption of one picture": ("g 4", "2"),
    "a model": ("g 5", "path"),
    "a preset": ("g 6", "1"),
    "a value": ("g 6", RANK),
    "a value once more": ("g 6", RANK, "many"),
    "an option that was found": ("/ memory",),
    "all the same": ("g 6", RANK, "many", "", "g 7", "start"),
    "a prompt": ("g 9", "compare"),
    "a seed": ("g 9", "compare", "a man"),
    "a weight": ("g 9", "compare", "a man", "7"),
    "a LoRA's name": ("g 9", "export"),
    "a place": ("g 9", "export", "mine"),
    "a format": ("g 9", "export", "mine", "/tmp/not/there"),
    "a folder to make": ("g 9", "export", "mine", "/tmp/not/there", "kohya"),
}


def asked(said: str) -> list[str]:
    """What stood before each answer."""
    return [line.partition("<<")[0] for line in said.splitlines() if "<<" in line]


def answers_of(way: str, project: Path) -> list[str]:
    return [answer.format(pictures=next((project / "img").iterdir())) for answer in QUESTIONS[way]]


def files(project: Path) -> dict[Path, bytes]:
    """All but what the app keeps for itself."""
    found = (path for path in project.rglob("*") if path.is_file() and ".lora-tui" not in path.parts)
    return {path: path.read_bytes() for path in found}


@pytest.fixture
def with_lora(folder: Path) -> Path:
    (folder / "model").mkdir()
    run = record(folder / "runs" / "2026-11-22_153012", 10, "finished", samples=False)
    (folder / "model" / "ohwx.safetensors").write_bytes((run.output_dir / "zibo-portrait.safetensors").read_bytes())
    return folder


@pytest.mark.parametrize("way", QUESTIONS)
@pytest.mark.parametrize("leave", ["q", "Q", " q "])
def test_q_leaves_at_every_question_and_is_never_an_answer(with_lora: Path, way: str, leave: str) -> None:
    before = files(with_lora)
    said = converse(with_lora, *answers_of(way, with_lora), leave, "g 3")
    assert asked(said)[-1].rstrip().endswith(("q leaves:", "Caption>"))
    assert said.rstrip().endswith(f"<<{leave.encode()!r}>>")  # nothing is said or asked any more
    assert files(with_lora) == before


@pytest.mark.parametrize("way", QUESTIONS)
def test_b_goes_back_from_every_question_to_its_step(with_lora: Path, way: str) -> None:
    before = files(with_lora)
    said = converse(with_lora, *answers_of(way, with_lora), "b", "s")
    assert re.fullmatch(r"\w[\w ]*> ", asked(said)[-1])
    assert "1 Project" in said.rpartition("<<b's'>>")[2]
    assert files(with_lora) == before


@pytest.mark.parametrize("answers", [("new",), ("new", "zibo", "man"), ("open",)])
def test_the_beginning_is_left_by_q_at_every_question(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...]
) -> None:
    code, said = begin(monkeypatch, *answers, "q")
    assert code == 0
    assert asked(said)[-1].endswith("q leaves: ")
    assert said.endswith("Everything is saved. A training goes on.\n")


def test_b_goes_through_the_questions_of_a_new_project_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    _, said = begin(monkeypatch, "new", "zibo", "men", "b", "man", "b", "b", "b", "open", "b", "q")
    labels = [re.split("[;?]", question)[0] for question in asked(said)]
    assert labels == [
        "new, open or demo, or q to leave: ",
        *("Trigger word", "Class", "Folder of the project", "Class", "Folder of the project", "Class", "Trigger word"),
        *("new, open or demo, or q to leave: ", "Which folder", "new, open or demo, or q to leave: "),
    ]
    assert wishes.remembered().class_name == "man"


def test_b_goes_through_captions_backwards_and_end_ends_them(folder: Path) -> None:
    said = converse(folder, "g 4", "all", "", "", "b", "b", "b", "all", "end", "s")
    assert re.findall(r"(\d) of \d+: /", said) == ["1", "2", "3", "2", "1", "1"]
    assert asked(said)[-1] == "Captions> "


def test_every_question_says_how_to_get_away_from_it() -> None:
    given, said = talk("", "x", "B", "q")
    assert given.ask("Which folder?") == ""
    assert given.ask("New value", "keeps 2") == "x"
    with pytest.raises(BackError):
        given.ask("Class", None)
    with pytest.raises(LeaveError):
        given.sure("Make it?")
    assert asked(said.getvalue()) == [
        "Which folder? Enter goes back, q leaves: ",
        "New value; Enter keeps 2, b goes back, q leaves: ",
        "Class; b goes back, q leaves: ",
        "Make it? yes or no; Enter goes back, q leaves: ",
    ]
