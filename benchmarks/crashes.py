"""The crash campaign: engines killed with SIGKILL at random moments, resumed, compared with one that nobody touched.

    python -m benchmarks.crashes --kills 50 --seed 0
    python -m benchmarks.crashes --kills 20 --settings all      # 20 with each kind of settings

Each kill waits until the engine is at one kind of work (an event in events.jsonl, or a file that is being written) and
then a random part of the time that this work takes. What it really hit is judged afterwards from what lies there.
After every kill each checkpoint must be whole; after the last resume of a run its LoRAs, pictures and steps must be
those of the undisturbed one, every file must open, and nothing half-written may be left. Interrupted, the campaign
goes on where it stopped when it is started again with the same folder.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import small_run
from engine.plan.files import atomic_write
from engine.runs.checkpoints import list_checkpoints
from engine.runs.events import Event, EventReader, read_all
from engine.runs.folder import RunFolder, list_runs
from engine.runs.lock import look
from engine.runs.state import observe

AIMS = ("starting", "caching", "a step", "a checkpoint", "a sample", "a save")
LOOK_SECONDS = 0.0005  # a LoRA of this size is written within some milliseconds
KILLS_A_RUN = 10  # then it may get to its end, and is compared
PICTURES = 16  # 8 steps an epoch, 40 in all
PROJECT: dict[str, object] = {
    "max_train_epochs": 5,
    "checkpoint_every_n_steps": 5,
    "sample_every_n_steps": 12,
    "sample_prompts": ["ohwx, a photo of a man --s 10"],
}
USUAL = "usual"
SETTINGS: dict[str, dict[str, object]] = {
    USUAL: {},
    **small_run.KINDS,
    # as many steps as the others, of two batches each
    "accumulation": small_run.KINDS["accumulation"] | {"max_train_epochs": 10},
}
"""What each campaign's training is about, beside what they have in common."""


@dataclass
class Kill:
    """One SIGKILL: what it was aimed at, what the engine was doing, and what it cost."""

    run: str
    aim: str
    hit: str
    last_step: int  # said in the log before the kill
    from_step: int = -1  # where the next engine went on; -1: it was killed before it could say
    detached_seconds: float = 0.0  # of the next `train --resume --detach`
    first_step_seconds: float = 0.0  # from that command to the next engine's first step; 0: it was killed before
    broken: list[str] = field(default_factory=list)  # checkpoints that were not whole right after the kill

    @property
    def lost(self) -> int:
        return max(0, self.last_step - self.from_step) if self.from_step >= 0 else 0


@dataclass
class Campaign:
    """What has been done so far; saved after every kill."""

    seed: int
    kills: list[Kill] = field(default_factory=list)
    finished: dict[str, list[str]] = field(default_factory=dict)  # run → in what it is not as it should be
    missed: int = 0  # aims that a run's end came before

    @property
    def sound(self) -> bool:
        return not any(self.finished.values()) and not any(kill.broken for kill in self.kills)


class Life:
    """What the engine that was started last has said; `read` looks for more."""

    def __init__(self, run: RunFolder | None) -> None:
        """Before the engine is started. `run` None: it makes its own."""
        self.began = time.time()
        self._reader = None if run is None else EventReader(run.events_path)
        while self._reader is not None and self._reader.read():
            pass  # of engines before
        self.events: list[Event] = []
        self.left_before = set() if run is None else set(leftovers(run))

    def started(self, run: RunFolder) -> None:
        self.run, self.pid = run, look(run).pid
        self.detached_seconds = time.time() - self.began
        self._reader = self._reader or EventReader(run.events_path)

    def read(self) -> list[Event]:
        assert self._reader is not None
        while events := self._reader.read():
            self.events += events
        return self.events


