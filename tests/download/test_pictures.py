"""Pictures of a data set on Hugging Face: only pictures and captions come, whole and named safely, and go on."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.small_run import make_project
from engine.__main__ import work
from engine.download import job, pictures
from engine.plan.errors import UserError
from engine.plan.picture_sources import HubPictures, hub_pictures, plain_file_name
from engine.runs import folder as folders
from engine.runs import launch
from engine.runs.events import read_all
from engine.runs.job import Job
from lora_tui.cli import main
from tests.download.server import Reply, Request, Server
from tests.training import own_process

COMMIT = "0123456789abcdef" * 2 + "01234567"
NAME = "some/men"


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def files() -> dict[str, bytes]:
    found = {f"man/{number}.png": png(number) for number in range(4)}
    return found | {
        "man/0.txt": b"a man, smiling",
        "man/.hidden.png": png(9),
        "woman/0.png": png(10),
        "README.md": b"x",
        "men.py": b"import os",
        "man/weights.bin": b"pickled",
    }


@pytest.fixture
def hub(server: Server, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that answers as Hugging Face does, as far as huggingface_hub asks for a data set."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(job, "SCHEMES", ("http", "https"))
    monkeypatch.setattr(pictures, "SCHEMES", ("http", "https"))
    monkeypatch.setattr(pictures, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(pictures, "ENDPOINT", f"http://127.0.0.1:{server.port}")

    def listing(_: Request) -> Reply:
        siblings = []
        for name, content in files.items():
            entry: dict[str, object] = {"rfilename": name, "size": len(content)}
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry["blobId"] = git
            if name.endswith((".png", ".zip")):
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        table = {"_id": "1", "id": NAME, "sha": COMMIT, "private": False, "siblings": siblings, "tags": []}
        return Reply(json.dumps(table).encode(), headers={"Content-Type": "application/json"})

    server.pages[f"/api/datasets/{NAME}"] = listing
    for name, content in files.items():
        server.offer(f"/datasets/{NAME}/resolve/{COMMIT}/{name}", content, f'"{name}"')
    return server


def fetched(where: Path, what: str, count: int = 100) -> tuple[int, dict[str, Any]]:
    (where / "runs").mkdir(parents=True, exist_ok=True)
    arguments = {"what": what, "to": str(where / "reg" / "1_man"), "count": count}
    run = folders.create(where / "runs", Job("fetch-pictures", arguments=arguments))
    with own_process():
        code = work(run)
    return code, json.loads(run.result_path.read_text()) if run.result_path.is_file() else list(
        read_all(run.events_path)
    )[-1]


def there(where: Path) -> dict[str, bytes]:
    folder = where / "reg" / "1_man"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def asked_for(hub: Server) -> list[str]:
    return [request.path.rpartition("/")[2] for request in hub.seen if "/resolve/" in request.path]


def test_only_pictures_and_their_captions_come(hub: Server, files: dict[str, bytes], tmp_path: Path) -> None:
    code, result = fetched(tmp_path, f"{NAME}/man")
    assert (code, result["added"], result["complete"]) == (0, 4, True)
    assert there(tmp_path) == {
        **{f"{number}.png": files[f"man/{number}.png"] for number in range(4)},
        "0.txt": b"a man, smiling",
    }
    assert sorted(asked_for(hub)) == ["0.png", "0.txt", "1.png", "2.png", "3.png"]


def test_what_is_there_is_not_fetched_again_whatever_its_name(hub: Server, tmp_path: Path) -> None:
    fetched(tmp_path, f"{NAME}/man", 2)
    folder = tmp_path / "reg" / "1_man"
    (folder / "0.png").rename(folder / "renamed.png")
    asked = len(asked_for(hub))
    code, result = fetched(tmp_path, f"{NAME}/man", 3)
    assert (code, result["added"], result["there"]) == (0, 1, 2)
    assert asked_for(hub)[asked:] == ["2.png"]


def test_a_line_that_breaks_goes_on_and_pictures_of_one_name_get_another(
    hub: Server, files: dict[str, bytes], tmp_path: Path
) -> None:
    hub.pages[f"/datasets/{NAME}/resolve/{COMMIT}/man/1.png"].breaks = [5000]  # type: ignore[attr-defined]
    code, result = fetched(tmp_path, NAME)
    assert (code, result["added"]) == (0, 5)
    assert there(tmp_path)["0-2.png"] == files["woman/0.png"]
    assert asked_for(hub).count("1.png") == 2


def test_what_arrives_damaged_or_is_no_picture_is_not_kept(
    hub: Server, files: dict[str, bytes], tmp_path: Path
) -> None:
    files["man/2.png"] = b"no picture at all" * 100
    hub.offer(f"/datasets/{NAME}/resolve/{COMMIT}/man/2.png", files["man/2.png"])
    code, result = fetched(tmp_path, f"{NAME}/man")
    assert (code, result["added"], result["broken"]) == (0, 3, 1)
    hub.offer(f"/datasets/{NAME}/resolve/{COMMIT}/man/3.png", png(3)[:-1] + b"x")
    code, end = fetched(tmp_path / "other", f"{NAME}/man")
    assert (code, end["code"]) == (1, "damaged")
    assert sorted(there(tmp_path / "other")) == ["0.png", "0.txt", "1.png"]


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def test_a_zip_is_unpacked_only_where_it_is_named_and_leads_nowhere_else(
    hub: Server, files: dict[str, bytes], tmp_path: Path
) -> None:
    members = {"../../outside.png": png(1), "/abs/b.png": png(2), "run.py": b"x", "__MACOSX/._b.png": png(3)}
    files.clear()
    files["men.zip"] = zipped(members)
    hub.offer(f"/datasets/{NAME}/resolve/{COMMIT}/men.zip", files["men.zip"])
    code, end = fetched(tmp_path, NAME)
    assert (code, end["code"]) == (1, "no-pictures")
    assert end["hint"] == f"Name the file to unpack it: {NAME}/men.zip"
    code, result = fetched(tmp_path, f"{NAME}/men.zip")
    assert (code, result["added"]) == (0, 2)
    assert there(tmp_path) == {"outside.png": png(1), "b.png": png(2)}
    code, result = fetched(tmp_path, f"{NAME}/men.zip")
    assert (code, result["added"], result["there"]) == (0, 0, 2)


def test_where_there_is_nothing_the_folders_are_named(hub: Server, tmp_path: Path) -> None:
    code, end = fetched(tmp_path, f"{NAME}/dog")
    assert (code, end["code"], end["hint"]) == (1, "no-pictures", "It has the folders man, woman.")
    hub.pages["/api/datasets/some/other"] = lambda _: Reply(b"{}", 401, {"X-Error-Code": "RepoNotFound"})
    code, end = fetched(tmp_path, "some/other")
    assert (code, end["code"]) == (1, "not-there")
    assert "data set some/other" in end["message"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("owner/name", HubPictures("owner/name")),
        ("owner/name/man/close up/", HubPictures("owner/name", "man/close up")),
        ("https://huggingface.co/datasets/a/b-c/tree/main", HubPictures("a/b-c")),
        ("https://huggingface.co/datasets/a/b/tree/main/man%20x", HubPictures("a/b", "man x")),
        ("https://huggingface.co/datasets/a/b/blob/main/m.zip", HubPictures("a/b", "m.zip")),
        ("datasets/a/b", HubPictures("a/b")),
    ],
)
def test_a_data_set_by_its_name_or_address(text: str, meant: HubPictures) -> None:
    assert hub_pictures(text) == meant


@pytest.mark.parametrize(
    "text", ["", "owner", "https://evil.org/datasets/a/b", "a/b/../../c", "https://huggingface.co/a/b", "a/b/\x1b[1m"]
)
def test_what_is_no_data_set_is_refused(text: str) -> None:
    with pytest.raises(UserError) as refused:
        hub_pictures(text)
    assert refused.value.code == "not-a-source"


def test_names_of_files_from_elsewhere_are_harmless() -> None:
    assert plain_file_name("a/../..\\x\x1b[31m.png") == "x_[31m.png"
    assert plain_file_name("man/.png") == "picture.png"
    assert len(plain_file_name("ä" * 500 + ".png").encode()) < 130


def test_the_command_fetches_as_many_as_are_needed(
    hub: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "zibo", pictures=3, repeats=1)
    engine = (
        "import engine.download.pictures as job; job.SCHEMES = ('http', 'https'); "
        f"job.ENDPOINT = 'http://127.0.0.1:{hub.port}'; from engine.__main__ import main; raise SystemExit(main())"
    )
    monkeypatch.setattr(launch, "ENGINE_COMMAND", (sys.executable, "-c", engine))
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)

    def answer(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main(["regularise", str(project), "--from-hub", f"{NAME}/man", "--json", *arguments])
        said: dict[str, Any] = json.loads(capsys.readouterr().out)
        return int(ended.value.code or 0), said

    code, said = answer()
    assert not code, said
    assert (code, said["classes"][0]["there"], said["missing"]) == (0, 3, 0), said
    assert sorted(path.name for path in (project / "reg" / "1_man").iterdir()) == ["0.png", "0.txt", "1.png", "2.png"]
    assert not list(project.rglob(".incoming"))
