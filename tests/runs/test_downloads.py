"""Where downloads were put is remembered, and what is wrong with the list hurts nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.runs import downloads


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))


def made(path: Path) -> Path:
    path.touch()
    return path


def test_downloads_are_remembered_the_newest_first_as_long_as_they_are_there(tmp_path: Path):
    first, second = made(tmp_path / "a.safetensors"), made(tmp_path / "b.safetensors")
    downloads.remember(first, "https://x.org/a")
    downloads.remember(second, "https://x.org/b")
    assert downloads.paths() == [second, first]
    downloads.remember(first, "https://x.org/a")
    assert downloads.paths() == [first, second]
    assert downloads.of_url("https://x.org/b") == second
    second.unlink()
    assert downloads.of_url("https://x.org/b") is None
    assert downloads.paths() == [first]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"models": 3}', '{"models": [{"path": 1, "source": 2}]}', "[" * 9999]
)
def test_a_damaged_list_is_empty(content: str):
    downloads.list_path().parent.mkdir(parents=True, exist_ok=True)
    downloads.list_path().write_text(content)
    assert downloads.paths() == []


def test_files_go_where_models_are_kept(tmp_path: Path):
    if not Path("/workspace").is_dir():
        assert downloads.default_folder() == tmp_path / "models"
    (tmp_path / "Models").mkdir()
    assert downloads.default_folder() == tmp_path / "Models"


def test_what_an_earlier_download_has_left(tmp_path: Path):
    assert downloads.unfinished(tmp_path, "u") == (0, 0)
    (tmp_path / "m.safetensors.part").write_bytes(b"abc")
    (tmp_path / "m.safetensors.part.json").write_text('{"url": "u", "bytes": 9}')
    (tmp_path / "a.part.json").write_text("{")
    assert downloads.unfinished(tmp_path, "u") == (3, 9)
    assert downloads.unfinished(tmp_path, "v") == (0, 0)
