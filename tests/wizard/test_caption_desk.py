"""The desk on which captions are worked: what is shown, what is marked, what needs attention, what is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.small_run import make_project
from engine.plan.clip_tokens import Counter
from engine.plan.dataset import Picture, scan
from engine.plan.errors import Finding, UserError
from engine.plan.project import Project
from lora_tui.caption_chips import TagRow
from lora_tui.caption_desk import Desk, Filter, learn
from lora_tui.caption_finding import finding, replacing
from lora_tui.caption_help import CaptionHelp
from lora_tui.caption_scan import captions_alone
from lora_tui.trained_words import Draws

TEXTS = {
    "a": "ohwx, a man in a red coat, night",
    "b": "ohwx, a man on a stage, night",
    "c": "a man in a park",
    "d": None,
    "e": "ohwx, a man on a stage, night",
}


def entries(texts: dict[str, str | None] = TEXTS) -> list[Picture]:
    return [
        Picture(
            path=Path(f"/p/{name}.png"), kind="train", folder="1_x", width=8, height=8, resized=(8, 8), bucket=(8, 8),
            repeats=1, caption=text or "", caption_path=None if text is None else Path(f"/p/{name}.txt"),
            left_out=False,
        )
        for name, text in texts.items()
    ]  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.take(entries())
    desk.adopt(learn(desk.of(desk.entries), "ohwx", 75, None))
    return desk


def names(desk: Desk) -> str:
    return "".join(entry.path.stem for entry in desk.shown)


def path(name: str) -> Path:
    return Path(f"/p/{name}.png")


def test_filters_go_together(desk: Desk) -> None:
    desk.show(Filter("MAN stage"))
    assert names(desk) == "be"
    desk.show(Filter(tag="night"))
    assert names(desk) == "abe"
    desk.show(Filter(attention=True))
    assert names(desk) == "cd"
    desk.show(Filter(equal=True))
    assert names(desk) == "be"
    desk.show(Filter("stage", equal=True, tag="night"))
    assert names(desk) == "be"
    desk.show(Filter("c.png"))
    assert names(desk) == "c"


def test_of_a_tag_the_first_picture_in_the_list_is_found(desk: Desk) -> None:
    def first(tag: str) -> str | None:
        found = desk.first_with(tag)
        return found.path.stem if found is not None else None

    assert [first(tag) for tag in ("night", "a man on a stage", "nig", "")] == ["a", "b", None, None]
    desk.set(path("a"), "a man in a park")
    assert [first(tag) for tag in ("night", "a man in a park")] == ["b", "a"]
    desk.set(path("a"), "ohwx, night")  # which is at its place again
    assert first("night") == "a"
    desk.take(entries({name: text for name, text in TEXTS.items() if name != "a"}))
    assert first("night") == "b"
    assert Desk().first_with("night") is None


def test_attention_says_why_and_follows_what_is_typed(desk: Desk) -> None:
    codes = {name: [reason.code for reason in desk.reasons(path(name))] for name in TEXTS}
    assert codes == {"a": [], "b": ["same"], "c": ["no-trigger"], "d": ["empty"], "e": ["same"]}
    assert (desk.wanting, desk.repeating) == (2, 2)
    desk.judge(path("e"), "ohwx, a man at home")
    assert (desk.wanting, desk.repeating) == (2, 0)
    desk.set(path("c"), "ohwx, a man in a park")
    assert desk.wanting == 1


def test_those_equal_to_another_are_visited_last(desk: Desk) -> None:
    desk.show(Filter())
    place, visited = 0, ""
    for _ in range(5):
        there = desk.next_to_mend(place)
        assert there is not None
        place = there
        visited += desk.shown[place].path.stem
    assert visited == "cdbec"
    desk.set(path("c"), "ohwx, a man in a park")
    desk.set(path("d"), "ohwx, a boat")
    assert desk.next_to_mend(0) == 1
    desk.set(path("b"), "ohwx, a sofa")
    assert desk.next_to_mend(0) is None


def test_from_one_that_is_equal_to_another_those_that_need_attention_come_first(desk: Desk) -> None:
    """Also those above it; and when all have been looked at without being mended it begins anew."""
    desk.show(Filter())
    place, visited = 1, ""
    for _ in range(6):
        there = desk.next_to_mend(place)
        assert there is not None
        place = there
        visited += desk.shown[place].path.stem
    assert visited == "cdbecd"
    assert desk.next_to_mend(4) == 2  # another row was chosen: what was not mended comes first again
    desk.set(path("c"), "ohwx, a man in a park")
    desk.set(path("d"), "ohwx, a boat")
    assert [desk.next_to_mend(4), desk.next_to_mend(1), desk.next_to_mend(4)] == [1, 4, 1]


def test_captions_whose_files_have_more_lines_come_last_until_they_are_written(desk: Desk) -> None:
    """As those that are equal to another; they need no attention and are in no filter."""
    lines = Finding("caption-lines", "", level="note")
    several = [replace(entry, problems=(lines,)) if entry.path.stem == "a" else entry for entry in entries()]
    desk.take(several)
    assert [reason.code for reason in desk.reasons(path("a"))] == ["lines"]
    assert (desk.wants(path("a")), desk.wanting) == (False, 2)
    assert [desk.next_to_mend(at) for at in (1, 2, 3)] == [2, 3, 0]
    desk.judge(path("a"), "ohwx, a man")  # while it is typed, before it is saved
    assert desk.further(path("a"))
    desk.set(path("a"), "ohwx, a man")
    assert desk.reasons(path("a")) == ()
    desk.set(path("b"), TEXTS["b"], further=True)
    assert [reason.code for reason in desk.reasons(path("b"))] == ["lines", "same"]


def test_a_row_that_was_mended_stays_in_sight(desk: Desk) -> None:
    desk.show(Filter(attention=True))
    desk.set(path("c"), "ohwx, a man in a park")
    assert names(desk) == "cd"


def test_what_changed_while_all_was_looked_at_is_looked_at_again() -> None:
    desk = Desk()
    desk.take(entries())
    learnt = learn(desk.of(desk.entries), "ohwx", 75, None)
    desk.set(path("c"), "ohwx, somebody")
    desk.adopt(learnt)
    assert not desk.wants(path("c"))
    assert desk.frequencies["somebody"] == 1


def test_a_new_survey_changes_what_is_different_and_keeps_marks(desk: Desk) -> None:
    desk.mark(path("a"))
    desk.mark(path("d"))
    desk.take(entries({**TEXTS, "c": "ohwx, new"} | {"f": "ohwx, f"}))
    assert desk[path("c")] == "ohwx, new"
    assert not desk.wants(path("c"))
    gone = {name: text for name, text in TEXTS.items() if name != "d"}
    desk.take(entries(gone))
    assert desk.marked == {path("a")}
    assert (desk.wanting, desk.repeating) == (1, 2)


def test_the_scope_is_the_marks_then_the_filter_then_all(desk: Desk) -> None:
    assert desk.scope.told == "all 5 pictures"
    desk.show(Filter("stage"))
    assert (len(desk.scope.entries), desk.scope.told) == (2, 'the 2 pictures with "stage"')
    desk.mark(path("a"))
    assert (len(desk.scope.entries), desk.scope.told) == (1, "the 1 marked picture")
    assert len(desk.everything.entries) == 5


@pytest.mark.parametrize(
    ("find", "way", "count", "after"),
    [
        ("MAN", "text", 4, "ohwx, a X in a red coat, night"),
        ("co", "text", 1, "ohwx, a man in a red Xat, night"),
        ("co", "words", 0, None),
        ("coat", "words", 1, "ohwx, a man in a red X, night"),
        (r"r\w+ (coat)", "pattern", 1, "ohwx, a man in a X, night"),
        ("^a", "pattern", 1, None),
    ],
)
def test_what_is_found_is_what_is_replaced(desk: Desk, find: str, way: str, count: int, after: str | None) -> None:
    found = desk.matching(finding(find, way), desk.everything)  # type: ignore[arg-type]
    assert len(found.entries) == count
    changed = replacing(find, "X", way)  # type: ignore[arg-type]
    assert all(changed(desk[entry.path]) != desk[entry.path] for entry in found.entries)
    if after:
        assert changed(desk[path("a")]) == after


def test_a_pattern_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(UserError, match="regular expression"):
        finding("a(", "pattern")


def test_words_with_backslashes_are_put_in_as_they_are() -> None:
    assert replacing("coat", r"\1 \n", "words")("a coat") == r"a \1 \n"


def test_suggestions_are_tags_and_words_in_use(desk: Desk) -> None:
    helped = CaptionHelp(desk)
    text = "ohwx, ni"
    suggestion = helped.suggestion(text, len(text), touched=True)
    assert suggestion is not None
    assert (suggestion.text, suggestion.span) == ("night", (6, 8))
    text = "ohwx, somebody in a sta"
    suggestion = helped.suggestion(text, len(text), touched=True)
    assert suggestion is not None
    assert (suggestion.text, suggestion.span) == ("stage", (20, 23))
    assert helped.suggestion(text, len(text), touched=False) is None
    assert helped.suggestion("", 29, touched=True) is None


def test_of_a_caption_that_is_too_long_the_last_words_that_are_read_are_told(desk: Desk) -> None:
    helped, counter = CaptionHelp(desk), Counter()
    helped.count_with(counter)
    assert helped.tokens_told("a man") == ("2 of 75 tokens", False)
    read = "word " * 72 + "a red hat"
    assert helped.tokens_told(read) == ("75 of 75 tokens", False)
    assert helped.tokens_told(f"{read}, and more") == (
        '78 of 75 tokens, read up to "…word word a red hat"',
        True,
    )
    assert helped.tokens_told("o" * 5000)[0].endswith(f'read up to "…{"o" * 20}"')
    helped.limit = 2
    assert helped.tokens_told("a\x1b man") == ('3 of 2 tokens, read up to "a\\x1b"', True)


def test_chips_are_carried_removed_and_put_in() -> None:
    row = TagRow(["a", "b", "c"], at=1)
    assert row.carry()
    row.step(5)
    assert (row.tags, row.at) == (["a", "c", "b"], 2)
    row.carry()
    assert row.remove() == "b"
    assert row.chosen == ""
    row.put("d, e", replacing=False)
    assert (row.tags, row.chosen) == (["a", "c", "d", "e"], "e")
    row.put("f", replacing=True)
    assert row.tags == ["a", "c", "d", "f"]
    assert row.has(" F ")


def test_captions_alone_are_those_of_a_scan_and_stand_what_it_does_not(tmp_path: Path) -> None:
    project = Project.open(make_project(tmp_path / "ohwx"))
    wrong = next((project.path / "img").rglob("03.txt"))
    scanned = {entry.path: (entry.caption, entry.caption_path) for entry in scan(project, project.resolved()).used}
    alone = captions_alone(project, ".txt")
    assert {entry.path: (entry.caption, entry.caption_path) for entry in alone} == scanned
    wrong.write_bytes(b"\xff")
    entry = next(entry for entry in captions_alone(project, ".txt") if entry.path.name == "03.png")
    assert [problem.code for problem in entry.problems] == ["caption-not-utf8"]
    desk = Desk()
    desk.take([entry])
    desk.adopt(learn(desk.of(desk.entries), "", 75, None))
    assert [reason.code for reason in desk.reasons(entry.path)] == ["not-utf8"]


def test_draws_are_those_of_the_training(tmp_path: Path) -> None:
    project = Project.open(make_project(tmp_path / "ohwx"))
    project.settings |= {"shuffle_caption": True, "keep_tokens": 1, "caption_dropout_rate": 0.5}
    project.settings |= {"cache_text_encoder_outputs": False}
    settings = project.resolved()
    dataset = scan(project, settings)
    draws = Draws(None, settings, dataset)
    entry = dataset.used[0]
    found = [draws.draw(entry, "ohwx, a, b, c, d", number) for number in range(1, 13)]
    assert {draw.text.split(",")[0] for draw in found} == {"ohwx", ""}
    assert len({draw.text for draw in found}) > 3
    assert "epoch 1, step" in found[0].told
    assert "shuffle_caption, keep_tokens 1, caption_dropout_rate 0.5" in found[0].told


def test_the_chosen_tag_stays_chosen_where_the_tags_are_other_ones() -> None:
    row = TagRow(["ohwx", "hat", "coat"], at=1, carried=True)
    row.follow(["new", "ohwx", "hat"])
    assert (row.chosen, row.carried) == ("hat", True)
    row.follow(["new"])
    assert (row.at, row.chosen, row.carried) == (1, "", False)
    row.follow(["new", "ohwx"])  # behind the last there tags are added
    assert row.at == 2
