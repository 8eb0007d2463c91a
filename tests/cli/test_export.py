"""`lora-tui export`: the LoRA of a run, or a file, into a folder of another program."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.runs.events import EventWriter
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from engine.runs.lock import RunLock

ESC = "\x1b"


def lora_file(path: Path, name: str = "lora_unet_x.lora_down.weight") -> Path:
    """A safetensors file with one small tensor."""
    header = f'{{"{name}": {{"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}}}'.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    return path


def write_run(project: Path, *saved: tuple[str, int], end: str = "finished", kind: str = "train", **arguments: object):
    """A run of 16 steps that has saved these LoRAs, (name, step), and ended so; "" for one that died."""
    run = create(project / "runs", Job(kind, name="zibo", arguments=dict(arguments)), 1795348800.0)
    with RunLock.acquire(run), EventWriter(run.events_path) as events:
        events.write("job", job=kind, total_steps=16, total_epochs=2)
        for name, step in saved:
            events.write("step", step=step, epoch=1, loss=0.5, loss_avg=0.5)
            path = lora_file(run.output_dir / f"{name}.safetensors", f"tensor {run.name} {step}")
            events.write("saved", path=path, epoch=1, step=step, bytes=path.stat().st_size)
        if end:
            events.write("end", status=end, message="", output=run.result_path)
    return run


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "loras").mkdir()
    return tmp_path / "loras"


@pytest.fixture
def finished(project: Path) -> RunFolder:
    return write_run(project, ("zibo-000001", 8), ("zibo", 16))


def test_the_finished_lora_of_a_run(lora_tui, project, finished, place):
    answer = lora_tui("export", finished.path, "--to", place, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.json == {
        "lora": str(place / "zibo.safetensors"),
        "name": "zibo",
        "prompt": "<lora:zibo:1>",
        "format": "kohya",
    }
    copied = place / "zibo.safetensors"
    assert copied.read_bytes() == (finished.output_dir / "zibo.safetensors").read_bytes()


def test_for_people(lora_tui, finished, place):
    answer = lora_tui("export", finished.path, "--to", place)
    assert (answer.code, answer.err) == (0, "")
    first, second = answer.out.splitlines()
    assert first == f"LoRA    {place / 'zibo.safetensors'}"
    assert second.startswith("Prompt  <lora:zibo:1> ")
    assert "ComfyUI" in second


@pytest.mark.parametrize("how", ["last", "name", "path", "project", "relative to the project"])
def test_all_ways_to_name_a_run(lora_tui, project, finished, place, monkeypatch, how):
    monkeypatch.chdir(project if how.startswith(("last", "relative")) else place.parent)
    arguments = {
        "last": ["last"],
        "name": [finished.name, "--project", project],
        "path": [finished.path],
        "project": [project],
        "relative to the project": [f"runs/{finished.name}"],
    }[how]
    answer = lora_tui("export", *arguments, "--to", place, "--json")
    assert (answer.code, answer.json["name"]) == (0, "zibo")


def test_a_lora_file(lora_tui, tmp_path, place):
    lora = lora_file(tmp_path / "somebody's.safetensors")
    answer = lora_tui("export", lora, "--to", place, "--name", "Größe 2", "--json")
    assert answer.json == {
        "lora": str(place / "Größe 2.safetensors"),
        "name": "Größe 2",
        "prompt": "<lora:Größe 2:1>",
        "format": "kohya",
    }
    assert answer.out.isascii()


@pytest.mark.parametrize("length", [0x0280, 0x0380, 0x0480, 0x00040280, 0x023C, 0x0A3C, 0x3C20])
def test_a_header_whose_length_looks_like_a_pickle_or_a_web_page(lora_tui, tmp_path, place, length):
    """The first bytes of the file are then those that a pickle of protocol 2, 3 or 4, or a web page, begins with."""
    from engine.plan.safetensors_header import read_header

    lora = lora_file(tmp_path / "unlucky.safetensors")
    content = lora.read_bytes()
    header = content[8:-8].ljust(length)
    lora.write_bytes(length.to_bytes(8, "little") + header + content[-8:])
    assert list(read_header(lora)[0]) == ["lora_unet_x.lora_down.weight"]
    answer = lora_tui("export", lora, "--to", place, "--json")
    assert answer.code == 0, answer.err
    assert (place / "unlucky.safetensors").read_bytes() == lora.read_bytes()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_real_pickle_is_refused(lora_tui, tmp_path, place, protocol):
    lora = tmp_path / "a.safetensors"
    lora.write_bytes(pickle.dumps({"{": ["{"] * 8}, protocol))
    answer = lora_tui("export", lora, "--to", place, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "is-a-pickle" if protocol < 5 else "not-safetensors")
    assert not list(place.iterdir())


@pytest.mark.parametrize("end", ["", "stopped", "failed"])
def test_of_an_unfinished_run_the_newest_lora_is_taken_and_it_is_said(lora_tui, project, place, end):
    run = write_run(project, ("zibo-000001", 8), ("zibo-step00000012", 12), end=end)
    answer = lora_tui("export", run.path, "--to", place, "--json")
    assert answer.json["name"] == "zibo-step00000012"
    assert answer.err == f"Of the run {run.name} ({end or 'died'}) this is the LoRA of step 12 of 16.\n"


def test_of_a_run_at_work_too(lora_tui, project, place):
    run = create(project / "runs", Job("train", name="zibo"))
    with RunLock.acquire(run), EventWriter(run.events_path) as events:
        events.write("job", job="train", total_steps=16, total_epochs=2)
        events.write("step", step=8, epoch=1, loss=0.5, loss_avg=0.5)
        missing = lora_tui("export", run.path, "--to", place, "--json")
        assert (missing.code, missing.json["error"]["code"]) == (1, "no-lora")
        events.write("saved", path=lora_file(run.output_dir / "zibo-000001.safetensors"), epoch=1, step=8, bytes=9)
        answer = lora_tui("export", run.path, "--to", place, "--json")
    assert answer.json["name"] == "zibo-000001"
    assert "(training)" in answer.err


def test_a_lora_that_was_deleted_is_passed_over(lora_tui, finished, place):
    (finished.output_dir / "zibo.safetensors").unlink()
    answer = lora_tui("export", finished.path, "--to", place, "--json")
    assert answer.json["name"] == "zibo-000001"
    assert "step 8 of 16" in answer.err


def test_a_run_without_a_lora_says_how_to_go_on(lora_tui, project, place):
    run = write_run(project, end="stopped")
    answer = lora_tui("export", run.path, "--to", place, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "no-lora")
    assert f"lora-tui resume {run.path}" in answer.json["error"]["hint"]
    assert os.listdir(place) == []


def test_last_is_the_last_training_with_a_lora(lora_tui, project, place):
    """Not a comparison, not one that has saved nothing yet, and not the demo's counter-example."""
    write_run(project, ("zibo", 16))
    write_run(project, ("no-reg", 16), no_reg=True)
    write_run(project, kind="compare")
    write_run(project, end="stopped")
    assert lora_tui("export", "last", "--project", project, "--to", place, "--json").json["name"] == "zibo"


