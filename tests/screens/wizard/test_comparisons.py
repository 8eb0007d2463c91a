"""A drawn comparison is there again after the app was left, and says of what it is."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from textual.pilot import Pilot

from benchmarks.recorded import hold
from engine.plan.project import Project
from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder, create
from lora_tui.comparisons import last_comparison
from lora_tui.follow import project_job
from tests.screens.app_test import text
from tests.screens.wizard.driving import drive, press, until_shown


def drawn(folder: Path, prompt: str = "zibo on a horse", now: float = 1795361412.0) -> RunFolder:
    """A comparison that has ended."""
    project = Project.open(folder)
    arguments = {
        "prompts": [prompt],
        "seeds": [7],
        "weights": [0.0, 0.8],
        "lora": str(folder / "model" / "z.safetensors"),
    }
    run = create(project.runs_dir, project_job("compare", project, project.resolved(), "auto", **arguments), now)
    events = EventWriter(run.events_path)
    for number, weight in enumerate((0.0, 0.8)):
        path = run.samples_dir / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), (200 * number, 0, 0)).save(path)
        events.write("sample", step=0, path=f"samples/{path.name}", prompt=prompt, seed=7, weight=weight)
    run.output_dir.mkdir(exist_ok=True)
    Image.new("RGB", (128, 64)).save(run.output_dir / "comparison.png")
    events.write("end", status="finished", message="Drawn.", output=None)
    hold(run).release()
    return run


def test_the_last_one_is_known_with_all_that_was_drawn(folder: Path) -> None:
    drawn(folder, "older", 1795361300.0)
    run = drawn(folder)
    found = last_comparison(folder)
    assert found is not None
    assert (found.run, found.prompt, found.words) == (run, "zibo on a horse", "z, weight 0.8, seed 7")
    assert [name for _, name in found.named()] == [
        "Without and with z, weight 0.8, seed 7",
        "Without the LoRA",
        "With z, weight 0.8, seed 7",
    ]
    assert found.picture(with_lora=True) == run.samples_dir / "1.png"
    assert last_comparison(folder / "none") is None


def test_it_is_shown_when_somebody_comes_back_and_says_what_it_is(folder: Path) -> None:
    drawn(folder)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "9")
        await until_shown(pilot, "Drawn of: zibo on a horse")
        assert "Drawn of: zibo on a horse (with z, weight 0.8, seed 7)." in " ".join(text(pilot).split())
        await press(pilot, "z")
        assert "Without and with z, weight 0.8, seed 7" in text(pilot)
        await press(pilot, "right")
        assert "Without the LoRA" in text(pilot)

    drive(folder, act)
