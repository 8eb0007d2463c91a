"""A model on Hugging Face: the files that training needs, in the hub's own cache, resumed, and in one sentence without
a network.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.plan.base_model import recognise
from engine.plan.errors import UserError
from engine.runs import launch
from lora_tui.cli import main
from tests.download.conftest import safetensors
from tests.download.server import Reply, Request, Server
from tests.download.test_job import ENGINE

COMMIT = "0123456789abcdef" * 2 + "01234567"
NAME = "some/xl"
BIG = 600_000  # fp16 numbers
WEIGHTS = {
    "unet/diffusion_pytorch_model": BIG,
    "vae/diffusion_pytorch_model": 100,
    "text_encoder/model": 101,
    "text_encoder_2/model": 102,
}
SMALL = {
    "model_index.json": {"_class_name": "StableDiffusionXLPipeline"},
    "unet/config.json": {"block_out_channels": [320], "transformer_layers_per_block": [1, 2, 10]},
    "vae/config.json": {},
    "text_encoder/config.json": {},
    "text_encoder_2/config.json": {},
    "scheduler/scheduler_config.json": {},
    "tokenizer/vocab.json": {},
}
OTHERS = {"sd_xl.safetensors": b"x", "unet/openvino_model.xml": b"x", "README.md": b"x", "unet/model.onnx": b"x"}


@pytest.fixture
def files() -> dict[str, bytes]:
    """What lies in the repository."""
    found = {name: json.dumps(content).encode() for name, content in SMALL.items()} | OTHERS
    for stem, count in WEIGHTS.items():
        found[f"{stem}.safetensors"] = safetensors({"weight": (count,), "more": (count,)})
        found[f"{stem}.fp16.safetensors"] = safetensors({"weight": (count,)})
        found[f"{stem}.bin"] = b"pickled"
    return found


@pytest.fixture
def hub(server: Server, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """A server that answers as Hugging Face does, as far as huggingface_hub asks."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))

    def listing(_: Request) -> Reply:
        siblings = []
        for name, content in files.items():
            entry: dict[str, object] = {"rfilename": name, "size": len(content)}
            if name.endswith(".safetensors"):
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        table = {"_id": "1", "id": NAME, "modelId": NAME, "sha": COMMIT, "private": False, "siblings": siblings}
        return Reply(json.dumps(table).encode(), headers={"Content-Type": "application/json"})

    server.pages[f"/api/models/{NAME}"] = listing
    for name, content in files.items():
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        server.offer(f"/{NAME}/resolve/{COMMIT}/{name}", content, etag, **{"X-Repo-Commit": COMMIT})
    return server


def get(
    hub: Server, cache: Path, report: Callable[[int, int | None], None] = lambda *_: None, full_precision: bool = False
) -> Path:
    from engine.download.hub import download

    return download(
        NAME,
        cache,
        report,
        lambda _: None,
        full_precision=full_precision,
        endpoint=f"http://127.0.0.1:{hub.port}",
        allow_http=True,
        waits=(0.0, 0.0),
    )


