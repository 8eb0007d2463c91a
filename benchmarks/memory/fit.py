"""Fits `engine/plan/memory_fit.json` to the grid, and says how far off it is for what it was not fitted to."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory.grid import Result, results
from engine.plan import memory_step
from engine.plan.disk import lora_sizes
from engine.plan.files import atomic_write
from engine.plan.memory import bill
from engine.plan.memory_step import MEGAPIXEL, MOMENTS, VALUE_BYTES, cell, features, max_rank, piece_elements

PATH = Path(memory_step.__file__).with_name("memory_fit.json")
LARGEST_LAYER = 10240 + 1280
"""Inputs and outputs of SDXL's largest layer with a LoRA, the first of a feed-forward."""


def fit() -> dict[str, Any]:
    """The factors, from the files that are marked for it."""
    found = results()
    steps = [r for r in found if r.configuration.use == "fit"]
    told = {"weights": _weights(found), "moments": {}, **_optimizers(steps), **_others(found)}
    told["largest_layer"] = LARGEST_LAYER
    cells: dict[str, list[Result]] = {}
    for result in steps:
        cells.setdefault(cell(result.configuration.resolved()), []).append(result)
    for name, inside in sorted(cells.items()):
        told["moments"][name] = {moment: _factors(inside, moment) for moment in MOMENTS}
    return told


def write() -> None:
    atomic_write(PATH, json.dumps(fit(), indent=1, sort_keys=True) + "\n")


def _stays(result: Result) -> int:
    return sum(result.counted.parts.values())


def _factors(inside: Sequence[Result], moment: str) -> dict[str, float]:
    """Non-negative factors whose sum comes nearest to the counted moments, each seen against its whole step."""
    rows = [features(r.configuration.resolved(), r.configuration.bucket) for r in inside]
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    weights = np.array([1 / r.counted.peak for r in inside])
    wanted = np.array([r.counted.moments[moment] - _stays(r) for r in inside], dtype=float) * weights
    matrix = np.array([[row[name] for name in names] for row in rows], dtype=float) * weights[:, None]
    return {name: round(value, 3) for name, value in zip(names, non_negative(matrix, wanted), strict=True) if value}


def non_negative(matrix: Any, wanted: Any, passes: int = 20_000) -> list[float]:
    """Least squares with no factor below 0: one factor after the other, the others held."""
    scale = np.maximum(np.linalg.norm(matrix, axis=0), 1e-30)
    scaled = matrix / scale
    gram, target = scaled.T @ scaled, scaled.T @ wanted
    found = np.zeros(matrix.shape[1])
    for _ in range(passes):
        before = found.copy()
        for place in range(len(found)):
            found[place] = max(0.0, found[place] + target[place] - gram[place] @ found)
        if np.abs(found - before).max() <= 1e-13 * max(np.abs(found).max(), 1e-30):
            break
    return list(found / scale)


def _weights(found: Iterable[Result]) -> dict[str, Any]:
    """Sizes of the models, as the simulated ones have them."""
    kept: dict[str, int] = {}
    for result in found:
        settings = result.configuration.resolved()
        if result.configuration.use in ("fit", "check") and VALUE_BYTES[settings.mixed_precision] == 2:
            kept[settings.base_weights] = result.counted.parts["unet"]
    text = next(
        r
        for r in found
        if r.configuration.use == "text encode" and r.configuration.resolved().mixed_precision == "bf16"
    )
    vae = next(r for r in found if r.configuration.use == "vae encode")
    elements = kept["full"] // 2
    outside = elements - (kept["full"] - kept["fp8"])  # fp8 takes a byte for each of the others, and these two
    return {
        "unet_elements": elements,
        "outside_elements": outside,
        "packed_bytes": {how: kept[how] - 2 * outside for how in ("fp8", "nf4")},
        "text_encoder_elements": text.counted.parts["all"] // 2,
        "vae_bytes": vae.counted.parts["all"],
    }


