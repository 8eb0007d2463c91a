"""How quickly the wizard answers: `python -m benchmarks.wizard`, a table and JSON in build/wizard.json.

The real app in a pty of 120 × 40. A key is pressed and the time until something is drawn is taken, many times: while
nothing else happens, while an engine trains beside it on the same machine, and while a folder of 10,000 pictures is
looked at.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import small_run, wizard_keys
from benchmarks.dashboard import Pty
from engine.plan.files import atomic_write

PRESSES = 60
MANY = 10_000
TITLE = b"of 9"
GOAL_MS = 100.0
STARTS = 5


def answers(app: Pty, keys: bytes, presses: int = PRESSES) -> list[float]:
    """Milliseconds from a press to the next thing that is drawn, each key in turn."""
    found = []
    chance = random.Random(0)
    for number in range(presses):
        app.read(0.2 + 0.2 * chance.random())  # a person looks before the next press
        before = len(app.output)
        began = time.monotonic()
        app.press(keys[number % len(keys) : number % len(keys) + 1])
        app.read(3.0, lambda before=before: len(app.output) > before)  # type: ignore[misc]
        found.append((time.monotonic() - began) * 1000)
    return found


def facts(found: list[float]) -> dict[str, float]:
    ordered = sorted(found)
    return {
        "median": statistics.median(ordered),
        "p95": ordered[int(0.95 * (len(ordered) - 1))],
        "most": ordered[-1],
    }


def start(project: Path, home: Path) -> Pty:
    app = Pty([Path(sys.executable).with_name("lora-tui"), project], home)
    app.read(30.0, lambda: TITLE in app.output)
    if TITLE not in app.output:
        raise RuntimeError(f"no first frame; the app said {app.output[-2000:]!r}")
    return app


def measure() -> dict[str, Any]:
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        project = small_run.make_project(home / "ohwx", 16, 16, max_train_epochs=40)
        starts = []
        for _ in range(STARTS):
            app = start(project, home)
            starts.append(app.last - app.began)
            app.end()
        told["start_seconds"] = statistics.median(starts)

        app = start(project, home)
        app.read(2.0)
        told["idle"] = facts(answers(app, b"234671"))
        run = small_run.start(project, env=small_run.environment(home))
        small_run.wait_for_step(run, 2)
        told["training"] = facts(answers(app, b"234671"))
        small_run.lora_tui("stop", run.path, env=small_run.environment(home))
        app.end()

        many = home / "many" / "img" / "1_ohwx man"
        many.mkdir(parents=True)
        sample = next((project / "img").glob("*/*.png"))
        for number in range(MANY):
            shutil.copyfile(sample, many / f"{number:05}.png")
        app = start(home / "many", home)
        app.press(b"2")
        told["looking"] = facts(answers(app, b"12", 20))
        app.read(30.0, lambda: time.monotonic() - app.last > 3.0)
        told["many"] = facts(answers(app, b"zz"))
        app.end()
    return told


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wizard", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("build/wizard.json"))
    args = parser.parse_args()
    told = measure()
    names = {
        "idle": "a key, nothing else going on",
        "training": "a key, while an engine trains beside it",
        "looking": f"a key, while {MANY:,} pictures are looked at",
        "many": f"a key, with {MANY:,} pictures in the list",
    }
    print(f"{'start-up to the first frame, s':<48} {told['start_seconds']:.2f}")
    for key, name in names.items():
        found = told[key]
        print(f"{name:<48} median {found['median']:5.0f} ms   95 % {found['p95']:5.0f}   most {found['most']:5.0f}")
    keys = wizard_keys.measure({"here": wizard_keys.HERE})
    print("\n".join(["", *wizard_keys.table(keys)]))
    told["keys"] = wizard_keys.as_json(keys)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.json, json.dumps(told, indent=1))
    print(f"\ngoal: {GOAL_MS:.0f} ms; written to {args.json}")


if __name__ == "__main__":
    main()
