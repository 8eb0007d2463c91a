"""`lora-tui check` on thousands of pictures: the first time, and again.

    python -m benchmarks.many_pictures [--count 5000] [--dir FOLDER]

Photographs of 1 to 2 megapixels: nine of ten JPEG, one PNG, each file different, with captions. The first time is with
the files dropped from the system's memory (on Linux); each check is a process of its own.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import struct
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

from PIL import Image

from benchmarks.small_run import command

SOURCES = 24
SIZES = ((1024, 1024), (1216, 832), (832, 1216), (1600, 1200), (1200, 1600), (1920, 1080))
AGAIN = 3


def photographs(seed: int) -> list[tuple[bytes, bytes]]:
    """(JPEG, PNG) of a few soft noisy pictures: each file below is one of them with a comment of its own."""
    chance = random.Random(seed)
    found = []
    for number in range(SOURCES):
        width, height = SIZES[number % len(SIZES)]
        coarse = Image.frombytes("RGB", (width // 8, height // 8), chance.randbytes(width // 8 * (height // 8) * 3))
        picture = coarse.resize((width, height), Image.Resampling.BICUBIC)
        jpeg, png = io.BytesIO(), io.BytesIO()
        picture.save(jpeg, "JPEG", quality=92)
        picture.save(png, "PNG", compress_level=1)
        found.append((jpeg.getvalue(), png.getvalue()))
    return found


def with_comment(jpeg: bytes, png: bytes, number: int, as_png: bool) -> bytes:
    """The file with its number inside, in the way of its format."""
    text = f"number {number}".encode() + b"." * random.Random(number).randrange(40_000)  # sizes differ, as in life
    if not as_png:
        return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + jpeg[2:]
    chunk = b"tEXtComment\0" + text
    return png[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


def make_project(folder: Path, count: int) -> int:
    """A project of `count` pictures; its size in bytes."""
    images = folder / "img" / "1_ohwx man"
    images.mkdir(parents=True)
    sources, size = photographs(0), 0
    for number in range(count):
        as_png = number % 10 == 9
        data = with_comment(*sources[number % SOURCES], number, as_png)
        size += len(data)
        (images / f"{number:05}.{'png' if as_png else 'jpg'}").write_bytes(data)
        (images / f"{number:05}.txt").write_text(f"ohwx, a photo of a man, number {number}", encoding="utf-8")
    head = '[project]\nname = "many"\ntrigger = "ohwx"\nclass = "man"\n\n[settings]\n'
    (folder / "project.toml").write_text(head + 'pretrained_model_name_or_path = "micro"\n', encoding="utf-8")
    return size


def forget_files(folder: Path) -> bool:
    """Drop what the system keeps of these files in memory; False where it cannot."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def check(project: Path) -> tuple[float, int]:
    """Seconds of `lora-tui check --json` as a person waits for them, and how many pictures it found."""
    began = time.perf_counter()
    said = subprocess.run([*command("check", project), "--json"], capture_output=True, text=True, check=True).stdout
    return time.perf_counter() - began, len(json.loads(said)["pictures"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument(
        "--dir", type=Path, help="where to make the pictures (2 GB); by default in the folder for temporary files"
    )
    parser.add_argument("--json", type=Path, default=Path("build/many-pictures.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        project = Path(folder) / "many"
        size = make_project(project, args.count)
        cold = forget_files(project)
        first, found = check(project)
        again = [check(project)[0] for _ in range(AGAIN)]
    assert found == args.count
    told = {"pictures": found, "bytes": size, "cold": cold, "first": first, "again": again, "load": os.getloadavg()}
    print(f"{found:,} pictures, {size / 1e9:.2f} GB")
    print(f"check, the first time{' (files not in memory)' if cold else ''}: {first:.2f} s")
    print(f"check, again: {' · '.join(f'{seconds:.2f}' for seconds in again)} s; under 2 s is asked for")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
