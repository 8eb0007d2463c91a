"""Run folders that a stranger, a torn disk or another version has written: looked at, or refused in a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runs import checkpoints
from engine.runs.events import EventReader, EventWriter, last_event, read_all
from engine.runs.fold import fold
from engine.runs.folder import RunFolder, find, list_runs
from engine.runs.job import Job
from engine.runs.snapshot import Snapshot
from engine.runs.state import observe
from tests.fuzz.nonsense import answer_of, tries

DEEP = b"[" * 5000
KINDS = [
    "job",
    "phase",
    "step",
    "gpu",
    "heartbeat",
    "sample",
    "checkpoint",
    "saved",
    "warning",
    "oom",
    "command",
    "paused",
    "resumed",
    "end",
    "new",
]
FIELDS = [
    "v",
    "seq",
    "time",
    "step",
    "epoch",
    "loss",
    "lr",
    "path",
    "name",
    "state",
    "done",
    "total",
    "status",
    "message",
    "code",
    "bytes",
    "pid",
    "total_steps",
    "from_step",
    "d",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([10**400, "../../../etc/passwd", "\x1b[2J", "\ud800", "\0", "start", "end", 2**63]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
EVENTS = st.builds(
    lambda kind, fields: json.dumps({"v": 1, "seq": 1, "time": 1.0, "kind": kind} | fields).encode(),
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6),
)
LINES = (
    EVENTS
    | st.binary(max_size=30)
    | st.sampled_from([DEEP, b"9" * 5000, b"\0" * 40, b"", b"{", b'{"kind":"step","seq":1e999}'])
)
LOGS = st.lists(LINES, max_size=8).map(b"\n".join)
JOBS = st.lists(
    st.sampled_from(
        [
            "kind = 'train'",
            "kind = 3",
            "v = 1",
            "project = '/p'",
            "project = 3",
            "settings = 3",
            "[settings]",
            "network_dim = 4",
            "[arguments]",
            "dry_run = 'x'",
            "left_out = 3",
            "repeats = 3",
            "arguments = 3",
            "name = []",
            "x = " + "[" * 3000,
            "x = " + "9" * 5000,
            "é",
        ]
    )
    | st.text(max_size=9),
    max_size=6,
).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass"))
CONTENT = LOGS | JOBS | st.binary(max_size=30) | st.just(DEEP)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run folder whose files are whatever was tried last."""
    run = RunFolder(tmp_path_factory.mktemp("project") / "runs" / "2026-11-28_120000")
    for folder in (run.control_dir, run.samples_dir, run.output_dir, run.checkpoints_dir / "step-00000010"):
        folder.mkdir(parents=True)
    return run


@given(LOGS, JOBS, CONTENT, CONTENT)
@tries(80)
def test_no_run_folder_makes_who_looks_at_it_stumble(
    run: RunFolder, log: bytes, job: bytes, lock: bytes, state: bytes
) -> None:
    run.events_path.write_bytes(log)
    run.first_job_path.write_bytes(job)
    run.lock_path.write_bytes(lock)
    (run.checkpoints_dir / "step-00000010" / checkpoints.STATE_FILE).write_bytes(state)
    project = run.path.parent.parent

    seen = answer_of(lambda: observe(run), project)
    assert seen is not None
    assert seen.state in ("queued", "died", "failed", "finished", "stopped", "unknown")
    assert answer_of(lambda: list_runs(project), project) == [run]
    answer_of(lambda: find("last", project), project)
    answer_of(lambda: last_event(run.events_path), project)
    answer_of(lambda: [c.epoch for c in checkpoints.list_checkpoints(run)], project)
    answer_of(lambda: Job.read(run.first_job_path), project)
    for about in ("kind", "is_training", "is_dry_run", "job_number", "bytes", "disk_full"):
        answer_of(lambda about=about: getattr(run, about), project)  # type: ignore[misc]


@given(LOGS)
@tries(80)
def test_an_engine_goes_on_counting_after_any_log(place: Path, log: bytes) -> None:
    path = place / "events.jsonl"
    path.write_bytes(log)
    before = len(list(read_all(path)))
    with EventWriter(path) as events:
        events.write("heartbeat")
    after = list(read_all(path))
    assert len(after) >= before + 1  # a last line without an end may have become one
    assert after[-1]["kind"] == "heartbeat"
    assert type(after[-1]["seq"]) is int
    snapshot = Snapshot()
    fold(after, snapshot)
    path.unlink()


@pytest.mark.parametrize("name", ["events.jsonl", "job.toml", "lock", "checkpoints", "control"])
def test_a_pipe_in_the_place_of_a_file_of_a_run_is_not_waited_for(tmp_path: Path, name: str) -> None:
    run = RunFolder(tmp_path / "runs" / "2026-11-28_120000")
    run.path.mkdir(parents=True)
    if name != "job.toml":
        run.first_job_path.write_text("kind = 'train'\n", encoding="utf-8")
    os.mkfifo(run.path / name)
    assert observe(run).state in ("queued", "died", "unknown")
    assert len(list_runs(tmp_path)) == (name != "job.toml")
    assert checkpoints.list_checkpoints(run) == []
    assert EventReader(run.events_path).read() == []
    if name == "job.toml":
        assert answer_of(lambda: run.job, tmp_path) is None
