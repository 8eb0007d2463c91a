"""What is said of the GPU where settings are changed and where the training starts: mended by a key, undone by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.errors import Finding
from engine.plan.hardware_checks import as_finding
from engine.plan.memory_fixes import Fix
from engine.plan.project import Project
from lora_tui import hardware
from lora_tui.app import LoraTui
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press

FIX = Fix({"train_batch_size": 1, "gradient_accumulation_steps": 2}, 2**30, "Fewer pictures at once.")
SLOW = Finding("no-bf16", "Tesla T4 only imitates bf16.", "A hint.", blocks_training=True)
SHORT = Finding("does-not-fit", "The training needs 12.1 GiB at its peak.", "A hint.", blocks_training=True)


@pytest.fixture(autouse=True)
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which the training does not fit as long as the batch is 2, and is slow in bf16."""

    def findings(settings: object, *_: object, **__: object) -> list[Finding]:
        slow = [SLOW] if settings.mixed_precision == "bf16" else []  # type: ignore[attr-defined]
        return [*slow, *([SHORT, as_finding(FIX)] if settings.train_batch_size == 2 else [])]  # type: ignore[attr-defined]

    monkeypatch.setattr(hardware, "hardware_findings", findings)


def values(folder: Path) -> dict[str, object]:
    settings = Project.open(folder).settings
    return {name: settings.get(name) for name in ("train_batch_size", "gradient_accumulation_steps")}


def test_one_key_sets_all_that_belongs_together_and_one_takes_it_back(folder: Path) -> None:
    project = Project.open(folder)
    project.settings |= {"train_batch_size": 2}
    project.save()
    before = values(folder)

    async def act(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, LoraTui)
        assert app.pages is not None
        app.pages.go("settings")
        await press(pilot)
        page = app.pages.page("settings")
        from engine.plan.options import by_name

        page.show_option(by_name()["train_batch_size"])  # type: ignore[attr-defined]
        await press(pilot)
        assert "Batch size = 1 saves 1.0 GiB. Fewer pictures at once." in " ".join(text(pilot).split())
        assert "sets it to 1, Batches per step 2" in text(pilot)
        await press(pilot, "m")
        assert "Batch size is 1, Batches per step 2 now; u takes that back." in text(pilot)
        assert values(folder)["train_batch_size"] in (1, None)
        assert Project.open(folder).resolved().train_batch_size == 1
        assert Project.open(folder).resolved().gradient_accumulation_steps == 2
        await press(pilot, "u")
        assert values(folder) == before

    drive(folder, act)


@pytest.mark.parametrize(
    ("changes", "heading", "reasons"),
    [
        ({"train_batch_size": 2}, "This is known to fail on this machine.", [SHORT]),
        ({"mixed_precision": "bf16"}, "This is known to be slow on this machine.", [SLOW]),
        ({"train_batch_size": 2, "mixed_precision": "bf16"}, "This is known to fail on this machine.", [SLOW, SHORT]),
    ],
)
def test_what_is_known_to_fail_or_to_be_slow_is_asked_about_before_it_starts(
    folder: Path, changes: dict[str, object], heading: str, reasons: list[Finding]
) -> None:
    project = Project.open(folder)
    project.settings |= {"mixed_precision": "fp16", "train_batch_size": 1} | changes
    project.save()

    async def act(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, LoraTui)
        assert app.pages is not None
        app.pages.go("review")
        await press(pilot)
        assert all(reason.message in text(pilot) for reason in reasons)
        await press(pilot, "s")
        assert heading in text(pilot)
        assert "Train all the same" in text(pilot)
        await press(pilot, "escape")

    drive(folder, act)
    assert not (folder / "runs").exists()