def test_a_log_cannot_name_a_file_outside_the_run(lora_tui, project, tmp_path, place):
    lora_file(tmp_path / "secret.safetensors")
    run = create(project / "runs", Job("train", name="zibo"))
    with RunLock.acquire(run), EventWriter(run.events_path) as events:
        events.write("job", job="train", total_steps=16, total_epochs=2)
        events.write("saved", path=str(tmp_path / "secret.safetensors"), epoch=1, step=8, bytes=9)
    answer = lora_tui("export", run.path, "--to", place, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "no-lora")


# --------------------------------------------------------------------------------------------------- where it goes
def test_another_lora_of_the_name_is_left_and_it_is_said(lora_tui, finished, place):
    there = lora_file(place / "zibo.safetensors").read_bytes()
    answer = lora_tui("export", finished.path, "--to", place, "--json")
    assert answer.json == {
        "lora": str(place / "zibo-2.safetensors"),
        "name": "zibo-2",
        "prompt": "<lora:zibo-2:1>",
        "format": "kohya",
    }
    assert "zibo-2.safetensors" in answer.err
    assert (place / "zibo.safetensors").read_bytes() == there
    again = lora_tui("export", finished.path, "--to", place, "--json")
    assert again.json == answer.json
    assert len(os.listdir(place)) == 2