class Crasher:
    """Runs the campaign in `folder`."""

    def __init__(self, folder: Path, kills: int, seed: int, settings: dict[str, object]) -> None:
        self.folder, self.wanted, self.settings = folder, kills, settings
        self.saved = folder / "campaign.json"
        self.env = small_run.environment(folder)
        self.campaign = Campaign(seed)
        if self.saved.exists():
            said = json.loads(self.saved.read_bytes())
            self.campaign = Campaign(seed, [Kill(**kill) for kill in said["kills"]], said["finished"], said["missed"])
            if said["seed"] != seed:
                raise SystemExit(f"{folder} holds a campaign with the seed {said['seed']}.")

    def perform(self) -> Campaign:
        template = self.folder / "template"
        if not template.exists():
            small_run.make_project(template, PICTURES, repeats=1, **PROJECT | self.settings)
        self.undisturbed = self._undisturbed(template)
        self.seconds = usual_seconds(self.undisturbed)
        while len(self.campaign.kills) < self.wanted or self._open_runs():
            project = next(iter(self._open_runs()), None)
            if project is None:
                project = small_run.copy_project(template, self.folder / f"run-{len(self.campaign.finished) + 1}")
            self._disturb(project)
        return self.campaign

    def _undisturbed(self, template: Path) -> RunFolder:
        project = self.folder / "undisturbed"
        if not project.exists():
            small_run.copy_project(template, project)
        run = next(iter(list_runs(project)), None) or small_run.start(project, env=self.env)
        if small_run.wait_for_end(run) != "finished":
            raise SystemExit(f"The undisturbed run {run.path} did not finish.")
        return run

    def _open_runs(self) -> list[Path]:
        there = [path for path in self.folder.glob("run-*") if path.name not in self.campaign.finished]
        return sorted(there)

    def _disturb(self, project: Path) -> None:
        """Kill and resume the run of `project` until it has had its share, then let it get to its end."""
        runs = list_runs(project)
        run = runs[0] if runs else None
        while True:
            here = [kill for kill in self.campaign.kills if kill.run == project.name]
            last = len(here) >= KILLS_A_RUN or len(self.campaign.kills) >= self.wanted
            chance = random.Random(f"{self.campaign.seed} {len(self.campaign.kills)} {self.campaign.missed}")
            aim = "" if last else self._next_aim(chance)
            if aim == "caching":
                shutil.rmtree(project / "cache", ignore_errors=True)
            life = Life(run)
            if run is None or look(run).status != "held":
                run = small_run.start(project, *([] if run is None else ["--resume"]), env=self.env)
            life.started(run)
            hit = self._kill(life, aim, chance) if aim else False
            if not hit:
                small_run.wait_for_end(run)
            if here and here[-1].from_step < 0:
                complete(here[-1], life)
            if hit:
                kill = Kill(project.name, aim, activity(life), last_step(run), broken=broken_checkpoints(run))
                self.campaign.kills.append(kill)
                self._save()
                self._tell(kill)
                continue
            if not last:
                self.campaign.missed += 1
            state = observe(run).state
            wrong = [] if state == "finished" else [f"it ended {state}"]
            wrong += small_run.differences(run, self.undisturbed) + small_run.unopenable(project)
            self.campaign.finished[project.name] = wrong
            self._save()
            print(f"      {project.name}: {wrong or 'as if nothing had happened'}", flush=True)
            return

    def _next_aim(self, chance: random.Random) -> str:
        """What was hit less often is aimed at more often: some work takes seconds, some milliseconds."""
        hits = collections.Counter(kill.hit for kill in self.campaign.kills)
        return chance.choices(AIMS, [1 / (1 + hits[aim]) ** 2 for aim in AIMS])[0]

    def _kill(self, life: Life, aim: str, chance: random.Random) -> bool:
        """Wait for the moment and kill; False if the run ended before it came."""
        if not self._wait_for(aim, life, chance):
            return False
        time.sleep(chance.random() * self.seconds[aim])
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(life.pid, signal.SIGKILL)
        small_run.wait_for(lambda: look(life.run).status != "held", "the end of the process")
        return observe(life.run).state == "died"

    def _wait_for(self, aim: str, life: Life, chance: random.Random) -> bool:
        """Until the engine is at what is aimed at; False if it ended first."""
        run, steps = life.run, chance.randint(1, 10)
        moments: dict[str, Callable[[], object]] = {
            "starting": lambda: True,
            "caching": lambda: any(str(event.get("name")).startswith("encoding") for event in life.read()),
            "a step": lambda: sum(event["kind"] == "step" for event in life.read()) >= steps,
            "a checkpoint": lambda: any(run.checkpoints_dir.glob(".*")),
            "a sample": lambda: any(event.get("name") == "sampling" for event in life.read()),
            "a save": lambda: any(run.output_dir.glob(".*")),
        }
        moment = moments[aim]
        skipped = chance.randint(0, 2) if aim in ("a checkpoint", "a save") else 0  # not always the first one
        while look(run).status == "held":
            if moment():
                if not skipped:
                    return True
                skipped -= 1
                while moment():
                    time.sleep(LOOK_SECONDS)
            time.sleep(LOOK_SECONDS)
        return False

    def _save(self) -> None:
        atomic_write(self.saved, json.dumps(asdict(self.campaign), indent=1))

    def _tell(self, kill: Kill) -> None:
        number = len(self.campaign.kills)
        print(f"{number:>3}/{self.wanted}  {kill.run}  aimed at {kill.aim:<13} hit {kill.hit:<22}", end="", flush=True)
        print(f" after step {kill.last_step:>3}{'  BROKEN ' + str(kill.broken) if kill.broken else ''}", flush=True)


def complete(kill: Kill, life: Life) -> None:
    """Now that the engine after it has spoken: where it went on, and how long that took."""
    said = life.read()
    first = next((event["time"] for event in said if event["kind"] == "step"), None)
    kill.detached_seconds = round(life.detached_seconds, 2)
    kill.first_step_seconds = round(first - life.began, 2) if first else 0.0
    from_steps = [event["from_step"] for event in said if event["kind"] == "resumed"]
    kill.from_step = from_steps[0] if from_steps else 0 if first else -1


def last_step(run: RunFolder) -> int:
    return max((event["step"] for event in small_run.steps(run)), default=0)


