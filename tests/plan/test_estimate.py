"""What a training comes to: held against a GPU, with what to change where it does not fit."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from engine.plan.estimate import PARTS, PHASES, estimate
from engine.plan.gpu_catalogue import named
from engine.plan.gpus import Found, Gpu, MemoryUser
from engine.plan.hardware_checks import check_hardware, check_memory
from engine.plan.machine import Memory
from engine.plan.memory import bill
from engine.plan.memory_fixes import Fix, all_applied
from engine.plan.pace import rough
from engine.plan.prediction import predictor, without_samples
from engine.plan.settings import resolve
from lora_tui.estimate_texts import as_set, brief, lines, outlook, parts, verdict
from lora_tui.widgets.memory_meter import meter
from lora_tui.widgets.paint import BAD

GUIDE: dict[str, object] = {}
HEAVY = {"gradient_checkpointing": False, "train_batch_size": 4}


def pictures(*buckets: tuple[int, int], steps: int = 3000) -> Any:
    """As many of each as a batch asks for."""
    used = [
        SimpleNamespace(bucket=bucket, words="zibo, a man", width=bucket[0], height=bucket[1], repeats=4)
        for bucket in buckets
    ]
    counts = Counter({bucket: 4 * count for bucket, count in Counter(buckets).items()})
    return SimpleNamespace(buckets=counts, steps=SimpleNamespace(total=steps), used=used, validation=())


def test_without_a_gpu_nothing_is_promised() -> None:
    found = estimate(resolve(GUIDE), None, None)
    assert (found.fits, found.fixes, found.pace) == (None, (), None)
    assert "no GPU" in verdict(found)[1]
    assert verdict(found)[0] == ""


def test_what_fits_needs_no_change() -> None:
    found = estimate(resolve(GUIDE), pictures((1024, 1024)), named("H100").as_gpu())
    assert found.fits
    assert found.fixes == ()
    assert found.modules == 722
    assert found.lora_bytes == pytest.approx(255.3e6 * 2, rel=0.001)  # bf16; semantics.md 4.2
    assert brief(found)[0] == "ok"


def test_what_does_not_fit_is_made_to_fit_by_the_fixes_that_are_named() -> None:
    gpu = named("RTX 3060 12GB").as_gpu()
    settings = resolve(GUIDE | HEAVY)
    found = estimate(settings, pictures((1024, 1024)), gpu)
    assert found.fits is False
    assert found.fixes
    changed = all_applied(settings, list(found.fixes))
    assert predictor(settings, pictures((1024, 1024)))(changed) <= gpu.total_bytes  # type: ignore[operator]
    saved = found.needs - without_samples(bill(changed, (1024, 1024)))
    assert saved == sum(fix.saves_bytes for fix in found.fixes)
    assert verdict(found)[0] == "x"


def test_samples_that_do_not_fit_are_drawn_in_tiles_and_change_nothing() -> None:
    settings = resolve({"network_dim": 96, "optimizer_type": "AdamW8bit"})
    small = estimate(settings, pictures((1024, 1024)), named("RTX 3080 10GB").as_gpu())
    assert small.fits
    assert small.samples_in_tiles
    assert small.fixes == ()
    assert "drawn in tiles" in verdict(small)[1]


def test_the_largest_bucket_counts_and_the_resolution_where_there_are_no_pictures() -> None:
    settings = resolve({"resolution": "768,768"})
    assert predictor(settings, None)(settings) == without_samples(bill(settings, (768, 768)))
    several = predictor(settings, pictures((512, 512), (832, 640), (640, 704)))
    assert several(settings) == without_samples(bill(settings, (832, 640)))
    small = estimate(settings, pictures((256, 256)), None).bill.step_bytes
    assert small < estimate(settings, None, None).bill.step_bytes


def test_a_machine_on_which_more_was_taken_is_told_more() -> None:
    gpu = named("RTX 4090").as_gpu()
    plain = estimate(resolve(GUIDE), None, gpu)
    corrected = estimate(resolve(GUIDE), None, gpu, correction=lambda gpu: 1.2)
    assert corrected.bill.peak_bytes > plain.bill.peak_bytes


def test_the_answer_is_the_contracts() -> None:
    gpu = named("RTX 3060 12GB").as_gpu()
    settings = resolve(GUIDE | HEAVY)
    answer = estimate(settings, pictures((1024, 1024)), gpu, rough(settings, gpu)).as_json()
    assert set(answer) >= {
        "peak_bytes", "step_bytes", "parts", "phases", "gpu", "fits", "lora_bytes", "modules", "steps",
        "seconds_per_step", "fixes", "disk",
    }  # fmt: skip
    assert set(answer["parts"]) == set(PARTS)  # type: ignore[call-overload]
    assert set(answer["phases"]) == set(PHASES)  # type: ignore[call-overload]
    assert {"option", "value", "saves_bytes", "why"} <= set(answer["fixes"][0])  # type: ignore[index]
    assert answer["steps"] == 3000
    json.dumps(answer)


@pytest.mark.parametrize("name", ["RTX 4090", "RTX 3060 12GB", "RTX 3060 8GB"])
@pytest.mark.parametrize("cells", [52, 78, 120])
def test_the_meter_is_one_line_and_says_it_without_colours(name: str, cells: int) -> None:
    settings = resolve(GUIDE)
    found = estimate(settings, None, named(name).as_gpu())
    text = "".join(part if isinstance(part, str) else part[0] for part in meter(found, cells))
    assert len(text) <= max(cells, 70)
    assert ("to spare" in text) == bool(found.fits)
    assert ("too much" in text) != bool(found.fits)


def test_the_words_name_each_part_and_each_fix_with_its_price() -> None:
    gpu = named("RTX 3060 8GB").as_gpu()
    settings = resolve(GUIDE | HEAVY)
    found = estimate(settings, pictures((1024, 1024)), gpu, rough(settings, gpu))
    told = "\n".join(lines(found))
    assert "does not fit" in told
    assert "3,000 steps" in told
    assert "half or twice is possible" in told
    for part, _ in parts(found):
        assert part in told
    for fix in found.fixes:
        assert fix.option in told
        assert fix.why in told


def test_what_runs_badly_there_is_said_beside_what_fits() -> None:
    """It would be refused at the start, or take three times as long."""
    found = estimate(resolve(GUIDE), pictures((1024, 1024)), named("T4").as_gpu())
    assert found.fits
    assert (verdict(found)[0], "does not calculate in bf16" in verdict(found)[1]) == ("!", True)
    assert "--set mixed_precision=fp16" in "\n".join(lines(found))
    assert [warning["code"] for warning in found.as_json()["warnings"]] == ["no-bf16"]  # type: ignore[attr-defined]
    mended = estimate(resolve({"mixed_precision": "fp16"}), pictures((1024, 1024)), named("T4").as_gpu())
    assert verdict(mended)[0] == "ok"


@pytest.mark.parametrize("name", ["RTX 3060 12GB", "RTX 3060 8GB", "RTX 2060 6GB"])
def test_after_all_changes_it_fits_with_room_to_spare(name: str) -> None:
    gpu = named(name).as_gpu()
    settings = resolve(GUIDE | HEAVY | {"mixed_precision": "bf16" if gpu.bf16 else "fp16"})
    found = estimate(settings, pictures((1024, 1024)), gpu)
    after = estimate(all_applied(settings, list(found.fixes)), pictures((1024, 1024)), gpu)
    assert verdict(after)[0] == "ok"


@pytest.mark.parametrize(("name", "half"), [("RTX 3080 10GB", "bf16"), ("RTX 2080 Ti", "fp16")])
def test_half_precision_comes_before_what_costs_more(name: str, half: str) -> None:
    settings = resolve({"mixed_precision": "no", "network_dim": 16, "network_alpha": 8.0})
    found = estimate(settings, pictures((1024, 1024)), named(name).as_gpu())
    assert [fix.changes for fix in found.fixes] == [{"mixed_precision": half}]


@pytest.mark.parametrize(("name", "half"), [("RTX 2060 6GB", "fp16"), ("RTX 3060 8GB", "bf16")])
def test_half_precision_is_not_left_out_where_something_with_a_price_stays(name: str, half: str) -> None:
    """Single pictures, AdamW8bit and 4 bits come down to 6 GiB in 32 bits too, at a quarter of the speed."""
    settings = resolve({"mixed_precision": "no"})
    found = estimate(settings, pictures((1024, 1024)), named(name).as_gpu())
    assert found.fits_after_fixes
    assert found.fixes[0].changes == {"mixed_precision": half}
    assert len(found.fixes) > 1


@pytest.mark.parametrize("name", ["Apple M 16GB", "RX 7900 XT"])
def test_half_precision_is_named_for_other_makers_too(name: str) -> None:
    found = estimate(resolve({"mixed_precision": "no", "train_batch_size": 4}), None, named(name).as_gpu())
    assert found.fits is False
    assert {"mixed_precision": "bf16"} in [fix.changes for fix in found.fixes]


def test_a_rank_below_24_is_named_where_that_is_still_too_much() -> None:
    """Of 6 GiB rank 24 needs 6.06, and nothing else is left."""
    gpu = named("Apple M 8GB").as_gpu()
    settings = resolve({"resolution": "512,512", "optimizer_type": "Adafactor", "train_batch_size": 1})
    assert [fix.value for fix in estimate(settings, None, gpu).fixes] == [16]
    found = estimate(resolve(GUIDE), None, gpu)
    assert estimate(all_applied(resolve(GUIDE), list(found.fixes)), None, gpu).fits


def test_what_is_printed_can_be_typed() -> None:
    fix = Fix({"optimizer_args": [], "unet_lr": "", "gradient_checkpointing": True}, 0, "")
    assert as_set(fix) == 'optimizer_args = "", unet_lr = "", gradient_checkpointing = true'


@pytest.mark.parametrize("here", [False, True])
def test_whether_the_memory_is_enough_is_a_question_of_its_own(here: bool) -> None:
    """On Review and in the meter; that bf16 runs badly there is told elsewhere."""
    gpu = replace(named("T4").as_gpu(), here=here)
    found = estimate(resolve(GUIDE), pictures((1024, 1024)), gpu)
    assert verdict(found)[0] == ("x" if here else "!")
    assert brief(found) == ("ok", "fits: 12.2 GiB of 15.0 GiB on T4 16 GB")
    assert all(part[1] != BAD for part in meter(found, 100) if not isinstance(part, str))


def test_what_runs_badly_is_said_where_the_memory_is_too_little_too() -> None:
    found = estimate(resolve(GUIDE), pictures((1024, 1024)), named("RTX 2060 6GB").as_gpu())
    told = list(lines(found))
    (finding,) = found.findings
    assert finding.hint in told
    assert any(finding.message in text for text in told)


MADE_FOR_OTHERS: dict[str, object] = {"mixed_precision": "fp16", "base_weights": "fp8"}


def test_what_cannot_run_there_is_never_said_to_fit_and_is_counted_as_mended() -> None:
    """In 8 bits it would have been 9.8 GiB, which no training can have there."""
    gpu = named("Apple M 16GB").as_gpu()
    found = estimate(resolve(MADE_FOR_OTHERS), None, gpu)
    mark, words = verdict(found)
    assert mark == "x"
    assert words.startswith(
        "It cannot run on Apple M 16 GB as it is. With mixed_precision = bf16 and base_weights = full, it does not "
        "fit: the training needs 12.2 GiB at its peak, and Apple M 16 GB has 12.0 GiB."
    )
    assert brief(found) == ("x", "cannot run as it is; mended it needs 12.2 GiB of 12.0 GiB")
    assert found.needs == estimate(resolve(), None, gpu).needs
    assert found.as_json()["runs"] is False
    smaller = estimate(resolve(MADE_FOR_OTHERS | {"train_batch_size": 1}), None, gpu)
    assert (smaller.fits, verdict(smaller)[0]) == (True, "x")
    assert "It fits" not in "\n".join(lines(smaller))
    assert estimate(resolve({"train_batch_size": 1}), None, gpu).as_json()["runs"] is True


def test_what_has_to_fit_for_a_start_is_counted_as_mended_too() -> None:
    gpu = Gpu("Apple M2", "mps", 12 * 2**30, 12 * 2**30, bf16=True)
    found = Found("mps", (gpu,))
    settings = resolve(MADE_FOR_OTHERS)
    told = check_hardware(settings, None, found, Memory(2**40, 2**40), predict=predictor(settings, None))
    assert {"needs-nvidia", "does-not-fit"} <= {finding.code for finding in told}


BUSY = Gpu(
    "NVIDIA GeForce RTX 3090", "cuda", 24 * 2**30, int(8.8 * 2**30), (8, 6), bf16=True,
    users=(MemoryUser(1, "ollama", 9 * 2**30), MemoryUser(2, "Xorg")),
)  # fmt: skip
LEAST: dict[str, object] = {
    "train_batch_size": 1, "optimizer_type": "Adafactor", "network_dim": 8, "resolution": "512,512",
    "base_weights": "nf4",
}  # fmt: skip


def test_where_nothing_is_left_to_change_a_larger_gpu_is_named() -> None:
    gpu = Gpu("GTX", "cuda", 2 * 2**30, None, (8, 6), bf16=True, here=False)
    found = estimate(resolve(LEAST), None, gpu)
    assert (found.fits, found.fixes, found.fits_after_fixes) == (False, (), False)
    assert list(lines(found))[-1] == "Nothing more helps: a larger GPU is needed."
    (said,) = check_memory(resolve(LEAST), gpu, predictor(resolve(LEAST), None))
    assert said.hint == "Nothing more helps: a larger GPU is needed."


def test_changes_that_do_not_suffice_are_said_not_to() -> None:
    heavy = {"network_dim": 256, "train_text_encoder_1": True, "cache_text_encoder_outputs": False}
    found = estimate(resolve(heavy), None, named("Apple M 8GB").as_gpu())
    assert found.fixes
    assert "Even with all of these it does not fit: a larger GPU is needed." in list(lines(found))
    assert found.as_json()["fits_after_fixes"] is False
    enough = estimate(resolve(HEAVY), None, named("RTX 3060 12GB").as_gpu())
    assert outlook(enough) == ""
    assert enough.as_json()["fits_after_fixes"] is True


def test_where_others_have_the_memory_they_are_named_first() -> None:
    found = estimate(resolve(GUIDE), None, BUSY)
    close = "It would fit if nothing else took memory: close ollama (9.0 GiB), Xorg."
    assert verdict(found)[0] == "x"
    assert verdict(found)[1].endswith(close)
    assert next(iter(lines(found))).endswith("12.2 GiB of 8.8 GiB free (of 24.0 GiB)")
    answer = found.as_json()
    assert (answer["fits"], answer["fits_when_idle"]) == (False, True)
    assert [user["name"] for user in answer["gpu"]["users"]] == ["ollama", "Xorg"]  # type: ignore[index, call-overload]
    unknown = replace(BUSY, users=())
    assert "close other programs that do." in verdict(estimate(resolve(GUIDE), None, unknown))[1]
    small = replace(BUSY, total_bytes=10 * 2**30)
    assert "nothing else" not in verdict(estimate(resolve(GUIDE), None, small))[1]


def test_where_only_others_are_in_the_way_no_larger_gpu_is_asked_for() -> None:
    taken = replace(BUSY, free_bytes=2**30)
    assert outlook(estimate(resolve(GUIDE), None, taken)).endswith("it does not fit: close what takes the memory.")
    assert outlook(estimate(resolve(LEAST), None, taken)) == "Close what takes the GPU's memory."
    told = [finding.hint for finding in check_memory(resolve(LEAST), taken, predictor(resolve(LEAST), None))]
    assert told == ["Close what takes the GPU's memory."]


@pytest.mark.parametrize("cells", [52, 78, 120])
def test_the_meter_tells_what_is_free_and_what_there_is(cells: int) -> None:
    text = "".join(
        part if isinstance(part, str) else part[0] for part in meter(estimate(resolve(GUIDE), None, BUSY), cells)
    )
    assert "12.2 GiB of 8.8 GiB free" in text
    assert ("free (of 24.0 GiB)" in text) == (cells > 52)
    assert len(text) <= max(cells, 70)


@pytest.mark.parametrize("gpu", [None, named("RTX 3060 8GB").as_gpu(), named("RTX 4090").as_gpu(), BUSY])
def test_why_samples_need_not_fit_is_said_wherever_their_peak_is(gpu: Gpu | None) -> None:
    found = estimate(resolve({"train_batch_size": 1}), None, gpu)
    told = "\n".join(lines(found))
    assert "sample pictures 14.1 GiB. Samples are drawn in tiles where they have no room." in told
    answer = found.as_json()
    assert answer["peak_bytes"] == answer["phases"]["sampling"]  # type: ignore[index, call-overload]
    assert answer["needs_bytes"] == answer["phases"]["training"]  # type: ignore[index, call-overload]
    without = estimate(resolve({"sample_every_n_steps": 0, "sample_every_n_epochs": 0}), None, gpu)
    assert "tiles" not in "\n".join(lines(without))
