"""Each step by prompts: what is said, what is changed, and what is refused."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from engine.plan import presets
from engine.plan.export import Destination
from engine.plan.project import Project
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder
from engine.runs.lock import RunLock
from lora_tui import hardware
from lora_tui import wish as wishes
from lora_tui.prompts import welcome
from lora_tui.prompts.settings import FIRST, listed
from lora_tui.prompts.talk import LeaveError
from tests.plan.kohya.asked import AI_NOW
from tests.prompts.conversation import Answer, Answers, converse, talk
from tests.training import picture


def row(name: str) -> str:
    return str(next(n for n, option in enumerate(listed(), FIRST) if option.name == name))


# -------------------------------------------------------------------------------------------------------------- welcome
def begin(monkeypatch: pytest.MonkeyPatch, *answers: Answer) -> tuple[int, str]:
    """`lora-tui --plain` with these answers: the exit code and all that was said."""
    said = io.StringIO()
    stdin = type("Stdin", (), {"buffer": Answers(list(answers), said)})()
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr("sys.stdout", said)
    return welcome.run(None), said.getvalue()


def test_a_new_project_is_asked_for_and_opened(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = next((folder / "img").iterdir())
    answers = ["new", "", "ze/bra", "zibo", "", "dog", "", "/nowhere", f"'{pictures}'", "", "many", "7", "", "q"]
    code, said = begin(monkeypatch, *answers)
    assert code == 0
    assert "letters, digits and spaces" in said
    assert "is no folder that is there" in said
    assert "Repeats are a whole number" in said
    project = Project.open(tmp_path / "zibo")
    assert (project.trigger, project.class_name, project.preset) == ("zibo", "dog", "guide")
    assert (project.image_dir / "7_zibo dog").is_dir()
    assert wishes.remembered() == wishes.Wish()


def test_what_was_answered_is_kept_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    begin(monkeypatch, "new", "zibo", "q")
    assert wishes.remembered().trigger == "zibo"
    _, said = begin(monkeypatch, "new", "", "q")
    assert "Trigger word; Enter takes zibo, b goes back, q leaves:" in said


def test_a_word_that_the_model_knows_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    _, said = begin(monkeypatch, "new", "woman", "q")
    assert "Warning: " in said


def test_known_projects_are_numbered_and_others_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, said = begin(monkeypatch, "9", "nonsense", "open", "/nowhere", f"open {folder}", "q")
    assert "That is none of these." in said
    assert "Error: " in said
    assert f"Project {Project.open(folder).name}" in said
    _, said = begin(monkeypatch, "1", "q")
    assert f"1. {folder.name}: not trained yet, {folder}" in said
    assert "Step 1 of 9" in said


def test_ctrl_c_leaves_with_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def press() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("lora_tui.prompts.welcome.known_projects", press)
    code, said = begin(monkeypatch)
    assert code == 130
    assert said.endswith("Everything is saved. A training goes on.\n")


# ---------------------------------------------------------------------------------------------------- project, pictures
def test_a_name_and_repeats_are_changed_and_nonsense_is_asked_again(folder: Path) -> None:
    said = converse(folder, "g 1", "1", "../x", "my LoRA", "4", "0", "12", "2", "")
    project = Project.open(folder)
    assert project.name == "my LoRA"
    assert list(project.repeats.values()) == [12]
    assert said.count("Error:") == 2
    assert said.rstrip().endswith("Kept.\nProject>")


def test_a_picture_is_left_out_and_taken_back(folder: Path) -> None:
    said = converse(folder, "g 2", "1", "yes", "l", "1", "no", "99")
    (left,) = Project.open(folder).left_out
    assert left.endswith("00.png")
    assert "It is left out." in said
    assert "There is no picture 99" in said
    converse(folder, "g 2", "1", "yes")
    assert Project.open(folder).left_out == []


def test_pictures_are_taken_over_with_their_captions(folder: Path, tmp_path: Path) -> None:
    more = tmp_path / "more pictures"
    more.mkdir()
    Image.new("RGB", (120, 90), "red").save(more / "red.png")
    (more / "red.txt").write_text("ohwx in red")
    said = converse(folder, "g 2", "add", "/nowhere", f"'{more}'", "", "all")
    assert "1 picture and 1 caption taken over." in said
    assert "red.png. It is trained at" in said
    said = converse(folder, "g 3", "add", str(more), "link")
    assert "1 picture and 1 caption taken over." in said
    assert any(path.is_symlink() for path in (folder / "reg").rglob("red.png"))


# ------------------------------------------------------------------------------------------------------------- captions
def captions(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text().strip() for path in sorted((folder / "img").rglob("*.txt"))}


def test_captions_are_kept_changed_and_gone_back_to(folder: Path) -> None:
    before = captions(folder)
    said = converse(folder, "g 4", "all", "", "a hat", "b", "ohwx, a hat", ":x", "end", "read")
    after = captions(folder)
    assert after == {**before, "01": "ohwx, a hat"}
    assert "The trigger word ohwx is not in it" in said
    assert "2. 01.png: ohwx, a hat" in said


def test_only_missing_captions_are_asked_for(folder: Path) -> None:
    (folder / "img").rglob("03.txt").__next__().unlink()
    said = converse(folder, "g 4", "m", "ohwx, a coat", "m")
    assert captions(folder)["03"] == "ohwx, a coat"
    assert "There is none to write." in said


def test_a_replacement_is_read_made_taken_back_and_done_again(folder: Path) -> None:
    before = captions(folder)
    said = converse(folder, "g 4", "replace man", "boy", "no", "replace man", "boy", "yes")
    assert "becomes: ohwx, a photo of a boy, number 3" in said
    assert "6 captions would be changed." in said
    assert "All captions are as they were." in said
    assert captions(folder)["03"] == "ohwx, a photo of a boy, number 3"
    assert 'Undone: "man" becomes "boy" (6 captions).' in converse(folder, "g 4", "u")
    assert captions(folder) == before
    assert "Done again" in converse(folder, "g 4", "y")
    assert captions(folder)["00"] == "ohwx, a photo of a boy, number 0"


def test_words_are_put_in_front_once(folder: Path) -> None:
    file = next((folder / "img").rglob("02.txt"))
    file.write_text("a man")
    said = converse(folder, "g 4", "front", "", "yes", "front zz,", "no", "u", "u")
    assert "1 caption would be changed." in said
    assert "There is nothing to take back." in said
    assert captions(folder)["02"] == "a man"


def test_each_subject_is_asked_for_its_own_trigger_word(folder: Path) -> None:
    for number, words in enumerate(("rexo, a dog", "a dog")):
        dog = folder / "img" / "1_rexo dog" / f"d{number}.png"
        picture(dog, 30 + number)
        dog.with_suffix(".txt").write_text(words)
    said = converse(folder, "g 4", "m", "a dog again", "front", "", "yes")
    assert "8 pictures, 1 without a caption or without the trigger word." in said
    assert "Begin with the trigger word, ohwx or\nrexo, and" in said
    assert "The trigger word rexo is not in it" in said
    assert "1 caption would be changed." in said
    assert captions(folder)["d1"] == "rexo, a dog again"


def test_a_caption_that_is_no_utf8_is_read_in_another_way(folder: Path) -> None:
    file = next((folder / "img").rglob("02.txt"))
    file.write_bytes(b"ohwx, caf\xe9")
    said = converse(folder, "g 4", "3", "yes", "ohwx, a red caf\xe9")
    assert "As Windows-1252 it reads: ohwx, caf\xe9. Write it so?" in said
    assert file.read_text() == "ohwx, a red caf\xe9\n"
    converse(folder, "g 4", "u", "u")
    assert file.read_bytes() == b"ohwx, caf\xe9"


def test_further_lines_of_a_caption_are_told_before_they_are_dropped(folder: Path) -> None:
    next((folder / "img").rglob("02.txt")).write_text("ohwx, a hat\nohwx, a coat\n")
    assert "Its file has more lines; a change here drops them." in converse(folder, "g 4", "3", "")


def test_a_caption_that_is_no_utf8_is_not_touched(folder: Path) -> None:
    file = next((folder / "img").rglob("02.txt"))
    file.write_bytes(b"caf\xe9")
    said = converse(folder, "g 4", "all", "", "", "", "end")
    assert file.read_bytes() == b"caf\xe9"
    assert "UTF-8" in said


# ------------------------------------------------------------------------------------------------------ model, settings
def test_a_model_is_chosen_by_number_or_path_and_brings_its_preset(folder: Path) -> None:
    said = converse(folder, "g 5", "path /nowhere/model.safetensors", "l")
    assert "Warning: " in said
    assert "It is noted down all the same." in said
    said = converse(folder, "g 5", "1", "l")
    assert "Chosen: micro." in said
    assert Project.open(folder).preset == "demo"


def test_a_setting_shows_all_that_is_known_of_it(folder: Path) -> None:
    said = converse(folder, "g 6", row("network_dim"), "")
    assert "Usual: " in said
    assert "The guide: 96" in said
    assert "The preset says 96" in said
    assert "Its name is network_dim." in " ".join(said.split())


def test_a_value_that_is_none_is_kept_and_not_used(folder: Path) -> None:
    before = Project.open(folder).settings
    said = converse(folder, "g 6", row("train_batch_size"), "two", "", "l")
    assert "Error: Batch size must be a whole number" in said
    assert "You typed two, which cannot be used" in said
    assert Project.open(folder).settings == before
    assert json.loads((folder / ".lora-tui" / "typed.json").read_text()) == {"train_batch_size": "two"}


def test_values_are_set_switched_and_taken_back(folder: Path) -> None:
    rank, buckets, optimizer = row("network_dim"), row("enable_bucket"), row("optimizer_type")
    converse(folder, "g 6", rank, "32", buckets, "off", optimizer, "adamw")
    settings = Project.open(folder).settings
    assert (settings["network_dim"], settings["enable_bucket"], settings["optimizer_type"]) == (32, False, "AdamW")
    said = converse(folder, "g 6", "changed", rank, "d", "advanced", "samples")
    assert "network_dim" not in Project.open(folder).settings
    assert f"{rank}. Rank: 32, changed; the preset says 96" in said


def test_another_preset_is_chosen(folder: Path) -> None:
    number = presets.names().index("demo") + 1
    said = converse(folder, "g 6", "1", "77", str(number), "yes", "l")
    assert "Error: a number from 1 to" in said
    assert "Gradient checkpointing: " in said or "Noise offset: 0.1, then 0.0" in said
    assert Project.open(folder).preset == "demo"
    assert f"1. Start from: {presets.load('demo').title}" in said


def test_a_preset_is_left_alone_after_reading_what_it_changes(folder: Path) -> None:
    before = (folder / "project.toml").read_bytes()
    said = converse(folder, "g 6", "1", str(presets.names().index("character") + 1), "no")
    assert "Limit of the weights: 5.0, then 1.0" in said
    assert "Base model, names, paths and words of this project stay as they are." in said
    assert (folder / "project.toml").read_bytes() == before


def test_ones_own_preset_is_saved_and_listed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    said = converse(folder, "g 6", "save my faces", "", "save my faces", "no", "save ../x", "save guide", "1", "")
    assert said.count("Saved as my faces: ") == 1
    assert "You have a preset my faces already. Replace it?" in said
    assert 'Error: "../x" cannot be the name of a preset.' in said
    assert 'Error: The preset "guide" comes with the program' in said
    assert f"{len(presets.names()) + 1}. my faces (your own). One of your own." in said
    said = converse(folder, "g 6", "save my faces", "yes", "For faces.", "1", "")
    assert "my faces (your own). For faces." in said


def test_settings_of_a_file_are_said_and_taken_when_that_is_wanted(folder: Path, tmp_path: Path) -> None:
    shutil.copy(AI_NOW, tmp_path / "ai now.json")
    before = Project.open(folder).settings
    said = converse(folder, "g 6", f"import {tmp_path / 'ai now.json'}", "no")
    assert "It is a save of kohya_ss' window" in said
    assert "Epochs: " in said
    assert "training_comment" in said
    assert Project.open(folder).settings == before
    said = converse(folder, "g 6", "import", f"'{tmp_path / 'ai now.json'}'", "yes", "import /nowhere.json")
    assert Project.open(folder).settings["max_train_epochs"] == 160
    assert "Error: /nowhere.json does not exist" in said


def test_settings_are_written_for_sd_scripts(folder: Path, tmp_path: Path) -> None:
    said = converse(folder, "g 6", f"export {tmp_path / 'my files'}", "export", "", f"export {folder / 'export'}")
    for place in (tmp_path / "my files", folder / "export"):
        assert f"Written: {place / 'ohwx.toml'}" in said
        assert (place / "ohwx-dataset.toml").is_file()
    assert "Warning: pretrained_model_name_or_path = micro is not exported" in said
    assert "Warning: What the base model predicts is not known here" in said  # another one will be trained
    assert "With sd-scripts: accelerate launch" in said
    assert f"Error: {folder / 'export' / 'ohwx.toml'} is there already." in said


def test_another_gpu_is_planned_for_and_this_machine_again(folder: Path) -> None:
    said = converse(folder, "g 6", "plan rtx 3060 12gb", "plan", "", "plan Voodoo", "plan h100 nvl")
    assert "Planned for RTX 3060 12 GB: 12.0 GiB, bf16" in said
    assert "Enter keeps RTX 3060 12 GB" in said
    assert 'Error: "Voodoo" is not among the known GPUs.' in said
    card = hardware.planned()
    assert card is not None
    assert card.name == "H100 NVL 94 GB"
    assert "Planned for this machine." in converse(folder, "g 6", "plan", "here")
    assert hardware.planned() is None


# -------------------------------------------------------------------------------------------- review, training, results
def test_what_cannot_start_says_why(folder: Path) -> None:
    converse(folder, "g 5", "path /nowhere/model.safetensors")
    said = converse(folder, "g 7", "start")
    assert said.count("Error:") == 2
    assert "Starting the engine" not in said
    assert not (folder / "runs").exists()


def test_a_value_that_is_not_used_asks_before_the_start(folder: Path) -> None:
    said = converse(folder, "g 6", row("train_batch_size"), "two", "", "g 7", "start", "no")
    assert "What you typed is not used." in said
    assert "Not started." in said
    assert not (folder / "runs").exists()


def test_the_review_of_a_folder_that_is_gone_tells_that_and_nothing_else(folder: Path) -> None:
    def move() -> str:
        shutil.move(folder, folder.with_name("elsewhere"))
        return "g 8"

    told = converse(folder, "g 7", move, "g 7", "home").rsplit("<<b'g 7'>>", 1)[1]
    assert "The project's folder is not there any more" in told
    assert "will be called" not in told


def test_without_a_training_or_a_lora_that_is_said(folder: Path) -> None:
    said = converse(folder, "g 8", "stop", "pause", "resume", "g 9", "compare", "export", "home")
    assert said.count("No training is at work now.") == 3
    assert said.count("There is no LoRA yet.\n") == 4  # also how the step stands


def test_a_lora_is_chosen_and_exported_to_a_program(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.recorded import record

    run = record(folder / "runs" / "2026-11-22_153012", 300, "finished", samples=False)
    whole = (run.output_dir / "zibo-portrait.safetensors").read_bytes()
    (folder / "model").mkdir(exist_ok=True)
    for name in ("ohwx-000001", "ohwx"):
        (folder / "model" / f"{name}.safetensors").write_bytes(whole)
    program = tmp_path / "ComfyUI" / "models" / "loras"
    program.mkdir(parents=True)
    monkeypatch.setattr("lora_tui.prompts.results.usual_folders", lambda: [Destination("ComfyUI", program)])
    monkeypatch.setenv("SSH_CONNECTION", "8.8.8.8 5 9.9.9.9 2222")
    said = converse(folder, "g 9", "2", "export", "mine", "1", "export", "", str(tmp_path / "new"), "", "yes", "home")
    assert (program / "mine.safetensors").read_bytes() == whole
    assert (tmp_path / "new" / "ohwx-000001.safetensors").read_bytes() == whole
    assert "<lora:mine:1>" in said
    assert "scp -P 2222 " in said


def test_a_lora_is_exported_in_diffusers_format(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is not a real one here: tests/cli has that."""
    done: list[str] = []

    def convert(run: RunFolder) -> None:
        done.append(Path(run.job.arguments["lora"]).name)
        run.output_dir.mkdir(exist_ok=True)
        content = Path(run.job.arguments["lora"]).read_bytes()
        (run.output_dir / done[-1]).write_bytes(content)
        with RunLock.acquire(run), EventWriter(run.events_path) as events:
            events.write("end", status="failed" if len(done) > 1 else "finished", message="No.", output=None)

    from benchmarks.recorded import record

    source = record(folder / "runs" / "2026-11-22_153012", 10, "finished", samples=False)
    (folder / "model").mkdir(exist_ok=True)
    whole = (source.output_dir / "zibo-portrait.safetensors").read_bytes()
    (folder / "model" / "ohwx.safetensors").write_bytes(whole)
    monkeypatch.setattr("lora_tui.conversion.start", convert)
    monkeypatch.setattr("lora_tui.prompts.results.usual_folders", list)
    said = converse(
        folder, "g 9", "export", "mine", str(tmp_path), "peft", "Diffusers", "export", "", str(tmp_path), "diffusers"
    )
    assert "Error: The format is kohya or diffusers." in said
    assert (tmp_path / "mine.safetensors").read_bytes() == whole
    assert "<lora:" not in said
    assert "Error: No." in said
    assert done == ["ohwx.safetensors"] * 2


def test_numbers_for_comparing_are_asked_again_until_they_are_some(folder: Path) -> None:
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "broken.safetensors").write_bytes(b"no LoRA")
    said = converse(folder, "g 9", "compare", "a man --w ten", "a man", "x", "7", "3", "0.5")
    assert said.count("Error: ") >= 3
    assert "The weight is a number from -2 to 2." in said


def test_leaving_is_an_error_that_says_so(folder: Path) -> None:
    given, _ = talk("q")
    from lora_tui.prompts.walk import Walk

    with pytest.raises(LeaveError):
        Walk(folder, given).run()
