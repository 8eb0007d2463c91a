"""What a comparison is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui import loras
from lora_tui.draft import Draft


@pytest.mark.parametrize(("prompt", "seeds"), [("ohwx", [7]), ("ohwx --d 5", None), ("ohwx --d -1", None)])
def test_the_prompts_own_seed_goes_before_the_one_that_was_chosen(
    folder: Path, prompt: str, seeds: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loras, "start", lambda run: None)
    run = loras.start_comparison(Draft(folder), folder / "model" / "ohwx.safetensors", prompt, 7, 1.0)
    assert run.job.arguments.get("seeds") == seeds