def test_exporting_twice_changes_nothing(lora_tui, finished, place, tree: Callable[[Path], str]):
    lora_tui("export", finished.path, "--to", place)
    before = tree(place.parent)
    answer = lora_tui("export", finished.path, "--to", place)
    assert (answer.code, answer.err) == (0, "")
    assert tree(place.parent) == before


def test_the_run_and_the_project_stay_as_they_are(lora_tui, project, finished, place, tree: Callable[[Path], str]):
    before = tree(project)
    assert lora_tui("export", finished.path, "--to", place).code == 0
    assert tree(project) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["last", "--to", "missing"], "no-such-folder"),
        (["last", "--to", "base.safetensors"], "not-a-folder"),
        (["last", "--to", "~nobody-at-all/x"], "no-such-folder"),
        (["last", "--to", "loras", "--name", f"{ESC}[31m/"], "bad-name"),
        (["missing.safetensors", "--to", "loras"], "no-such-file"),
        (["loras/broken.safetensors", "--to", "loras"], "truncated"),
        (["2020-01-01_000000", "--to", "loras"], "no-such-run"),
        ([f"{ESC}]0;x\x07", "--to", "loras"], "no-such-run"),
        (["~nobody-at-all/x.safetensors", "--to", "loras"], "no-such-folder"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_1(
    lora_tui, project, finished, place, tree: Callable[[Path], str], monkeypatch, arguments, code
):
    monkeypatch.chdir(place.parent)
    (place / "broken.safetensors").write_bytes(b"lora")
    before = tree(place.parent)
    for as_json in (False, True):
        answer = lora_tui("export", *arguments, "--project", project, *["--json"] * as_json)
        assert answer.code == 1
        assert answer.err.count("\n") == 1
        assert ESC not in answer.err
        assert "Traceback" not in answer.err
        assert answer.out == "" or answer.json["error"]["code"] == code
    assert tree(place.parent) == before


def test_a_full_disk(lora_tui, finished, place, monkeypatch):
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    answer = lora_tui("export", finished.path, "--to", place, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "disk-full")
    assert os.listdir(place) == []


def test_names_from_strangers_are_inert(lora_tui, tmp_path):
    folder = tmp_path / f"{ESC}]0;owned\x07\u202e"
    folder.mkdir()
    lora = lora_file(folder / f"{ESC}[2Jzibo\n.safetensors")
    for as_json in (False, True):
        answer = lora_tui("export", lora, "--to", folder, *["--json"] * as_json)
        assert answer.code == 0
        assert not set(answer.out + answer.err) & {ESC, "\x07", "\u202e"}
    assert answer.json["name"] == "_[2Jzibo_"
    assert Path(answer.json["lora"]).read_bytes() == lora.read_bytes()  # programs get the real path


# --------------------------------------------------------------------------------------------------- without --to
@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder as the current one, and none of this machine's own folders."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.setattr("engine.plan.export.USUAL_ROOTS", ())
    return tmp_path / "home"


@pytest.mark.parametrize("to", [[], ["--to", ""]])
def test_without_a_folder_it_says_which_there_are(lora_tui, home, to):
    for name in ("ComfyUI/models/loras", "my webui/models/Lora"):
        (home / name).mkdir(parents=True)
    (home / "ComfyUI" / "folder_paths.py").touch()
    (home / "my webui" / "webui.py").touch()
    answer = lora_tui("export", "last", *to)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert f"--to {home}/ComfyUI/models/loras (ComfyUI)" in answer.err
    assert f"--to '{home}/my webui/models/Lora' (AUTOMATIC1111)" in answer.err
    as_json = lora_tui("export", "last", *to, "--json")
    assert (as_json.code, as_json.json["error"]["code"]) == (2, "usage")
    assert "ComfyUI/models/loras" in as_json.json["error"]["hint"]


def test_without_a_folder_and_without_any_it_says_where_they_usually_are(lora_tui, home):
    answer = lora_tui("export", "last")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "models/loras" in answer.err


def test_something_to_export_must_be_named(lora_tui, place):
    answer = lora_tui("export", "--to", place, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "usage")


# ------------------------------------------------------------------------------------------------ diffusers' format
def small_lora(path: Path) -> Path:
    """One layer of SDXL, of rank 2 and alpha 1: (4, 2) ups of ones."""
    import numpy as np
    from safetensors.numpy import save_file

    stem = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    tensors = {
        f"{stem}.lora_down.weight": np.ones((2, 4), np.float16),
        f"{stem}.lora_up.weight": np.ones((4, 2), np.float16),
        f"{stem}.alpha": np.array(1, np.float16),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"ss_output_name": "zibo"})
    return path


