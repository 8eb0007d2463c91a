"""What people really give: one clear line, exit code 1, and every file as it was. Or a note, and on with it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.runs.folder import create
from engine.runs.job import Job
from engine.runs.lock import RunLock

Mistake = Callable[[Path, Path], object]


def missing_folder(project: Path, base: Path) -> None:
    shutil.rmtree(project)


def empty_folder(project: Path, base: Path) -> None:
    shutil.rmtree(project)
    project.mkdir()


def a_file_instead(project: Path, base: Path) -> None:
    shutil.rmtree(project)
    project.write_text("x")


def no_picture(project: Path, base: Path) -> None:
    for path in (project / "img" / "2_zibo man").iterdir():
        path.unlink()


def no_usable_picture(project: Path, base: Path) -> None:
    for path in (project / "img" / "2_zibo man").glob("*.png"):
        path.write_bytes(b"no picture")
    shutil.rmtree(project / "reg")


def caption_not_utf8(project: Path, base: Path) -> None:
    (project / "img" / "2_zibo man" / "2.txt").write_bytes(b"zibo, caf\xe9")


def stable_diffusion_1(project: Path, base: Path) -> None:
    _single_file(base, "cond_stage_model.transformer.x", "model.diffusion_model.input_blocks.0.0.weight")


def truncated(project: Path, base: Path) -> None:
    base.write_bytes(base.read_bytes()[:-10])


def a_lora(project: Path, base: Path) -> None:
    _single_file(base, "lora_unet_x.lora_down.weight", "lora_unet_x.lora_up.weight")


def a_web_page(project: Path, base: Path) -> None:
    base.write_text("<!DOCTYPE html>")


def unknown_option(project: Path, base: Path) -> None:
    with (project / "project.toml").open("a") as file:
        file.write("netwerk_dim = 8\n")


def bad_value(project: Path, base: Path) -> None:
    with (project / "project.toml").open("a") as file:
        file.write('network_dim = "many"\n')


def broken_toml(project: Path, base: Path) -> None:
    (project / "project.toml").write_text("[project\n")


def _single_file(path: Path, *names: str) -> None:
    import json

    header = {name: {"dtype": "F16", "shape": [1], "data_offsets": [2 * n, 2 * n + 2]} for n, name in enumerate(names)}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\0\0" * len(names))


TABLE = [
    (missing_folder, "no-such-folder", ["zibo"]),
    (empty_folder, "not-a-project", ["zibo"]),
    (a_file_instead, "not-a-folder", ["zibo"]),
    (no_picture, "no-pictures", ["2_zibo man"]),
    (no_usable_picture, "no-usable-picture", ["img"]),
    (stable_diffusion_1, "not-sdxl", ["base.safetensors", "1.5"]),
    (truncated, "truncated", ["base.safetensors", "bytes"]),
    (a_lora, "is-a-lora", ["base.safetensors"]),
    (a_web_page, "not-safetensors", ["web page"]),
    (unknown_option, "unknown-option", ["netwerk_dim", "network_dim"]),
    (bad_value, "bad-value", ["network_dim", "many"]),
    (broken_toml, "bad-project-file", ["project.toml"]),
]


@pytest.mark.parametrize("command", ["check", "train"])
@pytest.mark.parametrize(("mistake", "code", "said"), TABLE, ids=lambda value: getattr(value, "__name__", ""))
def test_bad_input(lora_tui, project, base_model, tmp_path, tree, command, mistake: Mistake, code, said):
    mistake(project, base_model)
    before = tree(tmp_path)
    answer = lora_tui(command, project, "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == code
    line = answer.err.splitlines()[-1]
    assert answer.err.count("\n") == 1
    assert line.startswith("error: ")
    for words in said:
        assert words in line
    assert tree(tmp_path) == before


def test_training_is_refused_for_captions_that_are_not_utf8_and_all_are_named(lora_tui, project, tmp_path, tree):
    caption_not_utf8(project, project)
    (project / "img" / "2_zibo man" / "0.txt").write_bytes(b"\xff")
    before = tree(tmp_path)
    answer = lora_tui("train", project, "--accept-warnings", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "caption-not-utf8")
    assert answer.err.count("\n") == 1
    assert "2_zibo man/0.txt (byte 0), 2_zibo man/2.txt (byte 9)" in answer.err
    assert tree(tmp_path) == before


def test_check_goes_on_past_a_caption_that_is_not_utf8(lora_tui, project, base_model):
    caption_not_utf8(project, base_model)
    (project / "img" / "2_zibo man" / "0.txt").write_text("", encoding="utf-8")
    answer = lora_tui("check", project, "--json")
    assert answer.code == 1
    found = {finding["code"]: finding for finding in answer.json["warnings"]}
    assert "2_zibo man/2.txt is not UTF-8 at byte 9" in found["caption-not-utf8"]["message"]
    assert "UTF-8" in found["caption-not-utf8"]["hint"]
    assert found["caption-not-utf8"]["level"] == "error"
    assert "caption-empty" in found
    assert answer.json["steps"]["total"] > 0


@pytest.mark.parametrize("command", ["check", "train"])
def test_an_unknown_option_in_set(lora_tui, project, tmp_path, tree, command):
    before = tree(tmp_path)
    answer = lora_tui(command, project, "--set", "netwerk_dim=8", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "unknown-option")
    assert "network_dim" in answer.json["error"]["hint"]
    assert answer.err.count("\n") == 1
    assert tree(tmp_path) == before


def test_max_train_steps_is_refused(lora_tui, project):
    assert "max_train_epochs" in lora_tui("check", project, "--set", "max_train_steps=100").err


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("call", ["os.replace", "os.fsync", "pathlib.Path.mkdir"])
def test_a_full_or_closed_disk(lora_tui, project, tmp_path, tree, monkeypatch, fault, call):
    """As root, and on this file system, only injection makes a disk refuse."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(fault, os.strerror(fault))

    before = tree(tmp_path)
    monkeypatch.setattr(call, refuse)
    answer = lora_tui("train", project, "--json")
    assert answer.code == 1
    assert answer.json["error"]["code"] == ("disk-full" if fault in (errno.ENOSPC, errno.EDQUOT) else "not-writable")
    assert answer.err.splitlines()[-1].startswith("error: ")
    monkeypatch.undo()
    assert tree(tmp_path) == before


