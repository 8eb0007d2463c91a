"""What is sent makes the same picture as what Textual would send, in fewer bytes."""

from __future__ import annotations

import io

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from lora_tui.only_changes import Shown

COLUMNS, ROWS = 24, 4
STYLES = [
    Style.null(),
    Style.parse("bold #87d787 on #121212"),
    Style.parse("#d0d0d0 on #121212"),
    Style.parse("dim italic #d0d0d0 on #262626"),
    Style.parse("reverse #123456 on #262626"),
    Style.parse("underline strike default on default"),
    Style.parse("bold underline red"),
    Style.parse("on #262626"),
]
CONSOLE = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", legacy_windows=False)
letters = st.sampled_from([*"ab  ", "     ", "        ", "é", "e\u0301", "漢", "字", "│", "█"])
pieces = st.tuples(st.lists(letters, min_size=1, max_size=12).map("".join), st.sampled_from(STYLES))
rows = st.lists(pieces, max_size=6).map(lambda found: strip_of(found, COLUMNS))
frames = st.lists(rows, min_size=ROWS, max_size=ROWS)
spans = st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLUMNS - 1), st.integers(1, COLUMNS)).map(
    lambda span: (span[0], min(span[1], span[2] - 1), span[2])
)


def strip_of(found: list[tuple[str, Style]], width: int) -> Strip:
    """The last cell is empty: pyte wraps an accent that stands there, which terminals do not."""
    return (
        Strip([Segment(text, style) for text, style in found]).adjust_cell_length(width - 1).extend_cell_length(width)
    )


