"""Small projects made of generated pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from engine.plan.project import Project

Sizes = list[tuple[int, int]]
MakeFolder = Callable[..., Path]


@pytest.fixture
def pictures_in() -> MakeFolder:
    """Fill a folder with plain pictures: `pictures_in(folder, [(64, 64), (64, 48)], caption="ohwx man")`."""

    def make(folder: Path, sizes: Sizes, caption: str | None = None, ending: str = ".png") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for number, size in enumerate(sizes):
            Image.new("RGB", size, (number % 256, 80, 120)).save(folder / f"{number:03}{ending}")
            if caption is not None:
                (folder / f"{number:03}.txt").write_text(caption, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def project(tmp_path: Path, pictures_in: MakeFolder) -> Project:
    """Three captioned pictures of 64 × 64 in img/10_ohwx man, without a project.toml."""
    pictures_in(tmp_path / "face" / "img" / "10_ohwx man", [(64, 64)] * 3, caption="ohwx, a photo of a man")
    return Project.open(tmp_path / "face")
