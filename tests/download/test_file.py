"""A model by its URL arrives whole or not at all, whatever the line and the server do on the way."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.download import connection, file, transfer
from engine.plan.errors import UserError
from engine.runs import downloads
from tests.download.conftest import SDXL, safetensors
from tests.download.server import Reply, Request, Server

WAITS = (0.0, 0.0, 0.0)


class Stop(Exception):  # noqa: N818
    pass


def get(
    url: str,
    folder: Path,
    report: Callable[[int, int | None], None] = lambda here, total: None,
    token: str = "",
    waits: tuple[float, ...] = WAITS,
) -> Path:
    return file.download(url, folder, report, lambda seconds: None, token=token, allow_http=True, waits=waits)


def refusal(url: str, folder: Path, **arguments: object) -> UserError:
    with pytest.raises(UserError) as caught:
        get(url, folder, **arguments)  # type: ignore[arg-type]
    return caught.value


def names(folder: Path) -> list[str]:
    """What lies in a folder, our own state aside."""
    return sorted(path.name for path in folder.iterdir() if path.name != "state") if folder.exists() else []


def stopped_after(bytes_: int) -> Callable[[int, int | None], None]:
    def report(here: int, total: int | None) -> None:
        if here >= bytes_:
            raise Stop

    return report


def test_a_file_arrives_under_its_name_and_is_remembered(server: Server, model: bytes, tmp_path: Path):
    server.offer("/a/xl.safetensors", model)
    told: list[tuple[int, int | None]] = []
    path = get(server.url("/a/xl.safetensors"), tmp_path / "models", lambda *now: told.append(now))
    assert path == tmp_path / "models" / "xl.safetensors"
    assert path.read_bytes() == model
    assert names(path.parent) == ["xl.safetensors"]
    assert (told[0], told[-1]) == ((0, len(model)), (len(model), len(model)))
    assert downloads.paths() == [path]
    assert get(server.url("/a/xl.safetensors"), tmp_path / "models") == path
    assert len(server.seen) == 1


def test_the_server_may_name_it_and_a_file_that_is_there_is_not_touched(server: Server, model: bytes, tmp_path: Path):
    server.offer("/download/1", model, **{"Content-Disposition": 'attachment; filename="../../x/My XL.safetensors"'})
    (tmp_path / "My XL.safetensors").write_text("mine")
    assert get(server.url("/download/1"), tmp_path).name == "My XL-2.safetensors"
    assert (tmp_path / "My XL.safetensors").read_text() == "mine"


def test_a_line_that_breaks_again_and_again_loses_nothing(server: Server, model: bytes, tmp_path: Path):
    offer = server.offer("/xl.safetensors", model)
    offer.breaks = [1_200_000, 0, 0, 900_000, 500_000]
    assert get(server.url("/xl.safetensors"), tmp_path).read_bytes() == model
    ranges = [request.headers.get("Range") for request in server.seen]
    assert ranges[0] is None
    assert all(re.fullmatch(r"bytes=\d+-", wanted or "") for wanted in ranges[1:])
    assert all(request.headers.get("If-Range") == '"one"' for request in server.seen[1:])
    assert len(server.seen) == 6


def test_one_that_stays_broken_is_told_and_kept(server: Server, model: bytes, tmp_path: Path):
    offer = server.offer("/xl.safetensors", model)
    offer.breaks = [1_500_000, *[0] * 20]
    error = refusal(server.url("/xl.safetensors"), tmp_path)
    assert (error.code, len(server.seen)) == ("broken-off", 1 + len(WAITS))
    assert "goes on from there" in error.hint
    part = tmp_path / "xl.safetensors.part"
    kept = part.stat().st_size
    assert 1_500_000 - transfer.CHUNK_BYTES <= kept <= 1_500_000
    offer.breaks = []
    assert get(server.url("/xl.safetensors"), tmp_path).read_bytes() == model
    assert server.seen[-1].headers["Range"] == f"bytes={kept}-"
    assert names(tmp_path) == ["xl.safetensors"]


def test_a_stopped_one_goes_on_in_another_process(server: Server, model: bytes, tmp_path: Path):
    server.offer("/xl.safetensors", model)
    with pytest.raises(Stop):
        get(server.url("/xl.safetensors"), tmp_path, stopped_after(2_000_000))
    told: list[int] = []
    assert get(server.url("/xl.safetensors"), tmp_path, lambda here, _: told.append(here)).read_bytes() == model
    assert told[0] >= 2_000_000
    assert len(server.seen) == 2


def test_one_stopped_at_its_last_byte_needs_no_more(server: Server, model: bytes, tmp_path: Path):
    server.offer("/xl.safetensors", model)
    with pytest.raises(Stop):
        get(server.url("/xl.safetensors"), tmp_path, stopped_after(len(model)))
    assert get(server.url("/xl.safetensors"), tmp_path).read_bytes() == model
    assert len(server.seen) == 1


@pytest.mark.parametrize("honest", [True, False], ids=["if-range", "server-ignores-if-range"])
def test_a_file_that_changed_meanwhile_is_not_glued_together(
    server: Server, model: bytes, tmp_path: Path, honest: bool
):
    server.offer("/xl.safetensors", model)
    with pytest.raises(Stop):
        get(server.url("/xl.safetensors"), tmp_path, stopped_after(1_000_000))
    newer = safetensors(SDXL, fill=b"\1")
    server.offer("/xl.safetensors", newer, etag='"two"').obeys_if_range = honest
    assert get(server.url("/xl.safetensors"), tmp_path).read_bytes() == newer


def test_a_server_without_ranges_begins_anew(server: Server, model: bytes, tmp_path: Path):
    offer = server.offer("/xl.safetensors", model)
    offer.obeys_ranges = False
    offer.breaks = [1_200_000]
    assert get(server.url("/xl.safetensors"), tmp_path).read_bytes() == model


def test_a_part_longer_than_the_file_is_begun_anew(server: Server, model: bytes, tmp_path: Path):
    server.offer("/xl.safetensors", model)
    with pytest.raises(Stop):
        get(server.url("/xl.safetensors"), tmp_path, stopped_after(1_000_000))
    with open(tmp_path / "xl.safetensors.part", "ab") as part:
        part.write(bytes(len(model)))
    assert get(server.url("/xl.safetensors"), tmp_path).read_bytes() == model


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<!doctype html><html>log in first</html>" + b" " * 3_000_000, "not-safetensors"),
        (b"PK\x03\x04\x14\x00\x08\x08" + bytes(3_000_000), "is-a-pickle"),
        (b"\xff" * 3_000_000, "not-safetensors"),
        (safetensors({"x.lora_down.weight": (1_500_000,)}), "is-a-lora"),
        (safetensors(SDXL | {"v_pred": (1,), "edm_mean": (1,)}), "edm-unsupported"),
        (safetensors({"cond_stage_model.transformer.x": (1_500_000,)}), "not-sdxl"),
        (safetensors({"encoder.down.0.block.0.conv1.weight": (1_500_000,)}), "not-sdxl"),
        (b"short", "truncated"),
    ],
)
def test_what_is_no_base_model_is_refused_at_once(
    server: Server, tmp_path: Path, content: bytes, code: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 65_536)
    server.offer("/xl.safetensors", content)
    most = 0

    def report(here: int, total: int | None) -> None:
        nonlocal most
        most = max(most, here)

    error = refusal(server.url("/xl.safetensors"), tmp_path, report=report)
    assert error.code == code
    assert server.url("/xl.safetensors") in error.message
    assert most <= 65_536
    assert names(tmp_path) == []


@pytest.mark.parametrize("by", [-1_000_000, 1000])
def test_a_size_that_is_not_that_of_the_header_is_refused_at_once(
    server: Server, model: bytes, tmp_path: Path, by: int
):
    server.pages["/xl.safetensors"] = lambda _: Reply(model, length=len(model) + by)
    error = refusal(server.url("/xl.safetensors"), tmp_path)
    assert error.code == ("truncated" if by < 0 else "damaged")
    assert names(tmp_path) == []


def test_a_file_whose_size_nobody_says_arrives_all_the_same(server: Server, model: bytes, tmp_path: Path):
    server.pages["/xl.safetensors"] = lambda _: Reply(model, length=-1)
    assert get(server.url("/xl.safetensors"), tmp_path).read_bytes() == model
    server.pages["/cut.safetensors"] = lambda _: Reply(model[:-9], length=-1)
    assert refusal(server.url("/cut.safetensors"), tmp_path).code == "truncated"


def test_a_disk_without_room_is_told_before_a_byte_is_written(
    server: Server, model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    server.offer("/xl.safetensors", model)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000_000))
    error = refusal(server.url("/xl.safetensors"), tmp_path)
    assert error.code == "no-room"
    assert "has 3.0 MB" in error.message
    assert names(tmp_path) == []


def redirect(to: str) -> Callable[[Request], Reply]:
    return lambda _: Reply(status=302, headers={"Location": to})


def test_the_token_goes_to_its_own_host_and_never_to_another(server: Server, model: bytes, tmp_path: Path):
    server.offer("/storage/xl.safetensors", model)
    server.pages["/first"] = redirect("/second")
    server.pages["/second"] = redirect(server.url("/third", "localhost"))
    server.pages["/third"] = redirect(server.url("/storage/xl.safetensors"))  # back to the first host
    get(server.url("/first"), tmp_path, token="hf_secret")
    sent = {request.path: request.headers.get("Authorization") for request in server.seen}
    assert sent == {
        "/first": "Bearer hf_secret",
        "/second": "Bearer hf_secret",
        "/third": None,
        "/storage/xl.safetensors": None,
    }
    assert "hf_secret" not in "".join(p.read_text("latin-1") for p in tmp_path.rglob("*") if p.suffix == ".json")


def test_each_host_has_its_own_token(monkeypatch: pytest.MonkeyPatch):
    tokens = {"HF_TOKEN": " hf_1 \n", "CIVITAI_TOKEN": "c2"}
    assert connection.token_for("huggingface.co", tokens) == "hf_1"
    assert connection.token_for("civitai.com", tokens) == "c2"
    for host in ("example.org", "huggingface.co.example.org", "evilhuggingface.co", ""):
        assert connection.token_for(host, tokens) == ""
    with pytest.raises(UserError) as error:
        connection.token_for("civitai.com", {"CIVITAI_TOKEN": "a\r\nX: b"})
    assert "X: b" not in str(error.value)
    monkeypatch.setenv("HF_TOKEN", "hf_1")
    assert file._token("https://huggingface.co/x") == "hf_1"
    assert file._token("https://huggingface.co:8443/x") == ""


def test_a_way_that_leaves_https_is_not_followed(server: Server, tmp_path: Path):
    server.pages["/first"] = redirect("ftp://127.0.0.1/xl.safetensors")
    assert refusal(server.url("/first"), tmp_path).code == "not-https"
    with pytest.raises(UserError) as error:
        file.download(server.url("/first"), tmp_path, lambda *_: None, lambda _: None, waits=())
    assert error.value.code == "not-https"
    server.pages["/round"] = redirect("/round")
    assert refusal(server.url("/round"), tmp_path).code == "refused-by-server"


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "needs-login"), (403, "needs-login"), (404, "not-there"), (410, "not-there"), (418, "refused-by-server")],
)
def test_a_refusal_of_the_server_is_one_sentence(server: Server, tmp_path: Path, status: int, code: str):
    server.pages["/x"] = lambda _: Reply(b"no", status)
    error = refusal(server.url("/x?signature=abc"), tmp_path)
    assert error.code == code
    assert "abc" not in str(error)
    assert len(server.seen) == 1


def test_a_busy_server_is_asked_again(server: Server, model: bytes, tmp_path: Path):
    offer = server.offer("/xl.safetensors", model)
    server.pages["/xl.safetensors"] = lambda request: Reply(b"", 503) if len(server.seen) < 3 else offer(request)
    assert get(server.url("/xl.safetensors"), tmp_path).read_bytes() == model


def test_no_network_is_one_sentence(tmp_path: Path):
    error = refusal("http://127.0.0.1:9/xl.safetensors", tmp_path)
    assert (error.code, error.message) == ("unreachable", "127.0.0.1 cannot be reached.")


def test_two_at_once_do_not_write_into_the_same_part(server: Server, model: bytes, tmp_path: Path):
    server.offer("/xl.safetensors", model)
    codes = []

    def report(here: int, total: int | None) -> None:
        if not codes:
            codes.append("")
            codes.append(refusal(server.url("/xl.safetensors"), tmp_path).code)

    assert get(server.url("/xl.safetensors"), tmp_path, report).read_bytes() == model
    assert codes[1] == "busy"