def test_in_diffusers_format_by_a_real_engine(lora_tui, tmp_path, place):
    from safetensors.numpy import load_file

    from engine.runs.places import cache_dir

    lora = small_lora(tmp_path / "zibo.safetensors")
    before = lora.read_bytes()
    answer = lora_tui("export", lora, "--to", place, "--format", "diffusers", "--json")
    assert answer.code == 0, answer.err
    assert answer.json == {
        "lora": str(place / "zibo.safetensors"),
        "name": "zibo",
        "prompt": None,
        "format": "diffusers",
    }
    made = load_file(place / "zibo.safetensors")
    layer = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    assert set(made) == {f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"}
    assert float(made[f"{layer}.lora_B.weight"].max()) == 0.5  # alpha is in it
    assert lora.read_bytes() == before
    assert not list((cache_dir() / "runs").glob("*/output/*"))  # nothing of its size stays behind


@pytest.mark.proof  # another start of the engine; the names: tests/lora/test_diffusers_format
def test_a_file_of_diffusers_gets_the_names_that_the_programs_read(lora_tui, tmp_path, place):
    import numpy as np
    from safetensors.numpy import load_file, save_file

    layer = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    halves = {f"{layer}.lora_A.weight": np.ones((2, 640)), f"{layer}.lora_B.weight": np.ones((640, 2))}
    save_file(halves, tmp_path / "theirs.safetensors")
    answer = lora_tui("export", tmp_path / "theirs.safetensors", "--to", place, "--json")
    assert (answer.code, answer.json["prompt"]) == (0, "<lora:theirs:1>"), answer.err
    made = load_file(place / "theirs.safetensors")
    stem = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    assert set(made) == {f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"}
    assert float(made[f"{stem}.alpha"]) == 2
    lora_file(tmp_path / "flux.safetensors", "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight")
    answer = lora_tui("export", tmp_path / "flux.safetensors", "--to", place, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "not-a-lora")
    assert [path.name for path in place.iterdir()] == ["theirs.safetensors"]


def test_in_diffusers_format_what_cannot_be_done_is_said_before_an_engine_starts(
    lora_tui, finished, place, monkeypatch
):
    monkeypatch.setattr("lora_tui.follow.run_job", lambda *_: pytest.fail("an engine was started"))
    for arguments, code in ((["--to", place / "no"], "no-such-folder"), (["--to", place, "--name", "a/b"], "bad-name")):
        answer = lora_tui("export", finished.path, *arguments, "--format", "diffusers", "--json")
        assert (answer.code, answer.json["error"]["code"]) == (1, code)
    assert lora_tui("export", finished.path, "--to", place, "--format", "peft").code == 2
