"""A LoRA gets to other programs whole, under a name of its own, and nothing that is there is touched."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.plan import export as module
from engine.plan.errors import UserError
from engine.plan.export import Destination, export, file_stem, prompt_text, usual_folders
from engine.plan.option_values import is_plain_name

ESC = "\x1b"


@pytest.fixture
def lora(tmp_path: Path, safetensors_file: Callable[..., Path]) -> Path:
    return safetensors_file(tmp_path / "run" / "zibo.safetensors", {"lora_unet_x.lora_down.weight": ("F16", (4, 8))})


@pytest.fixture
def other(tmp_path: Path, safetensors_file: Callable[..., Path]) -> Path:
    """As long as `lora`, and different."""
    return safetensors_file(tmp_path / "other" / "zibo.safetensors", {"lora_unet_y.lora_down.weight": ("F16", (4, 8))})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "loras").mkdir()
    return tmp_path / "loras"


# ------------------------------------------------------------------------------------------------------- copying
def test_a_copy_has_the_same_bytes_and_everybody_may_read_it(lora, place):
    lora.chmod(0o600)
    assert export(lora, place) == place / "zibo.safetensors"
    assert (place / "zibo.safetensors").read_bytes() == lora.read_bytes()
    assert (place / "zibo.safetensors").stat().st_mode & 0o777 == 0o644
    assert not (place / "zibo.safetensors").samefile(lora)  # training on does not change it
    assert os.listdir(place) == ["zibo.safetensors"]


@pytest.mark.parametrize("name", ["Zibo v2", "Zibo v2.safetensors", "Zibo v2.SAFETENSORS"])
def test_a_name_may_end_as_the_file_does(lora, place, name):
    assert export(lora, place, name) == place / "Zibo v2.safetensors"


def test_a_large_file_is_not_read_in_one_piece(lora, place, monkeypatch):
    monkeypatch.setattr(module, "_READ_BYTES", 10)
    assert export(lora, place).read_bytes() == lora.read_bytes()
    assert export(lora, place) == place / "zibo.safetensors"  # comparing reads in pieces too


def test_the_same_lora_is_not_copied_twice(lora, place):
    first = export(lora, place)
    before = first.stat()
    assert export(lora, place) == first
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(place) == ["zibo.safetensors"]


def test_a_lora_that_lies_there_already_stays_as_it_is(lora, place):
    before = lora.stat()
    assert export(lora, lora.parent) == lora
    assert (lora.stat().st_ino, lora.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    (place / "zibo.safetensors").symlink_to(lora)
    assert export(lora, place) == place / "zibo.safetensors"
    assert (place / "zibo.safetensors").is_symlink()


def test_another_lora_of_that_name_is_left_and_this_one_gets_a_number(lora, other, place):
    taken = export(other, place)
    bytes_before = taken.read_bytes()
    assert export(lora, place) == place / "zibo-2.safetensors"
    assert export(lora, place) == place / "zibo-2.safetensors"
    assert taken.read_bytes() == bytes_before
    assert (place / "zibo-2.safetensors").read_bytes() == lora.read_bytes()
    assert sorted(os.listdir(place)) == ["zibo-2.safetensors", "zibo.safetensors"]


@pytest.mark.parametrize("kind", ["folder", "dangling link", "pipe"])
def test_whatever_has_the_name_keeps_it(lora, place, kind):
    taken = place / "zibo.safetensors"
    {
        "folder": taken.mkdir,
        "dangling link": lambda: taken.symlink_to(place / "nowhere"),
        "pipe": lambda: os.mkfifo(taken),
    }[kind]()
    assert export(lora, place) == place / "zibo-2.safetensors"
    assert not (place / "nowhere").exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_in_the_last_moment_is_not_written_over(lora, other, place, monkeypatch, links):
    link, copy = os.link, module._copy_into

    def slow(folder: Path, source: Path) -> Path:
        beside = copy(folder, source)
        (place / "zibo.safetensors").write_bytes(other.read_bytes())
        return beside

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(module, "_copy_into", slow)
    monkeypatch.setattr(os, "link", link if links else no_links)
    assert export(lora, place) == place / "zibo-2.safetensors"
    assert (place / "zibo.safetensors").read_bytes() == other.read_bytes()
    assert (place / "zibo-2.safetensors").read_bytes() == lora.read_bytes()
    assert len(os.listdir(place)) == 2


def test_a_disk_without_hard_links_or_permissions(lora, place, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "chmod", refuse)
    assert export(lora, place).read_bytes() == lora.read_bytes()
    assert os.listdir(place) == ["zibo.safetensors"]


# --------------------------------------------------------------------------------------------- what can go wrong
@pytest.mark.parametrize("call", ["mkstemp", "fsync", "open", "replace"])
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.EROFS, "not-writable"),
        (errno.EACCES, "not-writable"),
        (errno.EFBIG, "not-writable"),  # a stick that takes no file above 4 GB
        (errno.EIO, "not-writable"),
    ],
)
def test_a_full_or_broken_disk_leaves_nothing_behind(lora, other, place, monkeypatch, call, number, code):
    export(other, place)
    real_open = os.open

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    def open_but_no_lora(path: Path, *arguments: int) -> int:
        if str(path).endswith(".safetensors"):
            fail()
        return real_open(path, *arguments)

    if call in ("open", "replace"):  # used where there are no hard links
        monkeypatch.setattr(os, "link", fail)
    calls = {"mkstemp": (module.tempfile, fail), "open": (os, open_but_no_lora)}
    where, instead = calls.get(call, (os, fail))
    monkeypatch.setattr(where, call, instead)
    with pytest.raises(UserError) as caught:
        export(lora, place)
    monkeypatch.undo()
    assert caught.value.code == code
    assert str(place) in caught.value.message
    assert os.listdir(place) == ["zibo.safetensors"]
    assert (place / "zibo.safetensors").read_bytes() == other.read_bytes()


def test_an_interrupt_leaves_nothing_behind(lora, place, monkeypatch):
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(lora, place)
    assert os.listdir(place) == []


def test_a_folder_that_is_missing_is_not_made(lora, tmp_path):
    with pytest.raises(UserError, match="does not exist") as caught:
        export(lora, tmp_path / "nowhere")
    assert caught.value.code == "no-such-folder"
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(UserError) as caught:
        export(lora, lora)
    assert caught.value.code == "not-a-folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(lora, place):
    place.chmod(0o500)
    with pytest.raises(UserError) as caught:
        export(lora, place)
    place.chmod(0o700)
    assert caught.value.code == "not-writable"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, "no-such-file"),
        (lambda path: path.mkdir(), "not-a-file"),
        (os.mkfifo, "not-a-file"),
        (lambda path: path.symlink_to(path), "not-readable"),
        (lambda path: path.write_bytes(b""), "truncated"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + b"x" * 100), "is-a-pickle"),
    ],
    ids=["missing", "folder", "pipe", "link loop", "empty", "pickle"],
)
def test_what_is_no_lora_is_not_exported(tmp_path, place, make, code):
    make(tmp_path / "bad.safetensors")
    with pytest.raises(UserError) as caught:
        export(tmp_path / "bad.safetensors", place)
    assert caught.value.code == code
    assert os.listdir(place) == []


def test_half_a_lora_is_not_exported(tmp_path, place, safetensors_file):
    half = safetensors_file(tmp_path / "half.safetensors", {"a": ("F16", (8, 8))}, missing_bytes=5)
    with pytest.raises(UserError, match="not whole"):
        export(half, place)
    assert os.listdir(place) == []


def test_a_source_that_stops_being_readable(lora, place, monkeypatch):
    def broken(path: Path) -> object:
        with module.reading_errors(path):
            yield b"some"
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "_blocks", broken)
    with pytest.raises(UserError) as caught:
        export(lora, place)
    assert (caught.value.code, os.listdir(place)) == ("not-readable", [])
    assert str(lora) in caught.value.message


# ---------------------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    "name", ["a/b", "../zibo", "/etc/zibo", ".zibo", "-zibo", " ", "a\nb", f"{ESC}[31m", "a:1>", "a=b", ".safetensors",
             "x" * 200, "\udce9", "."]
)  # fmt: skip
def test_a_name_that_no_prompt_or_disk_would_take_is_refused(lora, place, name):
    with pytest.raises(UserError) as caught:
        export(lora, place, name)
    assert caught.value.code == "bad-name"
    assert ESC not in str(caught.value)
    assert os.listdir(place) == []


@pytest.mark.parametrize("name", ["Größe", "日本語", "zibo v2.1", "🙂"])
def test_names_of_all_languages(lora, place, name):
    assert export(lora, place, name).name == f"{name}.safetensors"


@pytest.mark.parametrize(
    ("own", "becomes"),
    [
        (f"{ESC}]0;owned\x07zibo", "_]0;owned_zibo"),
        ("a\nb", "a_b"),
        (".zibo", "zibo"),
        ("a<b>:c=d", "a_b__c_d"),
        (os.fsdecode(b"caf\xe9"), "caf_"),
        ("Größe-000002", "Größe-000002"),
    ],
)
def test_a_files_own_name_is_made_plain(lora, place, own, becomes):
    strange = lora.rename(lora.with_name(f"{own}.safetensors"))
    assert is_plain_name(file_stem(strange))
    assert export(strange, place) == place / f"{becomes}.safetensors"


def test_what_to_write_into_a_prompt():
    assert prompt_text("zibo") == "<lora:zibo:1>"
    assert prompt_text("zibo v2", 0.8) == "<lora:zibo v2:0.8>"


# ------------------------------------------------------------------------------------------------------ the folders
def program(folder: Path, kind: str) -> Path:
    """What tells a program by: the files that it brings, and its LoRA folder. Returns that."""
    files = {
        "AUTOMATIC1111": ["webui.py", "webui-user.sh", "modules/shared.py", "models/Lora/x.safetensors"],
        "Forge": ["webui.py", "modules/shared.py", "modules_forge/initialization.py", "models/Lora/x.safetensors"],
        "ComfyUI": ["main.py", "folder_paths.py", "comfy/sd.py", "models/loras/put_loras_here"],
        "ComfyUI desktop": ["custom_nodes/x.py", "models/loras/put_loras_here", "user/x"],
    }[kind]
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder / "models" / ("loras" if kind.startswith("ComfyUI") else "Lora")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, a project in it as the current folder, and none of this machine's own folders."""
    (tmp_path / "home" / "pictures").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home" / "pictures")
    monkeypatch.setattr(module, "USUAL_ROOTS", (tmp_path / "workspace",))
    return tmp_path / "home"


