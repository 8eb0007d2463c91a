"""Throwing pictures away: with their captions, never over what lies in the trash already."""

from __future__ import annotations

from pathlib import Path

from engine.plan.project import Project
from engine.plan.trash import throw_away, trash_dir


def test_pictures_go_to_the_trash_with_their_captions(tmp_path: Path) -> None:
    folder = tmp_path / "reg" / "1_man"
    folder.mkdir(parents=True)
    project = Project(tmp_path, "zibo")
    for words in ("first", "second"):
        (folder / "a.png").write_text(words)
        (folder / "a.txt").write_text(f"caption of the {words}")
        assert throw_away(project, [folder / "a.png"], now=0) == 1
    (place,) = trash_dir(tmp_path).iterdir()
    thrown = {path.name: path.read_text() for path in (place / "1_man").iterdir()}
    assert thrown == {
        "a.png": "first",
        "a.txt": "caption of the first",
        "a-2.png": "second",
        "a-2.txt": "caption of the second",
    }
    assert list(folder.iterdir()) == []