def fetched(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("full_precision", [False, True])
def test_only_what_training_needs_is_fetched(hub: Server, tmp_path: Path, full_precision: bool):
    told: list[tuple[int, int | None]] = []
    path = get(hub, tmp_path / "hub", lambda *now: told.append(now), full_precision)
    ending = "safetensors" if full_precision else "fp16.safetensors"
    wanted = {f"{stem}.{'safetensors' if stem.startswith('vae') else ending}" for stem in WEIGHTS}
    assert fetched(path) == wanted | set(SMALL)
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == sum((path / name).stat().st_size for name in wanted)
    base = recognise(NAME)
    assert (base.path, base.size) == (path, "sdxl")
    assert not list((tmp_path / "hub").rglob("*.part*"))
    got = [request.path for request in hub.seen if request.method == "GET" and request.path.endswith(".safetensors")]
    assert sorted(got) == sorted(f"/{NAME}/resolve/{COMMIT}/{name}" for name in wanted)
    asked = len(hub.seen)
    assert get(hub, tmp_path / "hub", full_precision=full_precision) == path
    assert not [request for request in hub.seen[asked:] if request.path.endswith(".safetensors")]


def test_where_there_is_no_half_precision_the_plain_files_are_taken(
    hub: Server, tmp_path: Path, files: dict[str, bytes]
):
    for stem in WEIGHTS:
        del files[f"{stem}.fp16.safetensors"]
    assert f"{next(iter(WEIGHTS))}.safetensors" in fetched(get(hub, tmp_path / "hub"))


class Stop(Exception):  # noqa: N818
    pass


def test_a_large_file_goes_on_where_it_was_stopped(hub: Server, tmp_path: Path):
    def stop(here: int, total: int | None) -> None:
        if here > 700_000:
            raise Stop

    with pytest.raises(Stop):
        get(hub, tmp_path / "hub", stop)
    path = get(hub, tmp_path / "hub")
    assert recognise(path).size == "sdxl"
    ranges = [request.headers["Range"] for request in hub.seen if "Range" in request.headers]
    assert len(ranges) == 1
    assert int(ranges[0].removeprefix("bytes=").rstrip("-")) > 700_000


def test_a_file_that_arrives_damaged_is_not_kept(hub: Server, tmp_path: Path, files: dict[str, bytes]):
    name = "unet/diffusion_pytorch_model.fp16.safetensors"
    damaged = files[name][:-1] + b"\7"
    hub.offer(f"/{NAME}/resolve/{COMMIT}/{name}", damaged, '"other"', **{"X-Repo-Commit": COMMIT})
    with pytest.raises(UserError, match="checksum") as error:
        get(hub, tmp_path / "hub")
    assert error.value.code == "damaged"
    assert not list((tmp_path / "hub").rglob("*.part*"))


def test_a_model_of_another_kind_is_refused_before_its_weights_come(
    hub: Server, tmp_path: Path, files: dict[str, bytes]
):
    content = json.dumps({"_class_name": "FluxPipeline"}).encode()
    files["model_index.json"] = content
    hub.offer(f"/{NAME}/resolve/{COMMIT}/model_index.json", content, '"flux"', **{"X-Repo-Commit": COMMIT})
    with pytest.raises(UserError, match="FluxPipeline"):
        get(hub, tmp_path / "hub")
    assert not [request for request in hub.seen if request.path.endswith(".safetensors")]


def test_a_repository_without_a_folder_names_the_file_in_it(hub: Server, tmp_path: Path, files: dict[str, bytes]):
    del files["model_index.json"]
    with pytest.raises(UserError) as error:
        get(hub, tmp_path / "hub")
    assert error.value.code == "no-folder"
    assert f"lora-tui download https://huggingface.co/{NAME}/resolve/main/sd_xl.safetensors" in error.value.hint


def test_no_such_model_no_network_and_offline_are_one_sentence_each(
    hub: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from huggingface_hub import constants

    hub.pages[f"/api/models/{NAME}"] = lambda _: Reply(b"{}", 401, {"X-Error-Code": "RepoNotFound"})
    with pytest.raises(UserError) as error:
        get(hub, tmp_path / "hub")
    assert error.value.code == "not-there"
    hub.port = 9
    with pytest.raises(UserError) as error:
        get(hub, tmp_path / "hub")
    assert (error.value.code, error.value.message) == ("unreachable", "Hugging Face cannot be reached.")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError) as error:
        get(hub, tmp_path / "hub")
    assert error.value.code == "unreachable"
    assert "HF_HUB_OFFLINE" in error.value.message


def test_the_command_downloads_and_without_a_network_finds_what_is_here(
    hub: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    monkeypatch.setenv("HF_ENDPOINT", hub.url("").rstrip("/"))
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, "-c", f"{ENGINE}raise SystemExit(main())"))

    def answer() -> dict[str, object]:
        with pytest.raises(SystemExit) as ended:
            main(["download", NAME, "--json"])
        assert not ended.value.code
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    first = answer()
    assert first["path"] == str(recognise(NAME).path)
    weights = [request for request in hub.seen if request.method == "GET" and request.path.endswith(".safetensors")]
    assert len(weights) == len(WEIGHTS)
    assert not [request for request in weights if "Authorization" in request.headers]  # it is not huggingface.co
    for path in (tmp_path / "cache").rglob("*"):
        assert not path.is_file() or b"hf_very_secret" not in path.read_bytes()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = answer()
    assert again["path"] == first["path"]
    assert "cannot be reached" in str(again["message"])