@pytest.mark.parametrize("kind", ["AUTOMATIC1111", "Forge", "ComfyUI", "ComfyUI desktop"])
@pytest.mark.parametrize("where", ["home", "home/sd", "home/Documents/sd", "home/ai/a/b", "workspace", "workspace/sd"])
def test_each_program_is_found_and_told_apart(home, kind, where):
    folder = program(home.parent / where, kind)
    assert usual_folders() == [Destination(kind.split()[0], folder)]


def test_all_at_once_each_of_them_once(home):
    comfy, forge = program(home / "ComfyUI", "ComfyUI"), program(home / "ai" / "webui", "Forge")
    a1111 = program(home.parent / "workspace" / "stable-diffusion-webui", "AUTOMATIC1111")
    (home.parent / "workspace" / "again").symlink_to(home / "ComfyUI")
    expected = {
        Destination("ComfyUI", comfy),
        Destination("Forge", forge),
        Destination("AUTOMATIC1111", a1111),
    }
    found = usual_folders()
    assert set(found) == expected
    assert len(found) == 3
    assert set(usual_folders(home, [])) == expected - {Destination("AUTOMATIC1111", a1111)}


def test_one_folder_of_two_programs_is_named_for_both(home):
    comfy = program(home / "ComfyUI", "ComfyUI")
    program(home / "webui", "Forge")
    (home / "webui/models/Lora/x.safetensors").unlink()
    (home / "webui/models/Lora").rmdir()
    (home / "webui/models/Lora").symlink_to(comfy)
    assert {there.program for there in usual_folders()} == {"ComfyUI", "Forge"}


