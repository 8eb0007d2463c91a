"""`doctor`: what stands in the way, each with what to do, and never a traceback."""

from __future__ import annotations

import errno
import fcntl
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from engine.plan.gpus import Found, Gpu, MemoryUser
from engine.runs import on_end
from lora_tui import checkup, hardware, hardware_checkup, torch_checkup


@pytest.fixture
def quick(monkeypatch):
    """Without torch, which takes seconds."""
    monkeypatch.setattr(checkup, "_torch", lambda: [checkup.Check("torch", "ok", "2.13.0")])


def by_name(answer) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in answer.json["checks"]}


def test_the_real_torch_of_this_machine(lora_tui):
    answer = lora_tui("doctor", "--json")
    checks = by_name(answer)
    assert checks["torch"]["status"] == "ok"
    assert checks["torch"]["value"].startswith(metadata.version("torch").split("+")[0])
    assert any(name.startswith("device") for name in checks)
    assert "sdpa with" in checks["attention sdpa"]["value"]
    assert checks["weights fp8"]["value"] == "base_weights fp8 works"
    assert "attention xformers" in checks
    assert answer.json["gpus"] == [] or answer.json["driver"]
    assert answer.code == 0


def test_every_part_has_its_line(lora_tui, quick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = lora_tui("doctor", "--json")
    checks = by_name(answer)
    assert set(answer.json["checks"][0]) == {"name", "status", "value", "advice"}
    for name in (
        "Python", "driver", "torch", "textual", "pillow", "processor", "memory", "this folder", "cache", "state",
        "hub", "hub token", "config", "queue",
    ):  # fmt: skip
        assert checks[name]["status"] in ("ok", "warning"), name
    assert str(tmp_path) in checks["this folder"]["value"]
    assert str(on_end.config_path()) in checks["config"]["value"]
    assert {"bitsandbytes", "xformers"} <= set(checks)  # present or not: what needs them is named
    assert any(name.startswith("terminal: ") for name in checks)
    shown = lora_tui("doctor")
    assert shown.code == 0
    assert len(shown.out.splitlines()) > len(checks)
    assert "ok  Python" in shown.out


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('libcudnn.so.9 is missing')", "libcudnn.so.9 is missing"),
        ("import os; os.abort()", "cannot be loaded"),
        ("import time; time.sleep(60)", "does not answer"),
        ("print('hello'); __version__ = 3", "cannot be loaded"),
    ],
)
def test_a_torch_that_does_not_work(lora_tui, tmp_path, monkeypatch, code, said):
    (tmp_path / "torch.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(checkup, "TORCH_SECONDS", 3.0)
    answer = lora_tui("doctor", "--json")
    torch = by_name(answer)["torch"]
    assert (answer.code, torch["status"]) == (1, "error")
    assert said in torch["value"]
    assert torch["advice"]


def test_a_card_that_torch_lists_and_cannot_use():
    card = {"name": "RTX 9090", "problem": "CUDA error: no kernel image", "free_bytes": 1, "total_bytes": 2}
    good = {"name": "RTX 4090", "problem": "", "free_bytes": 20 * 10**9, "total_bytes": 24 * 10**9}
    found = {"torch": "2.13.0", "cuda": "12.6", "gpus": [card, good], "mps": False, "why": ""}
    bad, well = torch_checkup.devices(found)
    assert (bad.name, bad.status) == ("device cuda:0", "error")
    assert "no kernel image" in bad.value
    assert "build of torch" in bad.advice
    assert (well.status, well.value) == ("ok", "RTX 4090, 24.0 GB, 20.0 GB of it free")


def told(*lines: str) -> bytes:
    return "\n".join(lines).encode()


BASE = '{"torch": "2.13.0", "cuda": null, "gpus": [], "mps": false, "why": "no NVIDIA driver answers"}'


def test_what_ends_the_probe_is_named_and_the_rest_is_still_told():
    said = told(BASE, '{"ability": "sdpa math", "works": true, "missing": "", "why": ""}', '{"trying": "xformers"}')
    lines = torch_checkup.checks(torch_checkup.read(said, b"Segmentation fault", -11, False), 60)
    found = {line.name: line for line in lines}
    assert found["torch"].status == "ok"
    assert found["attention sdpa"].status == "warning"
    assert "slow" in found["attention sdpa"].advice
    assert "ends the program that tries it (exit code -11)" in found["attention xformers"].value
    hung = torch_checkup.checks(torch_checkup.read(told(BASE, '{"trying": "nf4"}'), b"", -9, True), 60)
    assert "base_weights nf4 does not answer" in hung[-1].value


@pytest.mark.parametrize("line", ["[" * 50_000, "[]", '{"torch": 3}', '{"torch": "x", "gpus": 1}', "\x1b[2J", "nan"])
def test_a_probe_that_says_nonsense_is_a_torch_that_cannot_be_loaded(line):
    (check,) = torch_checkup.checks(torch_checkup.read(told(line), b"", 0, False), 60)
    assert (check.name, check.status) == ("torch", "error")
    assert check.advice


def test_packages_that_do_not_work_here():
    said = told(
        BASE,
        '{"ability": "sdpa flash", "works": true, "missing": "", "why": ""}',
        '{"ability": "sdpa cudnn", "works": false, "missing": "", "why": "no"}',
        '{"ability": "xformers", "works": false, "missing": "xformers", "why": ""}',
        '{"ability": "AdamW8bit", "works": false, "missing": "", "why": "built for CUDA 11"}',
    )
    found = {line.name: line for line in torch_checkup.checks(torch_checkup.read(said, b"", 0, False), 60)}
    assert found["attention sdpa"].value == "sdpa with flash; not here: cudnn"
    assert found["attention xformers"].status == "ok"
    assert "pip install xformers" in found["attention xformers"].value
    assert (found["AdamW8bit"].status, "Adafactor" in found["AdamW8bit"].advice) == ("warning", True)


def test_gpus_with_what_takes_their_memory():
    users = (MemoryUser(7, "ollama", 9 * 2**30), MemoryUser(8, "Xorg"))
    card = Gpu(
        "RTX 3090", "cuda", 24 * 2**30, 14 * 2**30, (8, 6), True, users=users, remarks=("A slice (MIG) of a card.",)
    )
    old = Gpu("Tesla T4", "cuda", 15 * 2**30, 15 * 2**30, (7, 5), False)
    driver, first, second = hardware_checkup.gpu_checks(Found("cuda", (card, old), "570.86", "12.8"))
    assert driver.value == "NVIDIA 570.86, runs programs made for CUDA 12.8 and older"
    assert first.value == ("RTX 3090, NVIDIA GPU (CUDA), 24.0 GiB, 14.0 GiB of it free, compute capability 8.6, bf16")
    assert first.advice == (
        "A slice (MIG) of a card. Its memory is used by ollama (9.0 GiB), Xorg; close what is not needed."
    )
    assert "no bf16, so fp16" in second.value


def test_a_driver_that_does_not_answer_is_said_with_what_to_do():
    (check,) = hardware_checkup.gpu_checks(Found("cuda", problem="It hangs.", advice="Restart.", unsure=True))
    assert (check.name, check.status, check.value, check.advice) == ("driver", "warning", "It hangs.", "Restart.")
    (none,) = hardware_checkup.gpu_checks(Found())
    assert (none.status, none.value) == ("ok", "the processor only: no GPU driver is installed")


@pytest.mark.parametrize(
    ("driver", "built", "status"),
    [("12.8", "12.6", "ok"), ("12.4", "12.8", "ok"), ("12.8", "13.0", "error"), ("13.0", "12.8", "ok")],
)
def test_a_driver_that_is_too_old_for_torch(driver, built, status):
    (check,) = hardware_checkup.cuda_check(Found("cuda", cuda=driver), built)
    assert check.status == status
    assert bool(check.advice) == (status == "error")
    assert not hardware_checkup.cuda_check(Found(), built)


def test_a_gpu_that_a_variable_hides_is_one_line_that_names_it(tmp_path, monkeypatch):
    from engine.plan import nvidia

    shutil.copy(Path(__file__).parents[1] / "plan" / "fake_nvml.py", tmp_path)
    (tmp_path / "pynvml.py").write_text(
        "from fake_nvml import Card, FakeNvml\n"
        "nvml = FakeNvml(Card('NVIDIA GeForce RTX 3060', (12288, 11900)))\n"
        "globals().update({name: getattr(nvml, name) for name in dir(nvml) if name.startswith('nvml')})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr(nvidia, "may_be_there", lambda: True)
    monkeypatch.setattr(hardware, "_answers", [])
    driver, gpu = hardware_checkup.gpu_checks()
    assert (driver.name, driver.status) == ("driver", "ok")
    assert (gpu.name, gpu.status) == ("GPU", "warning")
    assert gpu.value.startswith('CUDA_VISIBLE_DEVICES is "-1", which hides NVIDIA GeForce RTX 3060')
    assert "Unset it" in gpu.advice


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import time; time.sleep(60)", "does not answer within"),
        ("import os; os.abort()", "made the program that asked it fail"),
        ("raise SystemExit", "made the program that asked it fail"),
        ("x = 1", "does not answer: "),
    ],
)
def test_a_driver_that_hangs_or_crashes_is_left_alone(tmp_path, monkeypatch, code, said):
    from engine.plan import nvidia

    (tmp_path / "pynvml.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(hardware, "ASK_SECONDS", 1.0)
    monkeypatch.setattr(nvidia, "may_be_there", lambda: True)
    monkeypatch.setattr(hardware, "_answers", [])
    found = hardware.gpus_here()
    assert said in found.problem
    assert (found.gpus, found.unsure) == ((), True)
    assert hardware.gpus_here() is found  # an answer counts for a while


def test_the_hub_that_cannot_be_reached(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@127.0.0.1:9/")
    hub, _ = hardware_checkup.hub_checks()
    assert hub.status == "warning"
    assert hub.value.startswith("http://127.0.0.1 does not answer")
    assert "secret" not in str(hub)
    monkeypatch.setenv("HF_ENDPOINT", "gopher://[x")
    assert hardware_checkup.hub_checks()[0].value == "HF_ENDPOINT is no address"


def test_the_hub_that_answers(monkeypatch):
    import http.server
    import threading

    asked = []

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.headers.get("Authorization"))
            self.send_response(404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.handle_request, daemon=True).start()
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    assert hardware_checkup.hub_checks()[0].value == "http://127.0.0.1 answers"
    server.server_close()
    assert asked == [None]


def test_a_token_is_said_to_be_there_and_never_shown(tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert hardware_checkup.hub_checks()[1].value.startswith("there is none")
    (tmp_path / "token").write_text("hf_notreal")
    assert hardware_checkup.hub_checks()[1].value == f"there is one, in {tmp_path / 'token'}"
    monkeypatch.setenv("HF_TOKEN", "hf_notreal")
    check = hardware_checkup.hub_checks()[1]
    assert (check.value, "notreal" in str(check)) == ("there is one, in HF_TOKEN", False)


def test_packages_that_are_missing_or_too_old(lora_tui, quick, monkeypatch):
    real = metadata.version

    def version(name: str) -> str:
        if name == "peft":
            raise metadata.PackageNotFoundError(name)
        return "0.1.0" if name == "diffusers" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    answer = lora_tui("doctor", "--json")
    checks = by_name(answer)
    assert answer.code == 1
    assert (checks["peft"]["status"], checks["diffusers"]["status"]) == ("error", "error")
    assert checks["peft"]["advice"].startswith("pip install 'peft>=")
    assert "is needed" in checks["diffusers"]["value"]


def test_a_disk_without_room_or_locks(lora_tui, quick, monkeypatch):
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda path: checkup.shutil._ntuple_diskusage(9, 9, 1000))
    assert by_name(lora_tui("doctor", "--json"))["this folder"]["status"] == "warning"

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    assert "No locks available" in by_name(lora_tui("doctor", "--json"))["this folder"]["value"]


def test_a_damaged_config_stops_trainings(lora_tui, quick):
    on_end.config_path().parent.mkdir(parents=True)
    on_end.config_path().write_text("on_end = \x1b[2J")
    answer = lora_tui("doctor")
    assert answer.code == 1
    assert "x   config" in answer.out
    assert "\x1b" not in answer.out


def test_a_check_that_breaks_does_not_hide_the_others(lora_tui, quick, monkeypatch):
    def broken() -> list[checkup.Check]:
        raise RuntimeError("who would have thought")

    monkeypatch.setattr(hardware_checkup, "memory_check", broken)
    checks = by_name(lora_tui("doctor", "--json"))
    assert (checks["memory"]["status"], "thought" in checks["memory"]["value"]) == ("warning", True)
    assert "queue" in checks


def test_a_current_folder_that_is_gone(lora_tui, quick, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    answer = lora_tui("doctor", "--json")
    assert "could not be checked" in by_name(answer)["disk"]["value"]


def test_nothing_heavy_is_imported_to_ask():
    import subprocess
    import sys

    code = "import sys, lora_tui.checkup; print([m for m in ('torch', 'numpy', 'textual') if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "[]\n"


def test_the_gpus_that_can_be_planned_for(lora_tui):
    from engine.plan.gpu_catalogue import cards

    listed = lora_tui("doctor", "--gpus")
    assert listed.code == 0
    assert len(listed.out.splitlines()) == len(cards())
    assert "RTX 3060 12 GB          12.0 GiB, bf16, 25.5 TFLOPS, 360 GB/s" in listed.out
    (t4,) = (gpu for gpu in lora_tui("doctor", "--gpus", "--json").json["gpus"] if gpu["name"] == "T4 16 GB")
    assert (t4["bf16"], t4["capability"], t4["total_bytes"]) == (False, "7.5", 15360 * 2**20)


def test_a_gpu_is_planned_for_and_no_more(lora_tui):
    assert "RTX 3060 12 GB now" in lora_tui("doctor", "--plan-for", "rtx3060").out
    assert hardware.planned().name == "RTX 3060 12 GB"
    assert lora_tui("doctor", "--plan-for", "T4", "--json").json["planned_for"]["name"] == "T4 16 GB"
    wrong = lora_tui("doctor", "--plan-for", "V100")
    assert (wrong.code, "V100 16 GB or V100 32 GB" in wrong.err) == (1, True)
    assert hardware.planned().name == "T4 16 GB"
    lora_tui("doctor", "--plan-for", "here")
    assert hardware.planned() is None
