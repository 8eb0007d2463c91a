"""How pictures look, worked out by several processes and kept from one command to the next.

They stand in a table of their own (`known_files`): whoever asks for sizes must not wait for it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from engine.plan.files import Stamp, stamp_of
from engine.plan.known_files import read_table, write_table
from engine.plan.look_worker import Worker
from engine.plan.looks import Look, from_row, look_at
from engine.plan.project import Project

NAME, WHAT = "looks.json", "looks"
VERSION = 1  # change it when `looks.look` finds something else in the same picture
WORTH_KEEPING = 50
"""Fewer new pictures are looked at in a moment; then nothing is written."""
KEPT_SECONDS = 60.0  # of work, after which what was found is written even if it is not all
_FEW = 30  # pictures, which threads have looked at before a process of its own would have begun
_WAIT_SECONDS = 0.1

Progress = Callable[[int, int], None]


class Looks:
    """What is known of how pictures look, by path.

    looked: how many were looked at. new: how many of them since it was kept.
    """

    def __init__(self, known: Mapping[Path, tuple[Stamp, Look | None]] | None = None) -> None:
        self.known = dict(known or {})
        self.looked = self.new = 0

    def __getitem__(self, path: Path) -> Look | None:
        """How it looked when it was looked at; None where it was not yet, or cannot be."""
        return self.known[path][1] if path in self.known else None

    def file_bytes(self, path: Path) -> int:
        """How large the file was that was looked at."""
        return self.known[path][0][0]

    def lacking(self, paths: Iterable[Path]) -> list[tuple[Path, Stamp]]:
        """The pictures that were not looked at as they are now, with their stamps."""
        stamps = ((path, stamp_of(path)) for path in paths)
        return [(p, stamp) for p, stamp in stamps if stamp is not None and self.known.get(p, (None,))[0] != stamp]

    def look_at(self, paths: Iterable[Path], progress: Progress | None = None, workers: int | None = None) -> None:
        """Look at all that are lacking. `progress(done, total)` is called every tenth of a second and after each
        picture; what it raises ends this, and what was found until then stays.

        workers: processes (threads, for a few pictures), by default one less than there are processors, at most 4.
        """
        lacking = self.lacking(paths)
        if not lacking:
            return
        jobs, found, ended = iter(lacking), queue.SimpleQueue[tuple[Path, Stamp, Look | None]](), threading.Event()
        turn = threading.Lock()

        def work() -> None:
            worker = Worker() if len(lacking) > _FEW else None
            while not ended.is_set():
                with turn:
                    job = next(jobs, None)
                if job is None:
                    break
                try:
                    look = worker.look_at(job[0]) if worker is not None else look_at(job[0])
                except OSError:  # no process can be begun: then a thread does
                    worker, look = None, look_at(job[0])
                found.put((*job, look))
            if worker is not None:
                worker.end()

        # Daemons: an app that has to leave within a second cannot wait for a disk.
        for _ in range(workers or max(1, min(4, (os.cpu_count() or 2) - 1))):
            threading.Thread(target=work, name="looks", daemon=True).start()
        done = 0
        try:
            while done < len(lacking):
                with contextlib.suppress(queue.Empty):
                    path, stamp, look = found.get(timeout=_WAIT_SECONDS)
                    self.known[path] = (stamp, look)
                    self.looked += 1
                    self.new += 1
                    done += 1
                if progress is not None:
                    progress(done, len(lacking))
        finally:
            ended.set()


def kept_looks(project: Project) -> Looks:
    """What `keep_looks` wrote; empty where that is not there or makes no sense."""
    return Looks(read_table(project, NAME, WHAT, VERSION, from_row))


def keep_looks(project: Project, looks: Looks) -> None:
    """Write what is known, where much of it is new. A disk that cannot be written is no error."""
    if looks.new < WORTH_KEEPING:
        return
    rows = ((path, stamp, look.as_row() if look is not None else ()) for path, (stamp, look) in looks.known.items())
    if write_table(project, NAME, WHAT, VERSION, rows):
        looks.new = 0
