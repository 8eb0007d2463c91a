"""A captioning run that goes on: its captions are compared with what it wrote before the stop."""

from __future__ import annotations

from typing import Any

import pytest

from engine.plan.caption_files import write_caption
from engine.plan.caption_history import History
from engine.runs.captions import newest_done
from tests.caption.conftest import Caption, Put, caption_of, named, warnings_of


class Stopped:
    """A run that was stopped when it had written two of five captions, and the number of pictures looked at."""

    def __init__(self, caption: Caption, says: Put, existing: str) -> None:
        self.seen: list[str] = []

        def say(pictures: Any) -> list[str]:
            self.seen.extend(shown.path.stem for shown in pictures)
            if len(self.seen) == 2:
                caption.stop.set()
            return named(pictures)

        says(say)
        self.run = caption.run(batch_size=2, existing=existing)
        caption.work(self.run)


@pytest.mark.parametrize("existing", ["keep", "append", "replace"])
def test_a_run_that_goes_on_writes_captions_again_that_are_gone(caption: Caption, says: Put, existing: str):
    stopped = Stopped(caption, says, existing)
    for name in ("p0", "p1"):
        next(caption.project.path.glob(f"img/*/{name}.txt")).unlink()
    result = caption.work(stopped.run)
    assert (result["written"], result["complete"]) == (5, True)
    assert [caption_of(caption.project, f"p{n}") for n in range(5)] == [
        f"ohwx, a picture called p{n}" for n in range(5)
    ]
    assert sorted(stopped.seen) == [f"p{number}" for number in range(5)]  # what was said of them is known
    assert not warnings_of(stopped.run)


@pytest.mark.parametrize("existing", ["append", "replace"])
def test_a_run_that_goes_on_writes_captions_again_that_were_taken_back(caption: Caption, says: Put, existing: str):
    for number in range(5):  # changes before the run, which can be taken back as well
        path = next(caption.project.path.glob(f"img/*/p{number}.png"))
        path.with_suffix(".txt").write_text("first", encoding="utf-8")
        write_caption(caption.project.path, path, f"old {number}", ".txt")
    stopped = Stopped(caption, says, existing)
    history = History(caption.project.path, ".txt")
    for _ in range(4):  # the run's, and those of p4, p3 and p2 before it
        history.undo()
    assert caption_of(caption.project, "p4") == "first"
    result = caption.work(stopped.run)
    assert (result["written"], result["skipped"], warnings_of(stopped.run)) == (5, 0, [])
    before = ["old 0", "old 1", "first", "first", "first"] if existing == "append" else [""] * 5
    expected = [f"ohwx, {b}, a picture called p{n}".replace(", ,", ",") for n, b in enumerate(before)]
    assert [caption_of(caption.project, f"p{number}") for number in range(5)] == expected
    outcome = History(caption.project.path, ".txt").undo()
    assert outcome is not None
    assert len(outcome.pictures) == 5
    assert caption_of(caption.project, "p0") == "old 0"


@pytest.mark.parametrize(("existing", "counts"), [("keep", (4, 1, 0)), ("append", (4, 0, 1)), ("replace", (4, 0, 1))])
def test_a_run_that_goes_on_leaves_what_a_person_wrote_since(
    caption: Caption, says: Put, existing: str, counts: tuple[int, int, int]
):
    stopped = Stopped(caption, says, existing)
    next(caption.project.path.glob("img/*/p1.txt")).write_text("by hand", encoding="utf-8")
    result = caption.work(stopped.run)
    assert (result["written"], result["kept"], result["skipped"]) == counts
    assert caption_of(caption.project, "p1") == "by hand"
    told = "1 kept" if existing == "keep" else "1 skipped: 1 caption was changed meanwhile (p1.png)"
    assert told in result["message"]
    assert sum(done.state == "written" for done in newest_done(stopped.run).values()) == 4


def test_a_run_that_goes_on_looks_again_at_pictures_that_could_not_be_read(caption: Caption, says: Put):
    path = next(caption.project.path.glob("img/*/p0.png"))
    whole = path.read_bytes()
    path.write_bytes(b"no picture")
    stopped = Stopped(caption, says, "keep")
    path.write_bytes(whole)
    next(caption.project.path.glob("img/*/p4.png")).unlink()
    result = caption.work(stopped.run)
    assert (result["written"], result["skipped"], result["complete"]) == (4, 0, True)
    assert caption_of(caption.project, "p0") == "ohwx, a picture called p0"
