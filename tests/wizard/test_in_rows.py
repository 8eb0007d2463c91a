"""What the engine says of options, in the words of the wizard's rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.errors import Finding, UserError
from engine.plan.options import by_name
from engine.plan.pictures import Measures
from engine.plan.project import Project
from engine.plan.remedy import set_line
from lora_tui.in_rows import _REMEDIES, error_in_rows, finding_in_rows, in_rows
from lora_tui.option_texts import complaint, shown_value, typed_value
from lora_tui.survey import survey


def test_titles_stand_for_names_and_nothing_else_changes() -> None:
    assert in_rows("network_alpha 96 is above network_dim 32.") == "Alpha 96 is above Rank 32."
    said = "learning_rates of my_own in /data/network_dim/x and /a/network_dim.txt"
    assert in_rows(said) == said


def test_a_line_for_the_file_becomes_the_step() -> None:
    hint = f"Put it on a background. Or: {set_line('alpha_mask', 'true')}"
    assert (
        in_rows(hint) == f"Put it on a background. Or: Set {by_name()['alpha_mask'].title} to true at step 6, Settings."
    )


def test_a_remedy_is_at_hand_in_the_wizard() -> None:
    finding = Finding("x", "With learning_rate = 0 nothing is learnt.", "Set ...", option="learning_rate", value=1e-4)
    assert str(finding_in_rows(finding)) == (
        "With Learning rate = 0 nothing is learnt. Set Learning rate to 0.0001 at step 6, Settings."
    )
    error = UserError("no-base-model", "No base model is chosen.", "Set pretrained_model_name_or_path.")
    assert str(error_in_rows(error)) == "No base model is chosen. Step 5, Base model, chooses one."


def test_what_the_wizard_can_do_is_not_told_as_work_with_files(folder: Path) -> None:
    picture = next(folder.rglob("img/*/*.png"))
    picture.write_bytes(picture.read_bytes()[:60])
    found = survey(Project.open(folder), Measures())
    said = next(str(finding) for finding in found.findings if finding.code == "broken-picture")
    assert said.endswith("Replace it with a whole copy, or leave it out at step 2, Pictures.")
    other = next(path for path in folder.rglob("img/*/*.png") if path != picture)
    other.write_bytes(other.read_bytes()[:60])
    found = survey(Project.open(folder), Measures())
    said = next(str(finding) for finding in found.findings if finding.code == "broken-picture")
    assert said.startswith("2 pictures cannot be read")
    assert said.endswith("Replace them with whole copies, or leave them out at step 2, Pictures.")


def test_a_remedy_is_known_for_something_that_is_found() -> None:
    said = "".join(path.read_text() for path in Path("engine/plan").glob("*.py"))
    assert [code for code in _REMEDIES if f'"{code}"' not in said] == []


def test_no_name_of_an_option_is_left_in_what_the_wizard_finds(folder: Path) -> None:
    project = Project.open(folder)
    project.settings = {"learning_rate": 1e-4, "optimizer_type": "Prodigy", "network_alpha": 640, "noise_offset": 0.9}
    found = survey(project, Measures())
    said = " ".join([*(str(finding) for finding in found.findings), str(found.base_error)])
    assert "Alpha 640 is above Rank" in said
    assert [name for name in by_name() if "_" in name and name in said] == []


def test_what_is_wrong_with_a_value_names_its_row() -> None:
    assert complaint(by_name()["train_batch_size"], "two").startswith("Batch size must be a whole number")


@pytest.mark.parametrize(
    "prompts",
    [(), ("zibo",), ("zibo, hat", "a man --w 512"), ("[red:blue:0.5] hair",), ("[a|b] x", "[c] y"), ("a | b", "c")],
)
def test_prompts_are_typed_as_they_are_shown(prompts: tuple[str, ...]) -> None:
    from engine.plan.settings import parse_text

    option = by_name()["sample_prompts"]
    assert parse_text(option.name, typed_value(option, prompts)) == prompts
    if len(prompts) > 1:
        assert all(prompt in shown_value(option, prompts) for prompt in prompts)


def test_the_list_of_changes_is_named_as_on_the_screens() -> None:
    said = "With the changes that lora-tui estimate lists it needs 4.9 GiB."
    assert in_rows(said) == "With the changes listed under memory it needs 4.9 GiB."
