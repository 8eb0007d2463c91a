"""What is said of a training on each kind of machine: T4, V100, RTX 2060, 3060, 3090, 4090, A100, H100, none, two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import engine.plan.packages as packages_module
from engine.plan import nvidia
from engine.plan.base_model import BaseModel, recognise
from engine.plan.errors import Finding
from engine.plan.estimate import estimate
from engine.plan.gpu_catalogue import named
from engine.plan.gpus import Found, Gpu, MemoryUser, gib, in_cuda_order
from engine.plan.hardware_checks import CODES, check_gpu, check_machine, check_memory, smallest, summary
from engine.plan.machine import Memory
from engine.plan.prediction import predictor
from engine.plan.settings import Settings, parse_text, resolve
from lora_tui.estimate_texts import verdict
from tests.plan.fake_nvml import Card, FakeNvml
from tests.plan.test_memory_fixes import needed

GIB, GB = 2**30, 10**9
ENOUGH = Memory(64 * GB, 60 * GB)


@pytest.fixture(autouse=True)
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages_module, "find_spec", lambda name: name)


@pytest.fixture
def sdxl(sdxl_folder: Path) -> BaseModel:
    return recognise(str(sdxl_folder))


def card(name: str, mebibytes: int, capability: tuple[int, int], cores: int = 1000) -> Card:
    return Card(name, (mebibytes, mebibytes - 300), capability, cores)


T4 = card("Tesla T4", 15360, (7, 5))
V100 = card("Tesla V100-SXM2-16GB", 16384, (7, 0))
RTX_2060 = card("NVIDIA GeForce RTX 2060", 6144, (7, 5))
RTX_3060 = card("NVIDIA GeForce RTX 3060", 12288, (8, 6), 3584)
RTX_3090 = card("NVIDIA GeForce RTX 3090", 24576, (8, 6), 10496)
BUSY_3090 = Card("NVIDIA GeForce RTX 3090", (24576, 9000))
RTX_4090 = card("NVIDIA GeForce RTX 4090", 24564, (8, 9))
A100 = card("NVIDIA A100-SXM4-80GB", 81920, (8, 0))
H100 = card("NVIDIA H100 80GB HBM3", 81559, (9, 0))


def on(machine: list[Card], settings: Settings, base: BaseModel, memory: Memory = ENOUGH) -> list[Finding]:
    """All that is said of a training on a machine with these cards."""
    found = nvidia.read(FakeNvml(*machine)) if machine else Found()
    found = Found(found.kind, in_cuda_order(found.gpus, {}), found.driver, found.cuda, found.problem, found.advice)
    said = list(check_machine(settings, base, found, memory))
    gpu = smallest(found.gpus, settings.num_processes)
    if gpu is not None:
        said += [*check_gpu(settings, gpu), *check_memory(settings, gpu, needed)]
    return said


def codes(said: list[Finding]) -> list[str]:
    return sorted({finding.code for finding in said})


GUIDE: dict[str, object] = {}  # rank 96, Prodigy, batches of 2: 12.0 GB by the rough figure
SMALL: dict[str, object] = {"network_dim": 16, "train_batch_size": 1}


@pytest.mark.parametrize(
    ("machine", "values", "expected"),
    [
        ([T4], GUIDE, ["no-bf16"]),
        ([T4], {"mixed_precision": "fp16"}, []),
        ([V100], GUIDE, ["no-bf16", "old-gpu"]),
        ([RTX_2060], GUIDE, ["does-not-fit", "memory-fix", "no-bf16"]),
        ([RTX_2060], SMALL | {"mixed_precision": "fp16"}, ["does-not-fit", "memory-fix"]),
        ([RTX_2060], SMALL | {"mixed_precision": "fp16", "base_weights": "fp8"}, []),
        ([RTX_3060], GUIDE, ["does-not-fit", "memory-fix"]),
        ([RTX_3060], SMALL, []),
        ([RTX_3090], GUIDE, []),
        ([BUSY_3090], GUIDE, ["does-not-fit-now", "gpu-memory-taken", "memory-fix"]),
        ([RTX_3090], {"mixed_precision": "fp16"}, ["fp16-needless"]),
        ([RTX_3090], {"gradient_checkpointing": False, "train_batch_size": 4}, ["does-not-fit", "memory-fix"]),
        ([RTX_4090], GUIDE, []),
        ([RTX_4090], {"num_processes": 2}, ["too-few-gpus"]),
        ([A100], {"gradient_checkpointing": False, "train_batch_size": 4}, []),
        ([H100], {"train_batch_size": 16}, []),
        ([], GUIDE, ["no-gpu"]),
        ([RTX_3060, RTX_3090], GUIDE, ["different-gpus"]),
        ([RTX_3060, RTX_3090], {"num_processes": 2}, ["different-gpus", "does-not-fit", "memory-fix"]),
        ([T4, T4], {"num_processes": 2, "mixed_precision": "fp16"}, []),
    ],
)
def test_what_is_said_on_each_machine(
    sdxl: BaseModel, machine: list[Card], values: dict[str, object], expected: list[str]
) -> None:
    said = on(machine, resolve(values), sdxl)
    assert codes(said) == expected, [str(finding) for finding in said]
    assert {finding.code for finding in said} <= CODES
    for finding in said:
        assert finding.message.endswith(".")
        assert finding.hint


@pytest.mark.parametrize("machine", [[T4], [V100], [RTX_2060], [RTX_3060], [RTX_3090], [RTX_4090], [A100], [H100]])
def test_whatever_is_wrong_is_mended_by_the_remedies(sdxl: BaseModel, machine: list[Card]) -> None:
    settings = resolve({"gradient_checkpointing": False, "train_batch_size": 4})
    changes: dict[str, object] = {}
    for finding in on(machine, settings, sdxl):
        changes |= finding.changes
    after = on(machine, resolve({"gradient_checkpointing": False, "train_batch_size": 4} | changes), sdxl)
    assert not [finding for finding in after if finding.stops_training()]


def test_the_pasted_line_is_the_remedy(sdxl: BaseModel) -> None:
    """For a shell, as it stands after "or" in the hint."""
    import shlex

    for finding in on([RTX_2060], resolve(), sdxl):
        if not finding.changes:
            continue
        words = shlex.split(finding.hint.partition(", or ")[2].partition("project.toml")[2] or finding.hint)
        pairs = [words[at + 1].partition("=") for at, word in enumerate(words) if word == "--set"]
        typed = {name: parse_text(name, text) for name, _, text in pairs}
        assert resolve(typed) == resolve(finding.changes), finding.hint


def test_what_fails_here_has_to_be_confirmed_and_elsewhere_not(sdxl: BaseModel) -> None:
    here = [finding for finding in on([RTX_2060], resolve(), sdxl) if finding.stops_training()]
    assert codes(here) == ["does-not-fit", "no-bf16"]
    assert not any(finding.stops_training(accept_warnings=True) for finding in here)
    gpu = named("RTX 2060").as_gpu()
    elsewhere = [*check_gpu(resolve(), gpu), *check_memory(resolve(), gpu, needed)]
    assert codes(elsewhere) == ["does-not-fit", "memory-fix", "no-bf16"]
    assert not any(finding.stops_training() for finding in elsewhere)


def test_each_fix_says_what_it_saves_and_why(sdxl: BaseModel) -> None:
    said = on([RTX_2060], resolve({"train_batch_size": 2}), sdxl)
    fits = next(finding for finding in said if finding.code == "does-not-fit")
    assert "NVIDIA GeForce RTX 2060 has 5.7 GiB free" in fits.message
    for finding in said:
        if finding.code == "memory-fix":
            assert " saves " in finding.message
            assert finding.option in finding.changes


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"mixed_precision": "fp16"}, "mixed_precision"),
        ({"base_weights": "fp8"}, "base_weights"),
        ({"attention": "xformers"}, "attention"),
        ({"optimizer_type": "AdamW8bit", "learning_rate": 1e-4}, "optimizer_type"),
    ],
)
def test_what_only_nvidias_cards_can_do(values: dict[str, object], option: str) -> None:
    apple = Gpu("Apple M2 Max", "mps", 24 * GIB, 20 * GIB, bf16=True)
    (finding,) = check_gpu(resolve(values), apple)
    assert finding.option == option
    assert finding.stops_training()
    assert not list(check_gpu(resolve(values | dict.fromkeys([option], finding.value)), apple))


def test_a_micro_model_needs_no_gpu(sdxl: BaseModel) -> None:
    micro = recognise("micro")
    assert not list(check_machine(resolve(), micro, Found(), Memory(GB, GB)))
    assert not list(check_machine(resolve(), None, Found(), Memory(GB, GB)))


def test_a_driver_that_could_not_be_asked_proves_nothing(sdxl: BaseModel) -> None:
    assert not list(check_machine(resolve(), sdxl, Found("cuda", problem="It hangs.", unsure=True), ENOUGH))


def test_memory_that_others_have_and_a_small_container(sdxl: BaseModel) -> None:
    users = (MemoryUser(1, "ollama", 9 * GIB), MemoryUser(2, "Xorg", None))
    gpu = Gpu("RTX 3090", total_bytes=24 * GIB, free_bytes=14 * GIB, capability=(8, 6), bf16=True, users=users)
    (taken,) = check_machine(resolve(), sdxl, Found("cuda", (gpu,)), ENOUGH)
    assert "10.0 GiB of the 24.0 GiB of RTX 3090 are taken now, by ollama (9.0 GiB), Xorg." in taken.message
    (little,) = check_machine(resolve(), sdxl, Found("cuda", (Gpu("x"),)), Memory(8 * GB, GB, limited=True))
    assert "this container may use 8.0 GB" in little.message


def test_a_gpu_whose_memory_nobody_tells_is_not_judged() -> None:
    assert not list(check_memory(resolve(), Gpu("A100"), needed))


def test_a_gpu_that_is_nearly_full(make_gpu: Callable[[float], Gpu]) -> None:
    (finding,) = check_memory(resolve(), make_gpu(1.02), needed)
    assert finding.code == "tight-memory"
    assert not finding.stops_training()
    assert not list(check_memory(resolve(), make_gpu(1.5), needed))


@pytest.mark.parametrize(("free", "tight"), [(1.02, True), (1.06, False), (1.5, False)])
def test_what_fits_only_just_is_so_everywhere(free: float, tight: bool) -> None:
    """Held against what is free, by `check`, `train` and `estimate` alike: others have the rest of the memory."""
    needs = predictor(resolve(), None)(resolve())
    gpu = Gpu("card", total_bytes=2 * needs, free_bytes=int(needs * free), capability=(8, 6), bf16=True)
    found = list(check_memory(resolve(), gpu, predictor(resolve(), None)))
    assert [finding.code for finding in found] == ["tight-memory"] * tight
    assert estimate(resolve(), None, gpu).fits_tightly == tight
    assert ("only just" in verdict(estimate(resolve(), None, gpu))[1]) == tight
    if tight:
        assert f"nearly all of the {gib(needs * free)} that card has free" in found[0].message


@pytest.fixture
def make_gpu() -> Callable[[float], Gpu]:
    """A card with so many times the memory that the default settings need."""

    def make(share: float) -> Gpu:
        size = int(needed(resolve()) * share)
        return Gpu("card", total_bytes=size, free_bytes=size, capability=(8, 6), bf16=True)

    return make


def test_in_a_few_words() -> None:
    assert summary(Found()) == "no GPU"
    pair = Found("cuda", (Gpu("A", total_bytes=GIB), Gpu("B", total_bytes=2 * GIB)))
    assert summary(pair) == "2 GPUs: A (1.0 GiB), B (2.0 GiB)"
    assert smallest(pair.gpus, 2) == pair.gpus[0]
    assert smallest((), 1) is None
