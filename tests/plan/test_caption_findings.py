"""What `check` says of the words of captions: one finding a kind, and none for what is told elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.caption_findings import check_words
from engine.plan.clip_tokens import Counter
from engine.plan.dataset import scan
from engine.plan.errors import Finding
from engine.plan.project import Project

LONG, LONGER = (f"ohwx, {' '.join(f'word{number}' for number in range(count))}" for count in (40, 200))
"""Of over 100 tokens, and of over 225."""


@pytest.fixture
def found(tmp_path: Path, pictures_in):
    def check(*captions: str | bytes | None, **settings: object) -> dict[str, Finding]:
        """Of pictures with these captions, None for one without a file."""
        folder = pictures_in(tmp_path / "face" / "img" / "1_ohwx man", [(64, 64)] * len(captions))
        for number, caption in enumerate(captions):
            if caption is not None:
                data = caption if isinstance(caption, bytes) else caption.encode()
                (folder / f"{number:03}.txt").write_bytes(data)
        project = Project.open(tmp_path / "face")
        resolved = project.resolved(settings)
        told = list(check_words(resolved, scan(project, resolved), "ohwx", Counter()))
        assert len({finding.code for finding in told}) == len(told)
        return {finding.code: finding for finding in told}

    return check


def test_good_captions_are_not_spoken_of(found) -> None:
    assert found("ohwx, a man on a beach", "ohwx, a man at a table") == {}


def test_each_kind_is_named_once_with_the_files(found) -> None:
    told = found(
        LONG,
        "ohwx, a man in a red coat, a man in a red coat",
        "ohwx, a photo of ohwx man",
        "ohwx,, a man  in a room",
        *["ohwx, a man at the sea"] * 5,
    )
    long = told["caption-too-long"]
    assert (long.level, long.option, long.value) == ("warning", "max_token_length", 150)
    assert long.message.startswith("1 caption is longer than the 75 tokens (about words) that are read, up to 11")
    assert long.message.endswith(": 000.txt.")
    assert told["caption-repeats"].message == (
        '1 caption says something twice: 001.txt. In the first, "a man in a red coat" is said twice.'
    )
    assert '1 caption has the trigger word "ohwx" more than once: 002.txt.' in str(told["caption-trigger-twice"])
    assert "1 caption has spaces or commas too many: 003.txt." in str(told["caption-spaces"])
    same = "5 captions are equal to another: 004.txt, 005.txt, 006.txt and 2 more."
    assert same in str(told["captions-equal"])
    assert {finding.level for code, finding in told.items() if code != "caption-too-long"} == {"note"}


def test_pictures_that_share_a_caption_file_are_told_so_once(tmp_path: Path, pictures_in, found) -> None:
    folder = pictures_in(tmp_path / "face" / "img" / "1_ohwx man", [(64, 64)] * 4)
    names = sorted(folder.glob("*.png"))
    for path, name in zip(names, ("l.png", "l.jpg", "m.png", "m.jpg"), strict=True):
        path.rename(folder / name)
    (folder / "l.txt").write_text("ohwx,, a man on a beach")
    (folder / "m.txt").write_text("ohwx, a man at a table")
    told = found()
    assert set(told) == {"caption-shared", "caption-spaces"}
    assert told["caption-spaces"].message == "1 caption has spaces or commas too many: l.txt."
    shared = "4 pictures share 2 caption files: l.txt (l.jpg, l.png), m.txt (m.jpg, m.png)."
    assert (told["caption-shared"].message, told["caption-shared"].level) == (shared, "note")
    (folder / "m.jpg").unlink()
    shared = "2 pictures share a caption file: l.txt (l.jpg, l.png)."
    assert found()["caption-shared"].message == shared
    (folder / "m.txt").write_text("ohwx,, a man on a beach")
    assert found()["captions-equal"].message == "2 captions are equal to another: l.txt, m.txt."


def test_what_has_its_finding_elsewhere_is_not_told_twice(found) -> None:
    assert found("a man without the word", "", None, None, b"caf\xe9", "\n\nohwx, lower line") == {}


def test_more_is_read_where_the_settings_say_so(found) -> None:
    assert "caption-too-long" not in found(LONG, max_token_length=150)
    (finding,) = found(LONGER, max_token_length=225).values()
    assert (finding.code, finding.hint, finding.option) == ("caption-too-long", "Shorten it.", None)
