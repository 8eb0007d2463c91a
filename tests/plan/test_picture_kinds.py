"""Videos, archives and pictures that only other packages read: refused, named or read, each with what to do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image, features

from engine.plan import picture_kinds
from engine.plan.dataset import scan
from engine.plan.errors import UserError
from engine.plan.looks import look_at
from engine.plan.picture_kinds import EXTENSIONS, Plugin
from engine.plan.pictures import formats, load, measure
from engine.plan.project import Project
from engine.plan.take_over import take_over
from tests.plan.drawn import texture

NAME, TRIGGER, CLASS = "face", "ohwx", "man"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "holiday clip.MP4"
    path.write_bytes(b"\0\0\0\x18ftypmp42")
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.png", b"")
    return path


def refused(source: Path, project: Project, tmp_path: Path) -> set[tuple[str, str, str]]:
    """What `new --images` and taking over say of a source."""
    said = set()
    with pytest.raises(UserError) as error:
        Project.create(tmp_path / "new", NAME, TRIGGER, CLASS, 25, images=source)
    said.add((error.value.code, error.value.message.split(";")[0], error.value.hint))
    with pytest.raises(UserError) as error:
        take_over(project, source, "train")
    said.add((error.value.code, error.value.message.split(";")[0], error.value.hint))
    assert not (tmp_path / "new").exists()
    return said


def test_a_video_is_refused_with_how_to_take_pictures_out_of_it(project: Project, video: Path, tmp_path: Path) -> None:
    ((code, message, hint),) = refused(video, project, tmp_path)
    assert (code, message) == ("a-video", f"{video} is a video")
    assert 'ffmpeg -i "holiday clip.MP4" -vf fps=1 frame_%04d.png' in hint


def test_an_archive_is_refused_with_unpacking_it(project: Project, archive: Path, tmp_path: Path) -> None:
    ((code, message, hint),) = refused(archive, project, tmp_path)
    assert (code, message) == ("an-archive", f"{archive} is an archive")
    assert "Unpack" in hint


def test_a_picture_or_another_file_instead_of_a_folder_is_refused(project: Project, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    assert {code for name in ("a.png", "a.txt") for code, *_ in refused(tmp_path / name, project, tmp_path)} == {
        "not-a-folder"
    }


@pytest.mark.parametrize(("name", "word"), [("a.mov", "ffmpeg"), ("a.7z", "Unpack"), ("a.dng", "PNG or JPEG")])
def test_a_folder_of_nothing_else_says_what_is_there(project: Project, tmp_path: Path, name: str, word: str) -> None:
    source = tmp_path / "from"
    source.mkdir()
    (source / name).write_bytes(b"x")
    ((code, message, hint),) = refused(source, project, tmp_path)
    assert code == "no-pictures"
    assert name in message
    assert word in hint


def test_among_pictures_they_are_findings(project: Project, video: Path, archive: Path) -> None:
    folder = project.image_dir / "10_ohwx man"
    for path in (video, archive):
        path.rename(folder / path.name)
    (project.image_dir / "loose.webm").write_bytes(b"x")
    found = [finding for finding in scan(project, project.resolved()).findings if finding.code.endswith("-file")]
    assert [finding.code for finding in found] == ["video-file", "video-file", "archive-file"]
    assert "1 video in 10_ohwx man is not used: holiday clip.MP4." in found[1].message
    assert "Unpack it into 10_ohwx man" in found[2].hint
    assert "loose.webm" in found[0].message


def test_a_numbered_folder_of_a_video_alone_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "p" / "img" / "10_ohwx man"
    folder.mkdir(parents=True)
    (folder / "clip.mkv").write_bytes(b"x")
    project = Project.open(tmp_path / "p")
    with pytest.raises(UserError, match=r"1 video in 10_ohwx man is not used: clip\.mkv") as error:
        scan(project, project.resolved())
    assert "ffmpeg" in error.value.hint


def test_names_of_videos_are_inert(project: Project) -> None:
    (project.image_dir / "10_ohwx man" / "\x1b[31m[red].mp4").write_bytes(b"x")
    (finding,) = (f for f in scan(project, project.resolved()).findings if f.code == "video-file")
    assert "\x1b" not in finding.message + finding.hint


# ------------------------------------------------------------------------------------------------------------- plugins
def saved(folder: Path, ending: str, **values: object) -> Path:
    path = folder / f"photo{ending}"
    texture(1).crop((0, 0, 256, 128)).save(path, quality=95, **values)  # type: ignore[arg-type]
    return path


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow cannot read AVIF")
def test_avif_is_read_where_pillow_can(project: Project) -> None:
    path = saved(project.image_dir / "10_ohwx man", ".avif")
    assert ".avif" in EXTENSIONS
    assert (measure(path).width, measure(path).height) == load(path).size == (256, 128)
    assert look_at(path) is not None


@pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="pillow-heif is not installed")
@pytest.mark.parametrize("ending", [".heic", ".HEIF"])
def test_heic_is_read_where_the_plugin_is_installed(project: Project, ending: str) -> None:
    assert "HEIF" in formats()
    path = saved(project.image_dir / "10_ohwx man", ".heic").rename(project.image_dir / "10_ohwx man" / f"b{ending}")
    assert (measure(path).width, measure(path).height) == load(path).size == (256, 128)
    assert look_at(path) is not None
    names = [picture.path.name for picture in scan(project, project.resolved()).pictures]
    assert path.name in names
    path.write_bytes(path.read_bytes()[:-900])
    assert measure(path).problem


WITHOUT = """
import importlib.util, sys
plain = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.startswith("pillow_") else plain(name, *rest)
from pathlib import Path
from engine.plan.pictures import picture_files
from engine.plan import picture_kinds
pictures, findings = picture_files(Path(sys.argv[1]))
print(len(pictures), picture_kinds.kinds_read(), [str(finding) for finding in findings])
"""


def test_without_the_plugin_it_is_said_what_to_install(tmp_path: Path) -> None:
    for name in ("IMG_1.HEIC", "b.jxl"):
        (tmp_path / name).write_bytes(b"x")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.startswith("0 .png, .jpg")
    assert ".heic" not in done.stdout.split("[")[0]
    assert "2 pictures in" in done.stdout
    assert "pip install pillow-heif pillow-jxl-plugin" in done.stdout


def test_a_plugin_that_does_not_fit_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Plugin(frozenset({".zzz"}), "engine", "none-such", ("ZZZ",))
    monkeypatch.setattr(picture_kinds, "PLUGINS", (broken, Plugin(frozenset({".yyy"}), "antigravity_2", "x", ("YYY",))))

    def load(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(picture_kinds.importlib, "import_module", load)
    assert picture_kinds.plugin_formats.__wrapped__() == ("ZZZ", "YYY")
