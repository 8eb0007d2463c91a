"""How many pictures a second come into the cache, with no, one and two threads that read ahead.

    python -m benchmarks.caching [--count 24] [--rounds 3]

Photographs of 12 megapixels (JPEG) become latents of 1024x1024 by way of the built-in model's small VAE, whose share of
the time is small, as a large one's is on a GPU. Each round begins with an empty cache; the ways take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import torch
from PIL import Image

from engine.data.ahead import ahead
from engine.data.cache import Latents
from engine.models.checkpoint import load
from engine.plan.base_model import recognise
from engine.plan.dataset import Picture

SIZE, BUCKET = (4000, 3000), (1024, 768)
WORKERS = (0, 1, 2)


def photographs(folder: Path, count: int) -> list[Picture]:
    chance, found = random.Random(0), []
    for number in range(count):
        coarse = Image.frombytes("RGB", (200, 150), chance.randbytes(200 * 150 * 3))
        path = folder / f"{number:03}.jpg"
        coarse.resize(SIZE, Image.Resampling.BICUBIC).save(path, quality=92)
        found.append(Picture(path, "train", "1_a", *SIZE, BUCKET, BUCKET, 1, "a", None, False))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("build/caching.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)  # as the engine does for this model
    model, device = load(recognise("micro")), torch.device("cpu")
    reading: defaultdict[int, list[float]] = defaultdict(list)
    caching: defaultdict[int, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        pictures = photographs(Path(folder), args.count)
        for turn in range(args.rounds):
            for workers in WORKERS:
                latents = Latents(Path(folder) / f"cache {turn} {workers}", model, device, workers=workers)
                began = time.perf_counter()
                for _ in ahead(lambda picture, of=latents: of._prepared(picture, False), pictures, workers):  # type: ignore[misc]
                    pass
                reading[workers].append(args.count / (time.perf_counter() - began))
                began = time.perf_counter()
                latents.load(pictures, lambda *_: None)
                caching[workers].append(args.count / (time.perf_counter() - began))
    told = {"pictures": args.count, "reading": reading, "caching": caching, "load_average": os.getloadavg()}
    for workers in WORKERS:
        ratios = [now / alone for now, alone in zip(caching[workers], caching[0], strict=True)]
        print(
            f"{workers} threads: {statistics.median(reading[workers]):.2f} pictures a second are read and scaled, "
            f"{statistics.median(caching[workers]):.2f} cached, {statistics.median(ratios):.2f} times as many as with 0"
        )
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