def _optimizers(steps: Sequence[Result]) -> dict[str, Any]:
    """How many tensors of the size of a piece (for Adafactor: of a layer) each optimizer works with; and the max-norm's
    bytes, a constant and for each rank squared."""
    seen: dict[str, list[tuple[int, int]]] = {}
    for result in steps:
        settings = result.configuration.resolved()
        kind = settings.optimizer_type
        piece = 4 * (LARGEST_LAYER * max_rank(settings) if kind == "Adafactor" else piece_elements(settings))
        seen.setdefault(kind, []).append((piece, result.counted.moments["optimizer"] - _stays(result)))
    pieces = {k: sum(p * m for p, m in pairs) / sum(p * p for p, _ in pairs) for k, pairs in seen.items()}
    matrix = np.array([[1.0, max_rank(r.configuration.resolved()) ** 2] for r in steps])
    norms = np.array([float(r.counted.moments["max-norm"] - _stays(r)) for r in steps])
    return {
        "optimizer_pieces": {kind: round(value, 3) for kind, value in sorted(pieces.items())},
        "max_norm": [round(value, 1) for value in non_negative(matrix, norms)],
    }


def _others(found: Sequence[Result]) -> dict[str, Any]:
    """Lines through what is done beside the steps."""

    def passing(result: Result) -> int:
        return result.counted.peak - result.counted.parts["all"]

    def area(result: Result) -> float:
        return result.configuration.bucket[0] * result.configuration.bucket[1] / MEGAPIXEL

    def line(use: str) -> list[float]:
        seen = [r for r in found if r.configuration.use == use]
        matrix = np.array([[1.0, area(r)] for r in seen])
        return [round(x, 1) for x in non_negative(matrix, np.array([float(passing(r)) for r in seen]))]

    def sampling(half: bool) -> list[float]:
        """One, area, elements of the LoRA; bf16 with the base model's weights as they are loaded, or fp32."""
        seen = [
            r
            for r in found
            if r.configuration.use == "sample" and (r.configuration.resolved().mixed_precision != "no") == half
        ]
        matrix = np.array([[1.0, area(r), r.counted.lora_elements / 1e6] for r in seen])
        one, by_area, by_million = non_negative(matrix, np.array([float(passing(r)) for r in seen]))
        return [round(one, 1), round(by_area, 1), round(by_million / 1e6, 6)]

    text = [
        r
        for r in found
        if r.configuration.use == "text encode" and r.configuration.resolved().mixed_precision == "bf16"
    ]
    per_chunk = max(passing(r) * 75 / r.configuration.resolved().max_token_length for r in text)
    return {
        "vae": {"encode": line("vae encode"), "decode": line("vae decode")},
        "sampling": {"half": sampling(True), "no": sampling(False)},
        "text_bytes_per_chunk": round(per_chunk),
    }


def error(result: Result) -> float:
    """By how much of it the prediction is off the simulated peak of a step; above 0 where it says too much."""
    predicted = bill(result.configuration.resolved(), result.configuration.bucket).step_bytes
    return predicted / result.counted.peak - 1


def check() -> list[tuple[Result, float]]:
    """Every step that was not fitted to, with its error, the worst first."""
    seen = [r for r in results() if r.configuration.use == "check"]
    return sorted(((r, error(r)) for r in seen), key=lambda row: -abs(row[1]))


def exact(result: Result) -> bool:
    """Whether the LoRA's size is predicted to the element (the buffers are filled up to multiples of 16 for each
    layer)."""
    wanted = lora_sizes(result.configuration.resolved(), "sdxl").whole
    return 0 <= result.counted.lora_elements - wanted <= 16 * 2 * 1052


def print_check() -> None:
    rows = check()
    fitted = [abs(error(r)) for r in results() if r.configuration.use == "fit"]
    print(f"{'predicted':>9} {'simulated':>9} {'error':>7}  configuration")
    for result, off in rows:
        peak = result.counted.peak
        print(f"{peak * (1 + off) / 2**30:>9.2f} {peak / 2**30:>9.2f} {off:>+7.2%}  {result.configuration.name}")
    errors = [abs(off) for _, off in rows]
    print(f"\n{len(rows)} configurations that were not fitted to, GiB: worst {max(errors):.2%}, ", end="")
    print(f"median {statistics.median(errors):.2%}   (at most 5 %)")
    print(f"{len(fitted)} that were fitted to: worst {max(fitted):.2%}, median {statistics.median(fitted):.2%}")
    wrong = [r.configuration.name for r in results() if r.configuration.use in ("fit", "check") and not exact(r)]
    print("elements of the LoRA: as counted everywhere" if not wrong else f"elements of the LoRA differ: {wrong}")
