"""What the wizard's keys cost in a project of 10,000 pictures: `python -m benchmarks.wizard_keys`, a table.

The real app in a pty of 80 × 24 and of 120 × 40. For each key: milliseconds until anything is drawn, until what the key
changed is drawn, and until the app is quiet again, and the bytes that all of it took. `--beside CHECKOUT` measures
another checkout of this repository in turns with this one, so that both meet the same load of the machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import small_run
from benchmarks.dashboard import Pty
from engine.plan.files import atomic_write

PICTURES = 10_000
SIZES = ((80, 24), (120, 40))  # columns, rows
ROUNDS = 3
QUIET_SECONDS = 1.5  # nothing drawn for so long: all is done
WAITS = (0.15, 0.35)  # seconds between presses while the project is checked anew: before it has begun, and amid it
HERE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Answer:
    """What one press brought. first, shown, quiet: milliseconds until anything was drawn, until what the key changed
    was, and until the last of it was."""

    first: float
    shown: float
    quiet: float
    size: int  # bytes


Told = dict[str, dict[str, dict[str, list[Answer]]]]  # by size of the terminal, checkout and key


def make_project(folder: Path) -> Path:
    """10,000 small pictures, each with a caption that has the trigger."""
    small = small_run.make_project(folder / "small", 6, 1)
    sample = next((small / "img").glob("*/*.png"))
    images = folder / "many" / "img" / "1_ohwx man"
    images.mkdir(parents=True)
    for number in range(PICTURES):
        shutil.copyfile(sample, images / f"{number:05}.png")
        (images / f"{number:05}.txt").write_text(f"ohwx, a man in coat {number}\n", encoding="utf-8")
    shutil.copyfile(small / "project.toml", folder / "many" / "project.toml")
    return folder / "many"


class Session:
    """The wizard of one checkout on a project, in a pty of its own."""

    def __init__(self, checkout: Path, project: Path, home: Path, size: tuple[int, int]) -> None:
        program = [Path(sys.executable).with_name("lora-tui"), project]
        self._app = Pty(program, home, *size, PYTHONPATH=str(checkout))  # which comes before what is installed
        self._app.read(30.0, lambda: b"of 9" in self._app.output)
        if b"of 9" not in self._app.output:
            raise RuntimeError(f"no first frame; the app said {self._app.output[-2000:]!r}")
        self._app.read(60.0, self._is_quiet)

    def _is_quiet(self) -> bool:
        return time.monotonic() - self._app.last > QUIET_SECONDS

    def press(self, key: bytes, shows: bytes = b"", wait: float | None = None) -> Answer:
        """Press it, and read until all is quiet, or for `wait` seconds. shows: stands in what the key is about."""
        app = self._app
        before, began = len(app.output), time.monotonic()
        app.last = began
        first = shown = None
        app.press(key)
        end = began + (wait if wait is not None else 30.0)
        while time.monotonic() < end and not (wait is None and self._is_quiet()):
            length = len(app.output)
            app.read(0.05, lambda length=length: len(app.output) > length)  # type: ignore[misc]
            if len(app.output) > length:
                first = app.last if first is None else first
                if shown is None and shows in app.output[before:]:
                    shown = app.last
        given_up = time.monotonic()
        return Answer(
            ((first or given_up) - began) * 1000,
            ((shown or given_up) - began) * 1000,
            (app.last - began) * 1000,
            len(app.output) - before,
        )

    def measure(self, number: int) -> Iterator[tuple[str, Answer]]:
        """One round of all keys, and what each brought."""
        self.press(b"2")
        self.press(b"\x1b[B")
        yield "move on", self.press(b"\x1b[B", b"%05d" % (2 * number + 2))
        row = b"%05d.png" % (2 * number + 2)
        yield "leave out", self.press(b" ", row)
        yield "undo", self.press(b"u", row)
        self.press(b"4")
        self.press(b"\x1b[B")
        yield "open a caption", self.press(b"\r", b"saved")
        yield "a letter in it, saved", self.press(b"x")
        yield "save, and the next", self.press(b"\r", b"png")
        yield "leave the caption", self.press(b"\x1b", b"edit")
        self.press(b"6")
        for _ in range(3 if number == 0 else 0):
            self.press(b"\x1b[B")
        self.press(b"\x1b[C", wait=WAITS[-1])
        for key, wait in zip((b"\x1b[D", b"\x1b[C") * 4, WAITS * 4, strict=True):
            yield "a setting, while checked", self.press(key, wait=wait)
        yield "a setting, the last", self.press(b"\x1b[D")

    def end(self) -> None:
        self._app.end()


def measure(checkouts: dict[str, Path]) -> Told:
    """By size and checkout, what each key brought, round by round."""
    told: Told = {}
    with tempfile.TemporaryDirectory() as temporary:
        projects = {name: make_project(Path(temporary) / name) for name in checkouts}
        for size in SIZES:
            told["{}x{}".format(*size)] = by_checkout = {name: {} for name in checkouts}  # type: ignore[var-annotated]
            sessions = {
                name: Session(checkout, projects[name], projects[name].parent, size)
                for name, checkout in checkouts.items()
            }
            for number in range(ROUNDS):
                for name, session in sessions.items():
                    for key, answer in session.measure(number):
                        by_checkout[name].setdefault(key, []).append(answer)
            for session in sessions.values():
                session.end()
    return told


def as_json(told: Told) -> Any:
    return json.loads(json.dumps(told, default=asdict))


def table(told: Told) -> list[str]:
    """Medians of the rounds, and the slowest first answer of all."""
    rows = [f"{'':<44}{'first ms':>10}{'(most)':>8}{'shown ms':>10}{'quiet ms':>10}{'bytes':>10}"]
    for size, by_checkout in told.items():
        for key in next(iter(by_checkout.values())):
            for name, answers in by_checkout.items():
                found = answers[key]
                first, shown, quiet, sent = (
                    statistics.median(getattr(answer, part) for answer in found)
                    for part in ("first", "shown", "quiet", "size")
                )
                most = max(answer.first for answer in found)
                rows.append(
                    f"{size:<8}{key:<26}{name:<10}{first:>10.0f}{most:>8.0f}{shown:>10.0f}{quiet:>10.0f}{sent:>10,.0f}"
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wizard_keys", description=__doc__)
    parser.add_argument("--beside", type=Path, help="another checkout of this repository")
    parser.add_argument("--json", type=Path, default=Path("build/wizard_keys.json"))
    args = parser.parse_args()
    checkouts = {"before": args.beside.resolve()} if args.beside else {}
    told = measure(checkouts | {"here": HERE})
    print("\n".join(table(told)))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.json, json.dumps(as_json(told), indent=1))


if __name__ == "__main__":
    main()
