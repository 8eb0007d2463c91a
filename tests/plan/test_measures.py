"""`Measures` says what `measure` says, and reads a file only when it has changed."""

from __future__ import annotations

import builtins
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engine.plan.pictures import Measures, Size, measure


@pytest.fixture
def opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each file of the test has been opened by name."""
    counted: Counter[str] = Counter()
    original = builtins.open

    def count_first(name: Any, *rest: Any, **options: Any) -> Any:
        if not isinstance(name, int) and os.fspath(name).startswith(str(tmp_path)):
            counted[Path(name).name] += 1
        return original(name, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "open", count_first)
        yield counted


def draw(path: Path, size: tuple[int, int] = (40, 30), **how: Any) -> Path:
    Image.new("RGB", size, (20, 80, 120)).save(path, **how)
    return path


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def all_kinds(folder: Path) -> list[Path]:
    whole = [draw(folder / f"a{ending}") for ending in (".png", ".jpg", ".webp", ".bmp")]
    whole.append(draw(folder / "turned.jpg", exif=turned()))
    cut = folder / "cut.png"
    cut.write_bytes((folder / "a.png").read_bytes()[:-9])
    (folder / "empty.png").touch()
    (folder / "words.jpg").write_bytes(b"no picture at all")
    (folder / "folder.png").mkdir()
    (folder / "astray.png").symlink_to("nowhere")
    return [
        *whole,
        cut,
        *(folder / name for name in ("empty.png", "words.jpg", "folder.png", "astray.png", "none.png")),
    ]


def test_it_says_what_measure_says_the_first_time_and_after(tmp_path: Path) -> None:
    paths, measures = all_kinds(tmp_path), Measures()
    expected = [measure(path) for path in paths]
    assert [measures(path) for path in paths] == expected
    assert [measures(path) for path in paths] == expected
    assert expected[:5] == [Size(40, 30)] * 4 + [Size(30, 40, turned=True)]
    assert all(size.problem for size in expected[5:])


def test_unchanged_files_are_not_read_again(tmp_path: Path, opens: Counter[str]) -> None:
    paths, measures = [path for path in all_kinds(tmp_path) if path.is_file()], Measures()
    opens.clear()
    for path in paths:
        measures(path)
    assert set(opens) == {path.name for path in paths}
    opens.clear()
    for _ in range(3):
        for path in paths:
            measures(path)
    assert not opens


def test_only_the_changed_one_is_read_again(tmp_path: Path, opens: Counter[str]) -> None:
    one, other, measures = draw(tmp_path / "one.png"), draw(tmp_path / "other.png"), Measures()
    measures(one), measures(other)
    draw(one, (64, 64))
    opens.clear()
    assert measures(one) == Size(64, 64)
    assert measures(other) == Size(40, 30)
    assert set(opens) == {"one.png"}


def test_another_time_is_enough(tmp_path: Path) -> None:
    """The same number of bytes, in the same file."""
    path, measures = draw(tmp_path / "a.bmp", (20, 10)), Measures()
    assert measures(path) == Size(20, 10)
    size, written = path.stat().st_size, path.stat().st_mtime_ns
    path.write_bytes(b"x" * size)
    os.utime(path, ns=(written + 1, written + 1))
    assert measures(path) == measure(path)
    assert measures(path).problem


def test_another_file_of_the_same_size_and_time_is_enough(tmp_path: Path) -> None:
    """What `cp -p` and `mv` leave behind."""
    path, measures = draw(tmp_path / "a.bmp", (8, 4)), Measures()
    assert measures(path) == Size(8, 4)
    other, about = draw(tmp_path / "b.bmp", (4, 8)), path.stat()
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (other.stat().st_size, other.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)
    os.replace(other, path)
    assert measures(path) == Size(4, 8)


def test_a_broken_picture_that_was_mended_is_seen(tmp_path: Path) -> None:
    path, measures = tmp_path / "a.png", Measures()
    path.write_bytes(b"half")
    assert measures(path).problem
    draw(path)
    assert measures(path) == Size(40, 30)


def test_what_has_vanished_is_told_and_does_not_raise(tmp_path: Path) -> None:
    path, measures = draw(tmp_path / "a.png"), Measures()
    assert measures(path) == Size(40, 30)
    path.unlink()
    assert measures(path) == measure(path)
    assert (measures(path).width, measures(path).height) == (0, 0)
    assert measures(path).problem
    draw(path, (64, 32))
    assert measures(path) == Size(64, 32)


def test_what_vanishes_between_the_look_and_the_reading_does_not_raise(tmp_path: Path, monkeypatch) -> None:
    path, measures = draw(tmp_path / "a.png"), Measures()
    original = Path.stat

    def stat_and_lose(self: Path, **options: Any) -> os.stat_result:
        about = original(self, **options)
        if self == path:
            os.unlink(path)
        return about

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stat_and_lose)
        assert measures(path).problem
    draw(path)
    assert measures(path) == Size(40, 30)


def test_two_memories_know_nothing_of_each_other(tmp_path: Path, opens: Counter[str]) -> None:
    path = draw(tmp_path / "a.png")
    Measures()(path)
    opens.clear()
    Measures()(path)
    assert opens["a.png"] > 0