def test_a_program_beside_the_current_folder(home, monkeypatch):
    project = home.parent / "disk" / "projects" / "zibo"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    folder = program(home.parent / "disk" / "ComfyUI", "ComfyUI")
    assert Destination("ComfyUI", folder) in usual_folders()


def test_folders_that_only_look_like_it_are_not_taken(home):
    (home / "models" / "loras").mkdir(parents=True)
    (home / "sd" / "models" / "Lora").mkdir(parents=True)
    (home / "new" / "models").mkdir(parents=True)
    (home / "new" / "webui.py").touch()  # never started: it has no folder for LoRAs yet
    program(home / "a" / "b" / "too-deep", "ComfyUI")
    program(home / ".trash" / "ComfyUI", "ComfyUI")
    assert usual_folders() == []
    folder = program(home / "ComfyUI", "ComfyUI")  # the folder models beside it does not hide it
    assert usual_folders() == [Destination("ComfyUI", folder)]


def test_loops_of_links_end(home):
    (home / "loop").symlink_to(home)
    (home / "self").symlink_to(home / "self")
    (home / "dangling").symlink_to(home / "nowhere")
    (home / "up").symlink_to(home.parent)
    (home / "a").mkdir()
    (home / "a" / "b").symlink_to(home / "a")
    folder = program(home / "ComfyUI", "ComfyUI")
    program(home / "a" / "c", "Forge")
    assert usual_folders() == [
        Destination("ComfyUI", folder),
        Destination("Forge", home / "a" / "c" / "models" / "Lora"),
    ]