def usual_seconds(run: RunFolder) -> dict[str, float]:
    """About how long each kind of work takes, from the undisturbed run; within it the moment of a kill is random."""
    events = list(read_all(run.events_path))

    def of(name: str) -> list[float]:
        began = [e["time"] for e in events if (e.get("name"), e.get("state")) == (name, "start")]
        ended = [e["time"] for e in events if (e.get("name"), e.get("state")) == (name, "end")]
        return [b - a for a, b in zip(began, ended, strict=False)] or [0.0]

    starting = next(e["time"] for e in events if e["kind"] == "step") - events[0]["time"]
    checkpoints = [e.get("seconds", 0.05) for e in events if e["kind"] == "checkpoint"] or [0.05]
    return {
        "starting": 0.8 * starting,
        "caching": sum(of("encoding captions")) + sum(of("encoding pictures")),
        "a step": 2 * statistics.median(e["seconds"] for e in events if e["kind"] == "step"),
        "a checkpoint": 1.2 * statistics.median(checkpoints),
        "a sample": statistics.median(of("sampling")),
        "a save": 0.004,
    }


def activity(life: Life) -> str:
    """What the engine that has just been killed was doing, from what it left lying about and from its last words."""
    run = life.run
    for left in leftovers(run):
        if left not in life.left_before:
            if left.name.startswith(".removed"):
                return "an old checkpoint's end"
            words = {"checkpoints": "a checkpoint", "output": "a save", "model": "a save", "samples": "a sample"}
            return words.get(left.parent.name, "caching" if "cache" in left.parts else "a summary")
    if not run.events_path.read_bytes().endswith(b"\n"):
        return "an event"
    phase = observe(run).snapshot.phase
    if phase is None or phase.name == "training":
        return "a step"
    words = {"sampling": "a sample", "encoding captions": "caching", "encoding pictures": "caching"}
    return words.get(phase.name, "starting")


def leftovers(run: RunFolder) -> list[Path]:
    """What writing and removing leave in the project when they are interrupted."""
    found = [path for path in run.path.parents[1].rglob(".*") if path.name.endswith(small_run.TEMPORARY)]
    return found + list(run.checkpoints_dir.glob(".removed*"))


def broken_checkpoints(run: RunFolder) -> list[str]:
    """Folders named as a checkpoint that are none, or hold a file that does not open."""
    whole = {checkpoint.path for checkpoint in list_checkpoints(run)}
    found = [path.name for path in run.checkpoints_dir.glob("step-*") if path not in whole]
    for path in whole:
        found += [f"{path.name}/{wrong}" for wrong in small_run.unopenable(path)]
    return found


def table(campaign: Campaign) -> str:
    """Kills by what they hit, with what they cost."""
    rows = [("hit", "kills", "aimed at", "steps lost: most", "mean")]
    by_hit = collections.defaultdict(list)
    for kill in campaign.kills:
        by_hit[kill.hit].append(kill)
    for hit, kills in sorted(by_hit.items(), key=lambda item: -len(item[1])):
        aims = collections.Counter(kill.aim for kill in kills)
        lost = [kill.lost for kill in kills]
        aimed = ", ".join(f"{aim} {count}" for aim, count in aims.most_common())
        rows.append((hit, str(len(kills)), aimed, str(max(lost)), f"{statistics.mean(lost):.1f}"))
    lost = [kill.lost for kill in campaign.kills] or [0]
    rows.append(("all", str(len(campaign.kills)), "", str(max(lost)), f"{statistics.mean(lost):.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    text = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    waits = [kill.first_step_seconds for kill in campaign.kills if kill.first_step_seconds]
    detached = [kill.detached_seconds for kill in campaign.kills if kill.detached_seconds]
    text += f"\n\nruns compared: {len(campaign.finished)}, as if nothing had happened: "
    text += f"{sum(not wrong for wrong in campaign.finished.values())}"
    text += f"\ncheckpoints that were not whole after a kill: {sum(len(kill.broken) for kill in campaign.kills)}"
    if waits:
        text += f"\nseconds from `train --resume` to the next step: median {statistics.median(waits):.1f},"
        text += f" most {max(waits):.1f} (the command itself {statistics.median(detached):.1f})"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--settings", nargs="+", default=[USUAL], choices=[*SETTINGS, "all"], metavar="NAME")
    parser.add_argument("--folder", type=Path, default=Path("build/crashes"), help="everything lies there")
    parser.add_argument("--json", type=Path, default=Path("build/crashes.json"))
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    campaigns = {}
    for name in SETTINGS if "all" in args.settings else args.settings:
        print(f"\n== {name}")
        folder = args.folder.absolute() / name
        folder.mkdir(parents=True, exist_ok=True)
        campaigns[name] = Crasher(folder, args.kills, args.seed, SETTINGS[name]).perform()
        print("\n" + table(campaigns[name]), flush=True)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    said = {name: asdict(campaign) | {"sound": campaign.sound} for name, campaign in campaigns.items()}
    atomic_write(args.json, json.dumps(said, indent=1))
    print(f"\nwritten to {args.json}")
    for name, campaign in campaigns.items():
        for run, wrong in campaign.finished.items():
            for line in wrong:
                print(f"{name}, {run}: {line}")
    sys.exit(0 if all(campaign.sound for campaign in campaigns.values()) else 1)


if __name__ == "__main__":
    main()
