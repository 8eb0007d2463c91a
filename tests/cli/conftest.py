"""The command line as a person meets it, a small project, base models that are only headers, and a fake engine."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engine.runs import launch, queue_runner
from lora_tui.cli import main

FAKE_ENGINE = Path(__file__).parents[1] / "runs" / "fake_engine.py"
FAKE_RUNNER = FAKE_ENGINE.with_name("fake_runner.py")


@dataclass(frozen=True)
class Answer:
    """What a command did. `json` is its stdout, which must be one JSON object and nothing else."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


Run = Callable[..., Answer]


@pytest.fixture(autouse=True)
def home_of_this_test(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, configuration and cache of this test alone; not in `tmp_path`, whose bytes some tests compare."""
    home = tmp_path_factory.mktemp("home")
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))


@pytest.fixture
def lora_tui(capsys: pytest.CaptureFixture[str]) -> Run:
    """`lora_tui("check", folder)` runs a command in this process."""

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Answer(left.value.code, out, err)

    return run


def safetensors(path: Path, tensors: dict[str, list[int]]) -> Path:
    """A safetensors file of zeros, 16 bits a number, that takes no room on disk."""
    end, header = 0, {}
    for name, shape in tensors.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path


@pytest.fixture
def base_model(tmp_path: Path) -> Path:
    """A single file that passes for a practice model, as long as nobody loads it."""
    return safetensors(
        tmp_path / "base.safetensors",
        {
            "model.diffusion_model.input_blocks.0.0.weight": [32, 4, 3, 3],
            "first_stage_model.decoder.conv_in.weight": [4],
            "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": [4],
            "conditioner.embedders.1.model.token_embedding.weight": [4],
        },
    )


def pictures(folder: Path, count: int, caption: str | None = None) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (96, 96), (number * 20, 80, 120)).save(folder / f"{number}.png")
        if caption is not None:
            (folder / f"{number}.txt").write_text(caption)


@pytest.fixture
def project(tmp_path: Path, base_model: Path) -> Path:
    """Four captioned pictures × 2, four regularisation pictures, and settings for the practice model."""
    folder = tmp_path / "zibo"
    pictures(folder / "img" / "2_zibo man", 4, "zibo, a photo of a man")
    pictures(folder / "reg" / "1_man", 4)
    (folder / "project.toml").write_text(
        f"""# mine
[project]
name = "zibo"
trigger = "zibo"
class = "man"
preset = "demo"

[settings]
pretrained_model_name_or_path = "{base_model}"
max_train_epochs = 2
"""
    )
    return folder


@pytest.fixture
def tree() -> Callable[[Path], str]:
    """A hash over the names and bytes of everything below a folder."""

    def digest(folder: Path) -> str:
        total = hashlib.sha256()
        for path in sorted(folder.rglob("*")):
            total.update(str(path.relative_to(folder)).encode("utf-8", "surrogateescape"))
            if path.is_file():
                total.update(path.read_bytes())
        return total.hexdigest()

    return digest


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Launch the stand-in for the engine; `fake_engine(steps=3)` tells it what to do."""

    def use(**ask: Any) -> None:
        monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, str(FAKE_ENGINE)))
        monkeypatch.setattr(queue_runner, "RUNNER_COMMAND", (sys.executable, str(FAKE_RUNNER)))
        monkeypatch.setenv("PYTHONPATH", str(FAKE_ENGINE.parents[2]))
        monkeypatch.setenv("FAKE_ENGINE", json.dumps(ask))

    return use
