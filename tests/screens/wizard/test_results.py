"""The last step: what is typed there and refused, and the ways in which a LoRA leaves the machine."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from textual.pilot import Pilot

from engine.plan.errors import UserError
from engine.plan.export import Destination
from lora_tui.fetch_home import FetchLine
from lora_tui.widgets.form import Form, RowInput, RowPath
from lora_tui.words import fetch_lines
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, said, settle, type_in, until_shown


@pytest.fixture
def trained(folder: Path) -> Path:
    """The project with one LoRA, as a training leaves it."""
    (folder / "model").mkdir(exist_ok=True)
    weights = {"lora_unet_x.lora_down.weight": np.zeros((4, 8), np.float16)}
    save_file(weights, folder / "model" / "zibo.safetensors", {"ss_epoch": "2", "ss_steps": "24"})
    return folder


async def choose(pilot: Pilot[None], row: str) -> None:
    pilot.app.screen.query_one(Form).choose(row)
    await settle(pilot)


@pytest.mark.parametrize(
    ("row", "typed", "why"),
    [
        ("seed", "many", "A seed is a whole number"),
        ("weight", "9", "weight"),
        ("name", "../../[red]x[/red]", "letters, digits and spaces"),
        ("prompt", "a man --w 100000", "--w"),
    ],
)
def test_a_value_that_does_not_fit_stays_in_its_row_to_be_mended(trained: Path, row: str, typed: str, why: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "9")
        await choose(pilot, row)
        await press(pilot, "enter")
        await type_in(pilot, typed)
        await press(pilot, "enter")
        editor = pilot.app.focused
        assert isinstance(editor, RowInput)
        assert editor.value == typed
        mark, sentence = said(pilot)
        assert (mark, why in sentence) == ("x", True)
        await press(pilot, "escape")
        assert said(pilot)[0] == "ok"
        assert f"  {typed}  " not in text(pilot)

    drive(trained, act)


def test_a_folder_that_is_not_there_is_made_after_a_question_or_typed_again(trained: Path, tmp_path: Path) -> None:
    where = tmp_path / "a folder with a long name that takes more than one line of the question" / "loras"

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "9", "x")
        await type_in(pilot, str(where))
        await press(pilot, "enter")
        await until_shown(pilot, "There is no folder")
        shown = "".join(part.strip(" ▌│") for part in text(pilot).splitlines())
        assert "question/loras" in shown  # its end is not cut
        await press(pilot, "enter")  # No
        editor = pilot.app.focused
        assert isinstance(editor, RowPath)
        assert editor.value == str(where)
        assert not where.exists()
        await press(pilot, "enter")
        await until_shown(pilot, "Make it")
        await press(pilot, "down", "enter")
        await until_shown(pilot, "Copied")
        assert (where / "zibo.safetensors").read_bytes() == (trained / "model" / "zibo.safetensors").read_bytes()

    async def once_more(pilot: Pilot[None]) -> None:
        await press(pilot, "x", "enter")  # the folder is remembered
        await until_shown(pilot, "Copied")

    drive(trained, act, "small")
    drive(trained, once_more, "small")


def test_diffusers_format_is_chosen_for_a_folder_and_never_for_a_program(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lora_tui.screens.results as results

    asked: list[tuple[str, Path, str]] = []

    def export_as(form: str, lora: Path, folder: Path, name: str) -> Path:
        asked.append((form, folder, name))
        return folder / f"{name}.safetensors"

    program = Destination("ComfyUI", tmp_path / "ComfyUI")
    monkeypatch.setattr(results, "usual_folders", lambda: [program])
    monkeypatch.setattr(results, "export_as", export_as)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "9")
        await until_shown(pilot, "Copy to ComfyUI")
        await choose(pilot, "format")
        assert "kohya" in text(pilot)
        await press(pilot, "enter")
        await until_shown(pilot, "for diffusers alone")
        await press(pilot, "x")
        await type_in(pilot, str(tmp_path))
        await press(pilot, "enter")
        await until_shown(pilot, "Copied for diffusers")
        await choose(pilot, "to 0")
        await press(pilot, "enter")
        await until_shown(pilot, "<lora:zibo:1>")

    async def remembered(pilot: Pilot[None]) -> None:
        await press(pilot, "9")
        await until_shown(pilot, "for diffusers alone")

    drive(trained, act)
    assert asked == [("diffusers", tmp_path, "zibo"), ("kohya", program.folder, "zibo")]
    drive(trained, remembered)


def test_the_command_that_fetches_it_home(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "198.51.100.7 50000 203.0.113.9 2222")
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "me")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "9")
        await until_shown(pilot, "Fetch it to your computer")
        await choose(pilot, "home")
        shown = " ".join(part.strip(" │") for part in text(pilot).splitlines())
        assert "scp -P 2222" in shown
        assert "the command for it" in shown
        await press(pilot, "enter")
        assert (trained / ".lora-tui" / "clipboard.txt").read_text().strip().endswith("model/zibo.safetensors .")

    drive(trained, act, "small")


def test_whoever_points_at_a_lora_means_that_one(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lora_tui.screens.results as results

    drawn: list[tuple[str, float]] = []

    def draw(draft: object, lora: Path, prompt: str, seed: int, weight: float) -> None:
        drawn.append((lora.stem, weight))
        raise UserError("not-here", "Not drawn here.")

    monkeypatch.setattr(results, "start_comparison", draw)
    save_file({"x.lora_down.weight": np.zeros((4, 8), np.float16)}, trained / "model" / "older.safetensors")
    os.utime(trained / "model" / "older.safetensors", (1, 1))

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "9")
        await choose(pilot, "weight")
        await press(pilot, "enter", "0", "full_stop", "7", "enter")  # in place of the 1 that stands there
        await choose(pilot, "lora older.safetensors")
        await press(pilot, "c")
        await until_shown(pilot, "Not drawn here.")
        assert "<lora:older:0.7> ohwx" in text(pilot)

    drive(trained, act)
    assert drawn == [("older", 0.7)]


def test_nobody_who_sits_at_the_machine_is_told_of_scp(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("TMUX", raising=False)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "9")
        assert "Copy to a folder" in text(pilot)
        assert "Fetch it" not in text(pilot)

    drive(trained, act)


@pytest.mark.parametrize("length", range(20, 60))
def test_no_full_stop_stands_alone_on_a_line(length: int) -> None:
    command = f"scp me@203.0.113.9:/{'x' * length} ."
    rows = [row.plain.strip() for row in fetch_lines(FetchLine(command, True), 40)]
    said = [row for row in rows if not row.startswith(("Type", "copies"))]
    assert "." not in said
    assert all(len(row) < 40 for row in said)
    assert "\n".join(said).replace("\\\n", "") == command  # which is what a shell reads


def test_nothing_is_offered_that_needs_a_lora_before_there_is_one(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "9")
        assert "none yet: they come with the training" in text(pilot)
        assert "Compare" not in text(pilot)
        assert "Copy to a folder" not in text(pilot)

    drive(folder, act)
