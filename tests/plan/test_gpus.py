"""What a machine tells of its GPUs: NVIDIA's by a fake NVML, AMD's and Apple's by the system's files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.plan import nvidia, other_gpus
from engine.plan.gpus import Found, Gpu, from_json, gib, in_cuda_order, visible
from tests.plan.fake_nvml import (
    DRIVER_NOT_LOADED,
    LIBRARY_NOT_FOUND,
    NO_PERMISSION,
    NOT_SUPPORTED,
    Card,
    FakeNvml,
)

GIB = 2**30


def test_a_card_with_its_driver_and_what_takes_its_memory() -> None:
    own, gone = os.getpid(), 2**22 + 1
    card = Card("NVIDIA GeForce RTX 3090", (24576, 20000), processes=[(own, 3 * GIB), (gone, None)], uuid="GPU-1")
    nvml = FakeNvml(card)
    found = nvidia.read(nvml)
    assert (found.kind, found.driver, found.cuda, found.problem) == ("cuda", "570.86.15", "12.8", "")
    (gpu,) = found.gpus
    assert (gpu.name, gpu.total_bytes, gpu.free_bytes) == ("NVIDIA GeForce RTX 3090", 24 * GIB, 20000 * 2**20)
    assert (gpu.capability, gpu.bf16, gpu.here) == ((8, 6), True, True)
    assert [(user.pid, user.bytes) for user in gpu.users] == [(own, 3 * GIB), (gone, None)]
    assert gpu.users[1].name == "\\x1b[2Jother"
    assert nvml.shut == 1


@pytest.mark.parametrize(
    ("capability", "bf16"),
    [((6, 0), False), ((7, 0), False), ((7, 5), False), ((8, 0), True), ((8, 9), True), ((12, 0), True), (None, None)],
)
def test_bf16_goes_by_the_compute_capability(capability: tuple[int, int] | None, bf16: bool | None) -> None:
    (gpu,) = nvidia.read(FakeNvml(Card("card", (8192, 8000), capability))).gpus
    assert gpu.bf16 is bf16


@pytest.mark.parametrize(
    ("number", "said", "unsure"),
    [
        (DRIVER_NOT_LOADED, "not loaded", False),
        (LIBRARY_NOT_FOUND, "libnvidia-ml.so.1", True),
        (NO_PERMISSION, "no permission", True),
        (18, "updated while an older one", False),
        (999, "does not answer", True),
    ],
)
def test_a_driver_that_does_not_answer_is_one_sentence_and_what_to_do(number: int, said: str, unsure: bool) -> None:
    found = nvidia.read(FakeNvml(fails=number))
    assert said in found.problem
    assert found.problem.count(". ") == 0
    assert found.advice
    assert (found.gpus, found.unsure) == ((), unsure)


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(nvidia, "import_module", missing)
    found = nvidia.read()
    assert ("nvidia-ml-py" in found.problem, found.advice) == (True, "pip install nvidia-ml-py")


def test_a_driver_without_a_card() -> None:
    assert nvidia.read(FakeNvml()).problem == "The NVIDIA driver finds no GPU."


def test_memory_that_must_not_be_seen_and_memory_that_is_shared() -> None:
    hidden, shared = nvidia.read(
        FakeNvml(Card("A100", NO_PERMISSION, (8, 0)), Card("NVIDIA GB10", NOT_SUPPORTED, (12, 1)))
    ).gpus
    assert (hidden.total_bytes, hidden.remarks) == (None, ("Its driver does not let you see its memory.",))
    assert shared.total_bytes is not None
    assert shared.total_bytes > 0
    assert "shares the machine's" in shared.remarks[0]


def test_slices_of_a_card_count_as_they_are() -> None:
    one = Card("NVIDIA A100-SXM4-40GB MIG 1g.5gb", (4864, 4800), None)
    (gpu,) = nvidia.read(FakeNvml(Card("NVIDIA A100-SXM4-40GB", (40960, 40000), (8, 0), slices=[one]))).gpus
    assert (gpu.name, gpu.total_bytes, gpu.capability, gpu.bf16) == (one.name, 4864 * 2**20, (8, 0), True)
    assert "slice" in gpu.remarks[0]
    (whole,) = nvidia.read(FakeNvml(Card("NVIDIA A100-SXM4-40GB", (40960, 40000), (8, 0), slices=[]))).gpus
    assert whole.free_bytes == 0
    assert "nothing can run" in whole.remarks[0]


def test_a_card_that_is_lost_is_still_named() -> None:
    class Lost(FakeNvml):
        def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:  # noqa: N802
            raise RuntimeError("\x1b[31mGPU is lost")

    (gpu,) = nvidia.read(Lost(Card("x", (1, 1)))).gpus
    assert gpu.name == "GPU 0"
    assert "\x1b" not in gpu.remarks[0]


def test_an_nvml_that_knows_nothing_ends_in_a_sentence() -> None:
    found = nvidia.read(object())
    assert found.problem.startswith("The NVIDIA driver does not answer")


def test_what_is_found_passes_through_json() -> None:
    found = nvidia.read(FakeNvml(Card("NVIDIA L4", (23034, 22000), (8, 9), processes=[(1, 5)])))
    assert from_json(json.loads(json.dumps(found.as_json()))) == found
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_json({"gpus": [{"name": "x"}]})


def _gpu(name: str, cores: int) -> Gpu:
    return Gpu(name, cores=cores, megahertz=1000, uuid=f"GPU-{name}")


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, ["fast", "slow"]),
        ({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, ["slow", "fast"]),
        ({"CUDA_VISIBLE_DEVICES": "1"}, ["slow"]),
        ({"CUDA_VISIBLE_DEVICES": "1,0"}, ["slow", "fast"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-sl"}, ["slow"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": "0,7,1"}, ["fast"]),
        ({"CUDA_VISIBLE_DEVICES": "0,0"}, ["fast"]),
    ],
)
def test_gpus_are_counted_as_cuda_counts_them(environ: dict[str, str], names: list[str]) -> None:
    by_slot = (_gpu("slow", 3584), _gpu("fast", 10496))
    assert [gpu.name for gpu in in_cuda_order(by_slot, environ)] == names


@pytest.mark.parametrize("value", ["-1", "", "3", "\x1b[31m"])
def test_gpus_that_a_variable_hides_are_told_with_its_name(value: str) -> None:
    found = Found("cuda", (_gpu("NVIDIA GeForce RTX 3060", 3584),), "570.86", "12.8")
    hidden = visible(found, {"CUDA_VISIBLE_DEVICES": value})
    assert (hidden.kind, hidden.gpus, hidden.driver, hidden.unsure) == ("cpu", (), "570.86", False)
    assert hidden.problem.startswith("CUDA_VISIBLE_DEVICES is ")
    assert "hides NVIDIA GeForce RTX 3060" in hidden.problem
    assert "\x1b" not in hidden.problem
    assert "Unset it" in hidden.advice
    two = Found("cuda", (_gpu("a", 1), _gpu("b", 2)))
    assert "hides all 2 GPUs" in visible(two, {"CUDA_VISIBLE_DEVICES": value}).problem
    assert visible(two, {"CUDA_VISIBLE_DEVICES": "1"}).gpus == (_gpu("a", 1),)
    assert visible(Found("cpu", problem="none"), {"CUDA_VISIBLE_DEVICES": value}).problem == "none"


def _amd_machine(root: Path, target: int, vram: bool = True) -> None:
    nodes = root / "sys/class/kfd/kfd/topology/nodes"
    for number, text in (
        ("0", "simd_count 0\ngfx_target_version 0\n"),
        ("1", f"simd_count 440\ngfx_target_version {target}\ndrm_render_minor 128\n"),
    ):
        (nodes / number).mkdir(parents=True)
        (nodes / number / "properties").write_text(text)
    device = root / "sys/class/drm/renderD128/device"
    device.mkdir(parents=True)
    if vram:
        (device / "mem_info_vram_total").write_text(f"{64 * GIB}\n")
        (device / "mem_info_vram_used").write_text(f"{GIB}\n")


@pytest.mark.parametrize(
    ("target", "name", "bf16"),
    [(90010, "AMD GPU gfx90a", True), (90402, "AMD GPU gfx942", True), (100300, "AMD GPU gfx1030", False),
     (110000, "AMD GPU gfx1100", True)],
)  # fmt: skip
def test_amds_cards_are_told_from_the_kernels_files(tmp_path: Path, target: int, name: str, bf16: bool) -> None:
    _amd_machine(tmp_path, target)
    found = other_gpus.amd(tmp_path)
    assert found is not None
    (gpu,) = found.gpus
    assert (found.kind, gpu.kind, gpu.name, gpu.bf16) == ("rocm", "rocm", name, bf16)
    assert (gpu.total_bytes, gpu.free_bytes) == (64 * GIB, 63 * GIB)


def test_an_amd_card_without_figures_and_a_machine_without_one(tmp_path: Path) -> None:
    assert other_gpus.amd(tmp_path) is None
    _amd_machine(tmp_path, 90010, vram=False)
    found = other_gpus.amd(tmp_path)
    assert found is not None
    assert found.gpus[0].total_bytes is None
    assert found.gpus[0].remarks


def test_apples_gpu_shares_the_machines_memory() -> None:
    assert other_gpus.apple("linux", "arm64") is None
    assert other_gpus.apple("darwin", "x86_64") is None
    found = other_gpus.apple("darwin", "arm64")
    assert found is not None
    assert (found.kind, found.gpus[0].kind, found.gpus[0].bf16) == ("mps", "mps", True)


def test_no_sign_of_a_driver_is_not_asked(tmp_path: Path) -> None:
    assert not nvidia.may_be_there([str(tmp_path / "nvidiactl")])
    (tmp_path / "nvidiactl").touch()
    assert nvidia.may_be_there([str(tmp_path / "nvidiactl")])


def test_memory_is_counted_as_makers_do() -> None:
    assert (gib(24 * GIB), gib(512 * 2**20)) == ("24.0 GiB", "512 MiB")
    assert Gpu("RTX 3090", total_bytes=24 * GIB).full_name == "RTX 3090 (24.0 GiB)"
    assert Gpu("RTX 3060 12 GB", total_bytes=12 * GIB).full_name == "RTX 3060 12 GB"
    assert Found().gpus == ()
