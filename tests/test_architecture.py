"""The two programs stay apart: import-linter's contracts name every part, and the light ones start without torch."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIGHT = {"plan", "runs"}  # what the app may know of the engine
HEAVY = ["accelerate", "diffusers", "numpy", "peft", "safetensors", "tokenizers", "torch", "transformers"]
MAXIMUM_LINES = 400


def contract(name: str) -> dict[str, list[str]]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    return next(contract for contract in contracts if contract["name"].startswith(name))


def parts_of(package: str) -> set[str]:
    folder = ROOT / package
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return files | {path.parent.name for path in folder.glob("*/__init__.py")}


def loaded_by(modules: list[str]) -> set[str]:
    """The top-level modules in memory after importing these in a fresh interpreter."""
    code = (
        f"import json, sys, {', '.join(modules)}; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def modules_of(folder: Path) -> list[str]:
    paths = [path.relative_to(ROOT).with_suffix("") for path in sorted(folder.rglob("*.py"))]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths if path.name != "__main__"]


def test_contract_names_every_part_of_the_engine_that_the_app_may_not_know():
    forbidden = {name.removeprefix("engine.") for name in contract("The app knows")["forbidden_modules"]}
    assert forbidden == parts_of("engine") - LIGHT


@pytest.mark.parametrize("folder", ["engine/plan", "engine/runs", "lora_tui"])
def test_light_parts_load_nothing_heavy(folder: str):
    assert loaded_by(modules_of(ROOT / folder)).isdisjoint(HEAVY)


def test_engine_loads_nothing_of_the_app():
    assert loaded_by(["engine.__main__"]).isdisjoint({"lora_tui", "textual", "rich"})


def test_files_are_short_enough_to_read():
    sources = [path for package in ("engine", "lora_tui") for path in (ROOT / package).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: lines for name, lines in lengths.items() if lines > MAXIMUM_LINES} == {}


def test_a_dashboard_opens_without_the_settings():
    """They take a third of a second to load, as long as all the rest."""
    assert loaded_by(["lora_tui.screens.dashboard"]).isdisjoint({"pydantic", "tomlkit"})