def test_a_program_behind_a_link_is_found_but_no_tree_behind_one_is_searched(home, monkeypatch):
    program(home.parent / "disk" / "x", "Forge")
    program(home.parent / "disk2" / "x", "ComfyUI")
    (home / "forge-link").symlink_to(home.parent / "disk" / "x")
    (home / "tree").symlink_to(home.parent / "disk2")
    assert usual_folders() == [Destination("Forge", home / "forge-link" / "models" / "Lora")]


def test_a_huge_tree_takes_a_bounded_number_of_looks(home, monkeypatch):
    for number in range(30):
        for inner in range(10):
            (home / f"{number:03}" / f"{inner:03}").mkdir(parents=True)
    folder = program(home / "ComfyUI", "ComfyUI")
    deep = program(home / "029" / "ComfyUI", "ComfyUI")
    counts = {"scandir": 0, "stat": 0}
    scandir, stat = os.scandir, os.stat

    def counted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **named: object) -> object:
            counts[name] += 1
            return call(*arguments, **named)

        return wrapped

    monkeypatch.setattr(os, "scandir", counted("scandir", scandir))
    monkeypatch.setattr(os, "stat", counted("stat", stat))
    assert usual_folders() == [Destination("ComfyUI", folder), Destination("ComfyUI", deep)]
    assert counts["scandir"] <= 40

    monkeypatch.setattr(module, "MAX_READS", 5)
    counts.update(scandir=0)
    assert Destination("ComfyUI", folder) in usual_folders()
    assert counts["scandir"] == 5

    monkeypatch.setattr(module, "MAX_ENTRIES", 0)  # as if it stood behind thousands of others
    assert Destination("ComfyUI", folder) in usual_folders()

    monkeypatch.setattr(module, "MAX_LOOKED_AT", 3)
    counts.update(stat=0)
    usual_folders()
    assert counts["stat"] <= 20


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_folders_that_cannot_be_read_are_passed_over(home, monkeypatch, number):
    folder = program(home / "ComfyUI", "ComfyUI")
    (home / "broken" / "x").mkdir(parents=True)
    scandir = os.scandir

    def fail(path: Path) -> object:
        if Path(path).name == "broken":
            raise OSError(number, "no")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)
    assert usual_folders() == [Destination("ComfyUI", folder)]


def test_nowhere_to_look(home, tmp_path, monkeypatch):
    assert usual_folders(tmp_path / "nobody", [tmp_path / "nothing", Path("/dev/null")]) == []

    def gone() -> Path:
        raise FileNotFoundError(errno.ENOENT, "gone")

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "cwd", gone)
    monkeypatch.setattr(Path, "home", nobody)
    assert usual_folders() == []


def test_the_root_as_home_is_not_searched_deep(home, monkeypatch):
    listed: list[str] = []
    scandir = os.scandir

    def note(path: Path) -> object:
        listed.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", note)
    monkeypatch.setattr(module, "USUAL_ROOTS", ())
    usual_folders(Path("/"))
    assert "/" in listed
    assert not any(path.startswith("/proc") for path in listed)
