"""What the caption editor costs with 10,000 captions: `python -m benchmarks.caption_editor`, a table.

The real app in a pty of 80 × 24, and of 120 × 40 where pictures are shown beside the list. For each key: milliseconds
until anything is drawn, the most that any press took, and the bytes that all of it sent. Then how long the list takes
to appear, the memory of the app, and how many keys and seconds thirty captions take in which one word each is changed.
It takes about two minutes and a half.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.wizard_keys import HERE, Answer, Session, make_project
from engine.plan.files import atomic_write

SIZES = ((80, 24), (120, 40))  # columns, rows
ROUNDS = 2
CAPTIONS = 30
WAIT_SECONDS = 0.3  # after each key: what it sends and what comes of it a moment later is counted
MIB = 1024 * 1024
TAB, ENTER, ESC, DOWN = b"\t", b"\r", b"\x1b", b"\x1b[B"
LIMIT_MS, LIMIT_BYTES = 50, 2048
PLACES = ("on a stage", "in a park", "at night", "by the sea", "in a kitchen", "on a bridge", "in the snow", "at home")
WORDS = ("red", "blue", "green", "old", "new", "long", "short", "dark", "bright", "plain")
_ENDS = ("ay", "eed", "ight", "own", "ash", "ill", "ove", "ump", "ark", "ine", "ood", "ame", "ote", "ess")
THINGS = ("coat", "hat", "scarf", "shirt", "jacket", "dress", "sweater", "jeans", "boots", "glasses")


def write_captions(project: Path, long: bool = False) -> None:
    """Captions as people have them: a sentence and some tags; every tenth has something to mend.

    long: of some 330 letters and not of 100: with seven tags more and a sentence that no other has.
    """
    dice = random.Random(6)
    looks = [f"{how} {what} {place}" for how in WORDS for what in THINGS for place in ("in sight", "worn", "aside")]
    words = [f"{begin}{end}" for begin in ("str", "pl", "gr", "cl", "br", "m", "t") for end in _ENDS]
    for number, path in enumerate(sorted((project / "img").rglob("*.txt"))):
        clothes = ", ".join(f"{dice.choice(WORDS)} {dice.choice(THINGS)}" for _ in range(5))
        trigger = "" if number % 10 == 9 else "ohwx, "
        more = f", {', '.join(dice.sample(looks, 7))}, {' '.join(dice.choices(words, k=18))}" if long else ""
        path.write_text(f"{trigger}a man {dice.choice(PLACES)}, {clothes}, number {number}{more}\n", encoding="utf-8")


def wait_until_idle(session: Session) -> None:
    """Until the app rests: what it checks in the background is not what a key costs."""
    process = session._app.process
    for _ in range(100):
        before = sum(process.cpu_times()[:2])
        session._app.read(0.1)
        if sum(process.cpu_times()[:2]) - before < 0.02:
            return


def keys(session: Session, number: int) -> Iterator[tuple[str, Answer]]:
    """One round of all keys, and what each brought."""

    def press(key: bytes) -> Answer:
        wait_until_idle(session)
        return session.press(key, wait=WAIT_SECONDS)

    yield "a row down", press(DOWN)
    yield "the next to mend", press(b"m")
    yield "open a caption", press(ENTER)
    yield "a letter", press(b"x")
    yield "letters on the words", press(TAB if number % 2 else b"\x1b[Z")
    yield "the letter of one", press(b"d")
    for letter in b"sho":
        yield "a letter over it", press(bytes((letter,)))
    yield "save, and the next", press(ENTER)
    yield "stop", press(ESC)
    yield "as trained", press(b"v")
    yield "as trained, once more", press(b"v")
    press(ESC)
    yield "mark", press(b" ")
    press(ESC)
    yield "filter", press(b"f")
    for letter in b"red":
        yield "a letter of the filter", press(bytes((letter,)))
    press(ESC)
    yield "only to mend", press(b"a")
    press(b"a")
    yield "many at once", press(b"o")
    yield "back from there", press(ESC)
    yield "all tags", press(b"l")
    yield "a tag down", press(DOWN)
    yield "remove a tag: all changes", press(b"x")
    yield "back to the tags", press(ESC)
    yield "write it otherwise", press(b"e")
    press(b"q")
    yield "all changes of that", press(ENTER)
    press(ESC)
    yield "back from the tags", press(ESC)
    yield "find", press(b"r")
    for letter in b"par":
        yield "a letter to find", press(bytes((letter,)))
    yield "what would change", press(ENTER)
    for letter in b"wo":
        yield "a letter instead", press(bytes((letter,)))
    yield "to the changes", press(ENTER)
    yield "back from the changes", press(ESC)
    yield "the tags as chips", press(b"t")
    yield "a tag to the left", press(b"\x1b[D")
    yield "carry", press(b" ")
    yield "carried to the left", press(b"\x1b[D")
    press(b" ")
    yield "done", press(ESC)
    yield "undo", press(b"u")
    yield "redo", press(b"y")


def opened(project: Path, home: Path, size: tuple[int, int]) -> tuple[float, Session]:
    """(seconds from the key 4 until captions are listed, the app on that step)."""
    shutil.rmtree(project / ".lora-tui", ignore_errors=True)  # else it opens where it was left, on that step
    session = Session(HERE, project, home, size)
    app = session._app
    before, began = len(app.output), time.monotonic()
    app.press(b"4")
    app.read(60.0, lambda: b"a man " in app.output[before:])
    return app.last - began, session


def thirty(project: Path, home: Path) -> tuple[int, float]:
    """(keys, seconds) for thirty captions read, one word changed in each, typed as fast as the app answers."""
    _, session = opened(project, home, SIZES[0])
    wait_until_idle(session)
    session.press(b"\x1b[H", wait=WAIT_SECONDS)
    began, pressed = time.monotonic(), 0
    session.press(ENTER, wait=0.3)
    pressed += 1
    for _ in range(CAPTIONS):
        for key in (TAB, b"d", *(bytes((letter,)) for letter in b"cap"), ENTER):
            session.press(key, wait=0.02)
            pressed += 1
    seconds = time.monotonic() - began
    session.press(ESC)
    session.end()
    changed = sum("cap" in path.read_text() for path in sorted((project / "img").rglob("*.txt"))[:CAPTIONS])
    if changed != CAPTIONS:
        raise RuntimeError(f"only {changed} of {CAPTIONS} captions have the new word")
    return pressed, seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.caption_editor", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("build/caption_editor.json"))
    parser.add_argument("--long", action="store_true", help="with captions of 330 letters, not of 100")
    parser.add_argument("--project", type=Path, help="a project of 10,000 pictures, made before")
    args = parser.parse_args()
    told: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        project = args.project or make_project(home)
        write_captions(project, args.long)
        for size in SIZES:
            seconds, session = opened(project, home, size)
            found: dict[str, list[Answer]] = {}
            for number in range(ROUNDS):
                for name, answer in keys(session, number):
                    found.setdefault(name, []).append(answer)
            rss = session._app.process.memory_info().rss / MIB
            session.end()
            name = "{}x{}".format(*size)
            print(f"{name}: listed {seconds:.2f} s after the key; {rss:.0f} MiB of memory")
            print(f"{'':<28}{'first ms':>10}{'(most)':>8}{'bytes':>8}")
            rows = {}
            for key, answers in found.items():
                first = statistics.median(answer.first for answer in answers)
                most = max(answer.first for answer in answers)
                sent = statistics.median(answer.size for answer in answers)
                over = "  !" if first > LIMIT_MS or sent > LIMIT_BYTES else ""
                print(f"{key:<28}{first:>10.0f}{most:>8.0f}{sent:>8.0f}{over}")
                rows[key] = {"first_ms": first, "most_ms": most, "bytes": sent}
            told[name] = {"seconds": seconds, "rss_mib": rss, "keys": rows}
        pressed, seconds = thirty(project, home)
        print(f"{CAPTIONS} captions, one word of three letters changed in each: {pressed} keys in {seconds:.1f} s")
        told["thirty"] = {"keys": pressed, "seconds": seconds}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.json, json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