def test_a_disk_that_is_full_when_the_engine_is_to_start(lora_tui, project, tmp_path, tree, monkeypatch):
    def no_log(path: Path, flags: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = tree(tmp_path)
    monkeypatch.setattr("engine.runs.detached.open_no_link", no_log)
    answer = lora_tui("train", project, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "disk-full")
    assert tree(tmp_path) == before


def test_prodigy_with_a_learning_rate_of_another_optimizer(lora_tui, project, tmp_path, tree, fake_engine):
    fake_engine()
    low = ["--set", "learning_rate=0.0003"]
    checked = lora_tui("check", project, *low, "--json")
    assert checked.code == 0
    warning = next(w for w in checked.json["warnings"] if w["code"] == "prodigy-learning-rate")
    assert (warning["level"], warning["option"], warning["value"]) == ("warning", "learning_rate", 1.0)
    before = tree(tmp_path)
    refused = lora_tui("train", project, *low, "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "prodigy-learning-rate")
    assert "learning_rate = 1.0" in refused.err
    assert "--accept-warnings" in refused.err
    assert refused.err.count("\n") == 1
    assert tree(tmp_path) == before
    accepted = lora_tui("train", project, *low, "--accept-warnings", "--json")
    assert (accepted.code, accepted.json["state"]) == (0, "finished")


def test_what_cannot_run_at_all_is_not_accepted(lora_tui, project):
    answer = lora_tui("train", project, "--accept-warnings", "--set", "optimizer_args=nonsense=1", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "optimizer-args-unknown")
    assert "--accept-warnings" not in answer.err


def test_the_numbered_folder_instead_of_the_project(lora_tui, project):
    answer = lora_tui("check", project / "img" / "2_zibo man", "--json")
    assert answer.code == 0
    assert answer.json["steps"]["total"] == 16
    assert answer.json["warnings"][0]["level"] == "note"
    assert "note: " in lora_tui("check", project / "img" / "2_zibo man").err


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_check_fails_where_no_training_could_run(lora_tui, project, more):
    """A warning that can be accepted (a rate too low for Prodigy) is not that; a rate of 0 is."""
    assert lora_tui("check", project, "--set", "learning_rate=0.0001", *more).code == 0
    refused = lora_tui("check", project, "--set", "learning_rate=0", *more)
    assert refused.code == 1
    if more:
        assert {"learning-rate-zero"} <= {w["code"] for w in refused.json["warnings"] if w["level"] == "error"}
    else:
        assert "error: With learning_rate = 0" in refused.err


def test_a_broken_picture_is_left_out(lora_tui, project):
    path = project / "img" / "2_zibo man" / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    answer = lora_tui("check", project, "--json")
    assert answer.code == 0
    broken = next(picture for picture in answer.json["pictures"] if picture["path"] == str(path))
    assert (broken["left_out"], broken["repeats"], broken["problems"][0]["code"]) == (True, 0, "broken-picture")
    assert answer.json["steps"]["num_train_images"] == 6
    assert "1.png" in lora_tui("check", project).err


def test_a_second_engine_on_the_same_run(project, fake_engine):
    """`train` makes a run of its own each time; the launcher and the lock refuse a second engine on one."""
    from engine.plan.errors import UserError
    from engine.runs.launch import launch

    fake_engine()
    run = create(project / "runs", Job("train"))
    with RunLock.acquire(run):
        with pytest.raises(UserError) as error:
            launch(run)
        assert error.value.code == "run-busy"
        with pytest.raises(UserError, match="at work"):
            RunLock.acquire(run)


@pytest.mark.parametrize("command", ["inspect", "compare"])
@pytest.mark.parametrize("name", ["missing.safetensors", "folder"])
def test_a_lora_that_is_not_there(lora_tui, tmp_path, tree, command, name):
    (tmp_path / "folder").mkdir()
    before = tree(tmp_path)
    answer = lora_tui(command, tmp_path / name, "--json")
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert tree(tmp_path) == before


def test_comparing_a_project_without_a_lora(lora_tui, project, tmp_path, tree):
    before = tree(tmp_path)
    answer = lora_tui("compare", project, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "no-lora")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("command", [["demo", "--prepare-only"], ["runs"], ["compare"], ["inspect"]])
@pytest.mark.parametrize("path", ["~nobody-at-all/x", "~nobody-at-all/x.safetensors"])
def test_the_home_of_nobody(lora_tui, command, path):
    answer = lora_tui(*command, path, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "no-such-folder")
