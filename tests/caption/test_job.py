"""The job that captions: what it writes, what it leaves alone, that it stops, goes on, makes do with less memory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.plan.caption_files import write_caption
from engine.plan.caption_history import History
from engine.plan.errors import UserError
from engine.plan.project import Project
from engine.runs.captions import DoneReader, read_done
from engine.runs.events import read_all
from tests.caption.conftest import Caption, Put, caption_of, named, warnings_of
from tests.training import picture


def test_the_pictures_get_captions_behind_the_trigger_word(caption: Caption, blip_folder: Path):
    result = caption(model=str(blip_folder), batch_size=2, num_beams=3)
    assert (result["written"], result["kept"], result["skipped"], result["complete"]) == (5, 0, 0, True)
    assert result["seconds"] > 0
    found = [caption_of(caption.project, f"p{number}") for number in range(5)]
    assert all(text and text.startswith("ohwx, ") and "  " not in text for text in found)
    assert caption_of(caption.project, "r") is None


def test_the_same_again_says_the_same_whatever_the_batch(caption: Caption, blip_folder: Path):
    caption(model=str(blip_folder), batch_size=5, num_beams=3)
    first = [caption_of(caption.project, f"p{number}") for number in range(5)]
    caption(model=str(blip_folder), batch_size=2, num_beams=3, existing="replace")
    assert [caption_of(caption.project, f"p{number}") for number in range(5)] == first


def test_progress_is_told_in_pictures(caption: Caption, says: Put):
    says(named)
    run = caption.run(batch_size=2)
    caption.work(run)
    phases = [e for e in read_all(run.events_path) if e["kind"] == "phase" and e["name"] == "captioning"]
    assert (phases[0]["done"], phases[0]["total"], phases[0]["unit"]) == (0, 5, "pictures")
    assert phases[-1]["done"] == 5


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ("keep", "by hand"),
        ("append", "ohwx, by hand, a picture called p1"),
        ("replace", "ohwx, a picture called p1"),
    ],
)
def test_captions_that_are_there(caption: Caption, says: Put, existing: str, expected: str):
    says(named)
    picture = next(caption.project.path.glob("img/*/p1.png"))
    picture.with_suffix(".txt").write_text("by hand", encoding="utf-8")
    picture.with_name("p2.txt").write_text("", encoding="utf-8")  # an empty one is none
    result = caption(existing=existing)
    assert caption_of(caption.project, "p1") == expected
    assert caption_of(caption.project, "p2") == "ohwx, a picture called p2"
    assert (result["written"], result["kept"]) == ((4, 1) if existing == "keep" else (5, 0))
    backups = list((caption.project.path / ".lora-tui" / "backups").rglob("*.bak"))
    kept = {path.read_text() for path in backups}
    assert ("by hand" in kept) == (existing != "keep")
    caption(existing=existing)
    assert caption_of(caption.project, "p1") == expected


def test_regularisation_pictures_go_without_the_trigger_word(caption: Caption, says: Put):
    says(named)
    assert caption(folders="both", suffix="a photo")["written"] == 6
    assert caption_of(caption.project, "r") == "a picture called r, a photo"
    assert caption_of(caption.project, "p0") == "ohwx, a picture called p0, a photo"


def test_pictures_that_are_left_out_and_the_second_of_a_name_get_none(caption: Caption, says: Put):
    says(named)
    folder = next(caption.project.path.glob("img/*"))
    (folder / "p1.jpg").write_bytes((folder / "p1.png").read_bytes())
    caption.project.left_out = [caption.project.relative(folder / "p0.png")]
    result = caption()
    assert caption_of(caption.project, "p0") is None
    assert (result["written"], result["skipped"]) == (4, 0)


def test_a_stop_keeps_what_is_written_and_the_same_run_goes_on(caption: Caption, says: Put):
    seen: list[str] = []

    def say(pictures: Any) -> list[str]:
        seen.extend(shown.path.stem for shown in pictures)
        if len(seen) == 2:
            caption.stop.set()
        return named(pictures)

    says(say)
    run = caption.run(batch_size=2, existing="replace")
    result = caption.work(run)
    assert (result["complete"], result["written"]) == (False, 2)
    assert "3 still to come" in result["message"]
    reader = DoneReader(run)
    told = [(done.state, done.text) for done in reader.look()]
    assert told[:2] == [("said", f"ohwx, a picture called p{number}") for number in range(2)]
    assert [state for state, _ in told] == ["said"] * 2 + ["written"] * 2
    assert [caption_of(caption.project, f"p{number}") is None for number in range(5)] == [False] * 2 + [True] * 3
    result = caption.work(run)
    assert (result["complete"], result["written"]) == (True, 5)
    assert sorted(seen) == [f"p{number}" for number in range(5)]
    assert len(reader.look()) == 6


def test_an_engine_that_was_killed_in_the_middle_of_a_line_goes_on(caption: Caption, says: Put):
    says(named)
    run = caption.run()
    caption.work(run)
    log = run.path / "captions.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # of five that were said, and are written all the same
    assert caption.work(run)["written"] == 5
    assert not warnings_of(run)
    assert {done.path.rpartition("/")[2] for done in read_done(run)} == {f"p{number}.png" for number in range(5)}


def test_an_engine_that_was_killed_before_it_wrote_has_nothing_to_look_at_again(caption: Caption, says: Put):
    says(named)
    run = caption.run()
    caption.work(run)
    log = run.path / "captions.jsonl"
    log.write_bytes(b"".join(line for line in log.read_bytes().splitlines(keepends=True) if b'"said"' in line))
    for path in caption.project.path.glob("img/*/*.txt"):
        path.unlink()
    says(lambda pictures: pytest.fail("it was said before"))
    assert caption.work(run)["written"] == 5
    assert caption_of(caption.project, "p4") == "ohwx, a picture called p4"


def test_undo_counts_what_was_written_and_not_what_was_tried(caption: Caption, says: Put):
    folder = next(caption.project.path.glob("img/*"))

    def say(pictures: Any) -> list[str]:
        write_caption(caption.project.path, folder / "p1.png", "by hand", ".txt")  # a person, meanwhile
        return named(pictures)

    says(say)
    assert caption(existing="replace", batch_size=5)["written"] == 4
    outcome = History(caption.project.path, ".txt").undo()
    assert outcome is not None
    assert "(4 captions)" in outcome.sentence
    assert "5" not in outcome.sentence


def test_lengths_that_cross_are_told_in_the_log(caption: Caption, says: Put, blip_folder: Path):
    says(named)
    run = caption.run(model=str(blip_folder), min_length=9, max_length=8)
    caption.work(run)
    (told,) = [e for e in read_all(run.events_path) if e["kind"] == "warning"]
    assert told["code"] == "lengths-crossed"
    assert "(min_length 9) is above the longest (max_length 8): 8 tokens" in told["message"]
    run = caption.run(model="class", min_length=9, max_length=8, existing="replace")
    caption.work(run)
    assert warnings_of(run) == []


def test_one_undo_takes_all_of_a_run_back(caption: Caption, says: Put):
    says(named)
    picture = next(caption.project.path.glob("img/*/p1.png"))
    picture.with_suffix(".txt").write_bytes(b"by hand\r\nsecond line\r\n")
    caption(existing="replace", model="class")
    history = History(caption.project.path, ".txt")
    assert history.undo_label == "captioning with trigger word and class"
    outcome = history.undo()
    assert outcome is not None
    assert len(outcome.pictures) == 5
    assert picture.with_suffix(".txt").read_bytes() == b"by hand\r\nsecond line\r\n"
    assert caption_of(caption.project, "p0") is None
    history.redo()
    assert caption_of(caption.project, "p1") == "ohwx, a picture called p1"


def test_a_failure_in_the_middle_keeps_what_was_said(caption: Caption, says: Put):
    def say(pictures: Any) -> list[str]:
        if pictures[0].path.stem == "p2":
            raise torch.OutOfMemoryError("too much")
        return named(pictures)

    says(say)
    with pytest.raises(UserError):
        caption(batch_size=1)
    assert caption_of(caption.project, "p1") == "ohwx, a picture called p1"


def test_what_a_person_writes_meanwhile_stays(caption: Caption, says: Put):
    def say(pictures: Any) -> list[str]:
        for shown in pictures:
            if shown.path.stem == "p3":
                write_caption(caption.project.path, shown.path, "ohwx, mine", ".txt")
        return named(pictures)

    says(say)
    run = caption.run(batch_size=5)
    result = caption.work(run)
    assert (result["written"], result["skipped"]) == (4, 1)
    assert caption_of(caption.project, "p3") == "ohwx, mine"
    assert warnings_of(run) == ["caption-changed"]


def test_captions_that_come_out_the_same_are_not_counted_as_written(caption: Caption, says: Put):
    says(named)
    picture = next(caption.project.path.glob("img/*/p1.png"))
    caption(existing="append")
    picture.with_suffix(".txt").unlink()
    run = caption.run(existing="append")
    result = caption.work(run)
    assert (result["written"], result["unchanged"], result["complete"]) == (1, 4, True)
    assert result["message"] == "1 caption written with micro, 4 stayed as they were."
    assert [done.state for done in read_done(run)][5:] == ["unchanged", "written", *["unchanged"] * 3]
    assert caption.work(run)["message"] == result["message"]


def test_what_is_skipped_is_told_of_by_reason_with_a_few_names(caption: Caption, says: Put):
    says(lambda pictures: ["" if shown.path.stem == "p3" else "a man" for shown in pictures])
    folder = next(caption.project.path.glob("img/*"))
    for number in range(5):
        (folder / f"b{number}.png").write_bytes(b"no picture")
    (folder / "p2.txt").write_bytes(b"\xff\xfe\xfa")
    run = caption.run()
    told = caption.work(run)["message"]
    assert told == (
        "3 captions written with micro, 7 skipped: 5 pictures cannot be read (b0.png, b1.png, b2.png and 2 more), "
        "1 caption is not UTF-8 (p2.png), 1 picture of which nothing was found to say (p3.png)."
    )
    assert caption.work(run)["message"] == told  # another life of the run knows of them too


def test_broken_pictures_and_unreadable_captions_are_told_of_and_passed_over(caption: Caption, says: Put):
    says(named)
    folder = next(caption.project.path.glob("img/*"))
    (folder / "p1.png").write_bytes(b"no picture")
    (folder / "p2.txt").write_bytes(b"\xff\xfe\xfa")
    (folder / "p4.png").unlink()
    os.mkfifo(folder / "p4.png")
    run = caption.run(existing="replace")
    result = caption.work(run)
    assert (result["written"], result["skipped"]) == (2, 2)
    assert sorted(warnings_of(run)) == ["broken-picture", "caption-not-utf8"]
    assert (folder / "p2.txt").read_bytes() == b"\xff\xfe\xfa"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("too much"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("BFCArena: Failed to allocate memory for requested buffer of size 9"),
    ],
)
def test_too_little_memory_halves_the_batch_and_says_so(caption: Caption, says: Put, error: Exception):
    sizes: list[int] = []

    def say(pictures: Any) -> list[str]:
        sizes.append(len(pictures))
        if len(pictures) > 1:
            raise error
        return named(pictures)

    says(say)
    run = caption.run(batch_size=4)
    assert caption.work(run)["written"] == 5
    assert sizes == [4, 2, 1, 1, 1, 1, 1]
    assert warnings_of(run) == ["batch-halved", "batch-halved"]
    changes = [event["change"] for event in read_all(run.events_path) if event["kind"] == "warning"]
    assert changes == [{"batch_size": 2}, {"batch_size": 1}]


def test_not_even_one_picture_fits(caption: Caption, says: Put):
    def say(pictures: Any) -> list[str]:
        raise torch.OutOfMemoryError("too much")

    says(say)
    with pytest.raises(UserError) as error:
        caption(batch_size=2)
    assert error.value.code == "out-of-memory"


def test_nothing_to_say_is_no_caption(caption: Caption, says: Put):
    says(lambda pictures: ["" for _ in pictures])
    run = caption.run()
    assert caption.work(run)["skipped"] == 5
    assert set(warnings_of(run)) == {"nothing-said"}
    assert caption_of(caption.project, "p0") is None


@pytest.mark.parametrize(("model", "expected"), [("filename", "ohwx, red hat"), ("class", "ohwx, man")])
def test_captions_without_a_model(caption: Caption, model: str, expected: str):
    folder = next(caption.project.path.glob("img/*"))
    (folder / "p0.png").rename(folder / "red_hat (2).png")
    assert caption(model=model)["written"] == 5
    assert (folder / "red_hat (2).txt").read_text() == f"{expected}\n"


@pytest.fixture
def two(caption: Caption) -> Caption:
    """A man and a dog, each with regularisation pictures."""
    picture(caption.project.path / "img" / "5_rexo dog" / "rexo_01.png", 7)
    picture(caption.project.path / "reg" / "1_dog" / "d.png", 8)
    return caption


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("class", ["ohwx, man", "rexo, dog", "man", "dog"]),
        ("filename", ["ohwx, p", "rexo", "r", "d"]),
    ],
)
def test_each_subject_gets_its_own_trigger_and_class(two: Caption, model: str, expected: list[str]):
    two(model=model, folders="both")
    assert [caption_of(two.project, name) for name in ("p0", "rexo_01", "r", "d")] == expected


def test_what_is_said_stands_behind_the_trigger_word_of_its_own_subject(two: Caption, says: Put):
    says(lambda pictures: ["a cat" for _ in pictures])
    two(prefix="photo of TRIGGER")
    assert caption_of(two.project, "rexo_01") == "photo of rexo, a cat"
    assert caption_of(two.project, "p1") == "photo of ohwx, a cat"


def test_a_name_that_is_the_trigger_word_does_not_say_it_twice(two: Caption):
    assert two(model="filename", prefix="photo of TRIGGER")["skipped"] == 0
    assert caption_of(two.project, "rexo_01") == "photo of rexo"


def test_wild_names_and_texts_harm_nothing(project: Project, says: Put):
    folder = next(project.path.glob("img/*"))
    wild = folder / "a\x1b[31m [red] \u202e\n.png"
    (folder / "p0.png").rename(wild)
    os.rename(os.fsencode(folder / "p1.png"), os.fsencode(folder) + b"/\xff\xfe.png")
    says(lambda pictures: ["a\nb\r\nc \x1b[31m" for _ in pictures])
    caption = Caption(project)
    result = caption()
    assert (result["written"], result["skipped"]) == (5, 0)
    assert wild.with_suffix(".txt").read_text().count("\n") == 1
    json.dumps(result)


def test_an_unknown_captioner_is_a_sentence(caption: Caption):
    for model, code in (("/no/such/folder", "no-such-captioner"), ("nobody/nothing", "not-downloaded")):
        with pytest.raises(UserError) as error:
            caption(model=model)
        assert error.value.code == code
    with pytest.raises(UserError) as error:
        caption(model="blop")
    assert error.value.code == "bad-value"
