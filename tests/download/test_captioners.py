"""A captioner on Hugging Face: the files it needs and no others, into the hub's cache, resumed."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.download import hub
from engine.plan.captioners import MICRO_FOLDER, find, kind_of
from engine.plan.errors import UserError
from engine.runs import launch
from lora_tui.cli import main
from tests.download.conftest import safetensors
from tests.download.server import Reply, Request, Server
from tests.download.test_job import ENGINE
from tests.training import picture

COMMIT = "89abcdef01234567" * 2 + "01234567"
NAME = "some/captioner"
BIG = 600_000

BLIP = {
    "config.json": json.dumps({"model_type": "blip"}).encode(),
    "preprocessor_config.json": b"{}",
    "vocab.txt": b"[PAD]\n",
    "model.safetensors": safetensors({"weight": (BIG,)}),
    "pytorch_model.bin": b"pickled",
    "README.md": b"words",
    "tf_model.h5": b"x",
    "onnx/model.onnx": b"x",
}
TAGGER = {
    "config.json": b"{}",
    "selected_tags.csv": b"tag_id,name,category,count\n1,solo,0,9\n",
    "model.onnx": b"o" * 5_000,
    "model.safetensors": safetensors({"weight": (BIG,)}),
    "model.msgpack": b"x",
}

Offer = Callable[[dict[str, bytes]], Server]


@pytest.fixture
def offer(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Offer:
    """A server that answers as Hugging Face does for a repository of these files."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))

    def make(files: dict[str, bytes]) -> Server:
        siblings = []
        for name, content in files.items():
            entry: dict[str, object] = {"rfilename": name, "size": len(content)}
            if name.endswith((".safetensors", ".onnx", ".bin")):
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            server.offer(f"/{NAME}/resolve/{COMMIT}/{name}", content, etag, **{"X-Repo-Commit": COMMIT})
        table = {"_id": "1", "id": NAME, "modelId": NAME, "sha": COMMIT, "private": False, "siblings": siblings}

        def listing(_: Request) -> Reply:
            return Reply(json.dumps(table).encode(), headers={"Content-Type": "application/json"})

        server.pages[f"/api/models/{NAME}"] = listing
        return server

    return make


def brought(server: Server, tmp_path: Path) -> Path:
    return hub.download(
        NAME,
        tmp_path / "hub",
        lambda here, total: None,
        lambda seconds: None,
        endpoint=server.url(""),
        allow_http=True,
        waits=(0.0,),
    )


def test_a_blip_comes_with_safetensors_and_its_small_files_and_is_found(offer: Offer, tmp_path: Path):
    folder = brought(offer(BLIP), tmp_path)
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "preprocessor_config.json",
        "vocab.txt",
        "model.safetensors",
    }
    found = find(NAME)
    assert (found.kind, found.path) == ("blip", folder)


def test_a_tagger_comes_with_its_onnx_and_its_tags(offer: Offer, tmp_path: Path):
    folder = brought(offer(TAGGER), tmp_path)
    assert {path.name for path in folder.iterdir()} == {"config.json", "selected_tags.csv", "model.onnx"}
    assert find(NAME).kind == "tagger"


def test_a_pickle_is_taken_only_where_there_is_nothing_else(offer: Offer, tmp_path: Path):
    files = {name: content for name, content in BLIP.items() if name != "model.safetensors"}
    assert (brought(offer(files), tmp_path) / "pytorch_model.bin").is_file()


def test_one_that_broke_off_goes_on(offer: Offer, tmp_path: Path):
    server = offer(BLIP)
    path = f"/{NAME}/resolve/{COMMIT}/model.safetensors"
    page = server.pages[path]
    page.breaks = [700_000]  # type: ignore[attr-defined]
    brought(server, tmp_path)
    asked = [request for request in server.seen if request.path == path]
    assert any("Range" in request.headers for request in asked)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"model_type": "bert"}, "no-such-captioner"),
        ({}, "no-such-captioner"),
        (
            {"model_type": "florence2", "auto_map": {"AutoConfig": "configuration_florence2.Florence2Config"}},
            "needs-own-code",
        ),
    ],
)
def test_what_is_no_captioner_is_refused_before_its_weights_come(
    offer: Offer, tmp_path: Path, config: dict[str, object], code: str
):
    server = offer(BLIP | {"config.json": json.dumps(config).encode()})
    with pytest.raises(UserError) as error:
        brought(server, tmp_path)
    assert error.value.code == code
    assert not any(request.path.endswith(".safetensors") for request in server.seen if request.method == "GET")


def test_one_that_is_not_here_says_what_it_weighs_and_how_it_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError) as error:
        find("blip")
    assert error.value.code == "not-downloaded"
    assert "1.9 GB" in error.value.message
    assert "lora-tui download Salesforce/blip-image-captioning-large" in error.value.hint


def test_a_folder_with_half_of_a_model_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "git"}')
    with pytest.raises(UserError) as error:
        kind_of(tmp_path)
    assert error.value.code == "incomplete"
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-00001-of-00002.safetensors").touch()
    with pytest.raises(UserError, match="00002-of-00002"):
        kind_of(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").touch()
    assert kind_of(tmp_path) == "any"


def test_the_command_brings_the_captioner_and_goes_on_with_the_captions(
    offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """From a name on the hub to captions on the disk, the captions' own engine without any network."""
    server = offer({path.name: path.read_bytes() for path in MICRO_FOLDER.iterdir()})
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_ENDPOINT", server.url(""))
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, "-c", f"{ENGINE}raise SystemExit(main())"))
    shown = picture(tmp_path / "face" / "img" / "1_ohwx man" / "0.png", 0)

    def answer(*more: str) -> dict[str, object]:
        with pytest.raises(SystemExit):
            main(["caption", str(tmp_path / "face"), "--model", NAME, "--num-beams", "1", "--json", *more])
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    refused = answer()["error"]
    assert isinstance(refused, dict)
    assert (refused["code"], f"lora-tui download {NAME}" in refused["hint"]) == ("not-downloaded", True)
    assert not server.seen
    assert answer("--yes")["written"] == 1
    assert shown.with_suffix(".txt").read_text().startswith("ohwx, a")
