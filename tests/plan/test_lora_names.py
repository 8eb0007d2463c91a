"""What the next LoRA will be called, before it is there."""

from __future__ import annotations

from pathlib import Path

from engine.plan.lora_names import free_name, wanted_name
from engine.plan.settings import resolve


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    assert free_name(tmp_path / "nowhere", "zibo") == "zibo"
    (tmp_path / "zibo-000002.safetensors").touch()
    (tmp_path / "zibo-portrait.safetensors").touch()
    assert free_name(tmp_path, "zibo") == "zibo-2"
    (tmp_path / "zibo-2.safetensors").touch()
    assert free_name(tmp_path, "zibo") == "zibo-3"


def test_the_projects_name_where_none_is_wished_for() -> None:
    assert wanted_name(resolve({"output_name": "mine"}), "zibo") == "mine"
    assert "/" not in wanted_name(resolve(), "a/b")