class Terminal:
    """A terminal that draws; its cells are compared."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self.screen)

    def take(self, text: str) -> None:
        self._stream.feed(text)

    def cells(self) -> list[tuple[object, ...]]:
        """All that can be seen: of an empty cell only its ground and its lines."""
        found: list[tuple[object, ...]] = []
        for y in range(ROWS):
            for x in range(COLUMNS):
                cell = self.screen.buffer[y][x]
                lines = (cell.data, cell.bg, cell.reverse, cell.underscore, cell.strikethrough)
                inked = cell.data != " " or cell.reverse or cell.underscore or cell.strikethrough
                found.append((*lines, cell.fg, cell.bold, cell.italics) if inked else lines)
        return found


def whole(frame: list[Strip]) -> LayoutUpdate:
    return LayoutUpdate([[strip] for strip in frame], Region(0, 0, COLUMNS, ROWS))


def part(frame: list[Strip], span: tuple[int, int, int]) -> ChopsUpdate:
    """As the compositor gives a repainted widget: cuts at its edges, and only its own strip."""
    y, left, right = span
    chops: list[dict[int, Strip | None]] = [{} for _ in range(ROWS)]
    chops[y] = {x: None for x in (0, left, right) if x < COLUMNS}
    piece = frame[y].crop(left, right)
    chops[y][left] = piece if not piece.text.startswith("\u0301") else Strip.blank(right - left)  # cut off its letter
    ends = [[*list(row)[1:], COLUMNS] for row in chops]
    return ChopsUpdate(chops, [span], ends)


def sent(shown: Shown, update: CompositorUpdate) -> str:
    return shown.changes(update).render_segments(CONSOLE)


@given(st.lists(st.tuples(frames, st.none() | spans), min_size=1, max_size=6), st.booleans())
def test_the_terminal_shows_the_same(
    updates: list[tuple[list[Strip], tuple[int, int, int] | None]], erases: bool
) -> None:
    shown, ours, theirs = Shown(erases), Terminal(), Terminal()
    for frame, span in updates:
        update = whole(frame) if span is None else part(frame, span)
        theirs.take(update.render_segments(CONSOLE))
        ours.take(sent(shown, update))
        assert ours.cells() == theirs.cells()


@given(frames)
def test_what_is_shown_already_is_not_sent(frame: list[Strip]) -> None:
    shown = Shown()
    sent(shown, whole(frame))
    assert sent(shown, whole(frame)) == ""
    shown.forget()
    assert sent(shown, whole(frame)) != ""


def test_one_letter_is_a_move_and_a_letter() -> None:
    shown = Shown()
    before = [strip_of([("the cat sat", STYLES[2])], COLUMNS)] * ROWS
    after = [*before[:2], strip_of([("the cow sat", STYLES[2])], COLUMNS), before[3]]
    sent(shown, whole(before))
    assert sent(shown, whole(after)) == "\x1b[3;6H\x1b[38;5;252;48;5;233mow\x1b[0m"


def test_a_colour_that_stays_is_not_said_again() -> None:
    shown = Shown(erases=True)
    row = [("a", STYLES[1]), (" b", STYLES[2]), ("      ", STYLES[1]), ("c", STYLES[2])]
    frame = [strip_of([], COLUMNS)] * ROWS
    sent(shown, whole(frame))
    told = sent(shown, whole([strip_of(row, COLUMNS), *frame[1:]]))
    assert told == "\x1b[1;1H\x1b[1;38;5;114;48;5;233ma \x1b[22;38;5;252mb      c\x1b[0m"


def test_a_list_is_sent_colour_by_colour() -> None:
    """A move takes fewer bytes than another colour."""
    shown = Shown()
    names = ("ann", "bob", "cid", "dan")
    sent(shown, whole([strip_of([(" " * 23, STYLES[2])], COLUMNS)] * ROWS))
    rows = [strip_of([("! ", STYLES[1]), (f"{name}{' ' * 18}", STYLES[2])], COLUMNS) for name in names]
    told = sent(shown, whole(rows))
    marks = "\x1bD\b".join("!!!!")  # the blank stands there already
    words = "\x1bD\b\b\b".join(names)
    assert told == f"\x1b[1;1H\x1b[1;38;5;114;48;5;233m{marks}\x1b[1;3H\x1b[22;38;5;252m{words}\x1b[0m"


def test_a_near_place_is_gone_to_from_where_the_cursor_is() -> None:
    """But not behind a sign that some terminals draw wider, nor from the end of a line."""
    shown = Shown()
    blank = strip_of([(" " * 23, STYLES[0])], COLUMNS)
    sent(shown, whole([blank] * ROWS))
    rows = [
        strip_of([("a" + " " * 9 + "b", STYLES[0])], COLUMNS),
        strip_of([("…" + " " * 9 + "c", STYLES[0])], COLUMNS),
        Strip([Segment(" " * (COLUMNS - 1) + "d")]),
        Strip([Segment(" " * (COLUMNS - 2) + "e ")]),
    ]
    told = sent(shown, whole(rows))
    assert told == "\x1b[1;1Ha\x1b[9Cb\x1b[2;1H…\x1b[2;11Hc\x1b[3;24Hd\x1b[4;23He"


def test_hints_are_sent_as_their_words_and_then_their_keys() -> None:
    shown = Shown()
    blank = strip_of([(" " * 23, STYLES[2])], COLUMNS)
    sent(shown, whole([blank] * ROWS))
    hints = [("a ", STYLES[1]), ("edit  ", STYLES[2]), ("b ", STYLES[1]), ("mend  ", STYLES[2])]
    told = sent(shown, whole([strip_of(hints, COLUMNS), *[blank] * 3]))
    assert told.count("m") - told.count("mend") == 3  # two colours, and their end


class PieceByPiece(Terminal):
    """A terminal that draws the characters of a cluster one after the other, each in its own cells, as tmux 3.3a."""

    def take(self, text: str) -> None:
        for sign in CLUSTERS:
            text = text.replace(sign, sign.translate(DRAWN))
        super().take(text)


class InOneCell(Terminal):
    """A terminal that draws a cluster in one cell."""

    def take(self, text: str) -> None:
        for sign in CLUSTERS:
            text = text.replace(sign, "*")
        super().take(text)


CLUSTERS = ["👍🏽", "👨\u200d👩\u200d👧", "❤\ufe0f", "🇩🇪"]
DRAWN = {0x1F3FD: "漢", 0x200D: None, 0xFE0F: None}  # pyte combines; what is drawn alone is a wide letter
BLANK = [strip_of([], COLUMNS)] * ROWS


@pytest.mark.parametrize("terminal", [PieceByPiece, InOneCell])
@pytest.mark.parametrize("erases", [False, True])
@pytest.mark.parametrize("sign", CLUSTERS)
def test_a_sign_that_a_terminal_draws_wider_leaves_nothing_behind(
    sign: str, erases: bool, terminal: type[Terminal]
) -> None:
    """What stands behind it is where it should be, whether it was there before or not."""
    shown, screen = Shown(erases), terminal()
    long = strip_of([("a caption that is long", STYLES[2])], COLUMNS)
    same = [(f"{sign}", STYLES[1]), ("caption", STYLES[2])]
    frames = [
        [long, *BLANK[1:]],
        [strip_of([("a ", STYLES[2]), (sign, STYLES[1]), ("ption that is long", STYLES[2])], COLUMNS), *BLANK[1:]],
        [strip_of(same, COLUMNS), *BLANK[1:]],
        [strip_of([("b", STYLES[2]), *same], COLUMNS), *BLANK[1:]],
        [long, *BLANK[1:]],
    ]
    for frame in frames:
        screen.take(sent(shown, whole(frame)))
        drawn = [screen.screen.buffer[0][x].data for x in range(COLUMNS)]
        place = frame[0].text.find(sign)
        behind = frame[0].text[place + len(sign) :] if place >= 0 else frame[0].text
        assert "".join(drawn[COLUMNS - len(behind) :]) == behind
        if place >= 0 and terminal is InOneCell:
            assert drawn[place : place + 2] == ["*", " "]  # nothing is left in the cell that it has not drawn
        assert screen.cells()[COLUMNS:] == Terminal().cells()[COLUMNS:] or place < 0


def test_a_letter_behind_such_a_sign_is_still_one_letter() -> None:
    shown = Shown()
    before = [strip_of([("👍🏽 the cat", STYLES[2])], COLUMNS), *BLANK[1:]]
    after = [strip_of([("👍🏽 the cow", STYLES[2])], COLUMNS), *BLANK[1:]]
    sent(shown, whole(before))
    assert sent(shown, whole(after)) == "\x1b[1;9H\x1b[38;5;252;48;5;233mow\x1b[0m"


def test_an_accent_is_no_such_sign() -> None:
    shown = Shown()
    sent(shown, whole([strip_of([("the cafe is small", STYLES[0])], COLUMNS), *BLANK[1:]]))
    told = sent(shown, whole([strip_of([("the cafe\u0301 is small", STYLES[0])], COLUMNS), *BLANK[1:]]))
    assert told == "\x1b[1;8He\u0301\x1b[1;9H"


def test_empty_cells_are_erased_where_the_terminal_keeps_the_colour() -> None:
    frame = [strip_of([("word", STYLES[2]), (" " * 19, STYLES[2])], COLUMNS)] * ROWS
    assert sent(Shown(erases=True), whole(frame)).count("word\x1b[19X") == ROWS
    assert sent(Shown(erases=False), whole(frame)).count("word" + " " * 19) == ROWS


def test_terminals_of_few_colours_get_theirs() -> None:
    few = Console(file=io.StringIO(), force_terminal=True, color_system="standard", legacy_windows=False)
    frame = [strip_of([("word", Style.parse("#ff0000"))], COLUMNS)] * ROWS
    told = Shown().changes(whole(frame)).render_segments(few)
    assert "\x1b[31mword" in told
