"""The editor of captions: each key on real files, and what becomes of the files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.plan.caption_edits import changes
from lora_tui.caption_desk import Filter
from lora_tui.caption_scan import captions_alone
from lora_tui.look import Look
from lora_tui.screens.caption_changes import ChangesPane
from lora_tui.screens.caption_tags import TagsPane
from lora_tui.screens.captions import CaptionsPage
from lora_tui.survey import survey
from lora_tui.widgets.caption_input import CaptionInput
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.picture import Picture
from tests.screens.app_test import text
from tests.screens.app_test import until as until_so
from tests.screens.wizard.driving import drive, press, said, settle, type_in


def page(pilot: Pilot[None]) -> CaptionsPage:
    screen = pilot.app.screen
    assert isinstance(screen, CaptionsPage)
    return screen


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    await until_so(pilot, condition)
    await settle(pilot)


async def open_captions(pilot: Pilot[None]) -> None:
    """The step, once all captions were looked at and their tokens counted."""
    await press(pilot, "4")
    await until(pilot, lambda: "tokens" in text(pilot) or "no caption" in text(pilot))


def captions(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text().strip() for path in sorted((folder / "img").rglob("*.txt"))}


def caption(folder: Path, name: str) -> Path:
    return folder / "img" / "2_ohwx man" / f"{name}.txt"


# --------------------------------------------------------------------------------------------------------- one caption
def test_a_word_is_changed_by_its_letter_and_the_next_is_open(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "tab", "d", *"woman", "enter")
        assert pilot.app.focused is page(pilot).editor
        assert page(pilot).editor.value == "ohwx, a photo of a man, number 1"
        await press(pilot, "tab", "d", *"boy", "enter")  # the same from within the editor
        await press(pilot, "escape")

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a photo of a woman, number 0"
    assert captions(folder)["01"] == "ohwx, a photo of a boy, number 1"


def test_a_picked_word_can_be_removed_or_left(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "tab", "escape")
        assert "Press the letter" not in text(pilot)
        await press(pilot, "tab", "h", "backspace", "enter", "escape")

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a of a man, number 0"


def test_what_is_known_of_a_tag_or_word_is_offered(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "enter")
        await type_in(pilot, "ohwx, a pho")
        assert "Tab  a photo of a man" in text(pilot).replace("Tab a", "Tab  a")
        await press(pilot, "tab", "escape")

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a photo of a man"


def test_tokens_are_counted_as_they_are_typed_and_the_end_is_marked(folder: Path) -> None:
    caption(folder, "00").write_text("ohwx, " + "word " * 73)

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        assert " of 75 tokens" in text(pilot)
        before = page(pilot).editor.cut
        await press(pilot, "enter", *" more words")
        editor = page(pilot).editor
        assert editor.cut is not None
        assert before is None or before < len(editor.value)
        assert 'of 75 tokens, read up to "…word word word word"' in text(pilot)
        assert "is not read" not in text(pilot)  # which would say the same again
        assert "need attention" in text(pilot) or "needs attention" in text(pilot)

    drive(folder, act)


def test_where_the_reading_ends_is_told_harmlessly_and_without_colours(folder: Path) -> None:
    caption(folder, "00").write_text(f"ohwx, {'red hat, ' * 15}{chr(27)}[31m{'red hats ' * 15}\n")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await until(pilot, lambda: "read up to" in text(pilot))
        (told,) = [row for row in text(pilot).splitlines() if "read up to" in row]
        assert re.search(r'of 75 tokens, read up to "\.\.\..*red', told), told
        assert "\x1b" not in text(pilot)

    drive(folder, act, "small", Look(ascii_only=True, images=False, theme="none"))


def test_the_next_to_mend_is_found_and_says_why(folder: Path) -> None:
    caption(folder, "02").write_text("a man in a suit and a man in a suit\n")
    caption(folder, "03").unlink()
    caption(folder, "05").write_text(caption(folder, "04").read_text())
    reasons = {}

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        for _ in range(4):
            await press(pilot, "m")
            name, _, why = said(pilot)[1].partition(": ")
            reasons[name] = why
        assert "2 need attention  2 equal to another" in text(pilot)
        await press(pilot, "a")
        assert "2 of 6 that need attention" in text(pilot)
        await press(pilot, "a")
        assert "2 of 6 equal to another" in text(pilot)
        await press(pilot, "a")
        assert "6 captions" in text(pilot)

    drive(folder, act)
    assert reasons == {
        "02.png": 'The trigger word "ohwx" is not in it.',
        "03.png": "It is empty.",
        "04.png": "It is the same as that of 05.png. Right where the pictures show the same.",
        "05.png": "It is the same as that of 04.png. Right where the pictures show the same.",
    }


@pytest.mark.parametrize("size", ["small", "wide"])
def test_what_to_do_is_in_sight_whatever_the_names_and_the_filter(folder: Path, size: str) -> None:
    for path in sorted((folder / "img").glob("*/*.png")):
        path.with_suffix(".txt").unlink(missing_ok=True)
        path.rename(path.with_name(f"{path.stem} {'a long name, (copy) ' * 8}.png"))

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        shown = " ".join(text(pilot).split())
        assert "6 of 6 pictures have no caption: 00 a long name" in shown
        assert "m goes to the next, Enter edits." in shown
        page(pilot).show_filtered(Filter("long name " * 9))
        await press(pilot, "A", "m")
        row = next(row for row in text(pilot).splitlines() if " 6 of 6 " in row)
        assert "6 need attention  6 marked" in row
        await press(pilot, "down")  # what was said of the one to mend goes
        page(pilot).show_filtered(Filter("nobody"))
        assert said(pilot) == ("ok", "No caption fits; Esc shows all.")

    drive(folder, act, size)


def test_captions_that_are_equal_are_no_alarm(folder: Path) -> None:
    """As in the demo, where each of 24 captions stands three times, and rightly."""
    for number in range(6):
        caption(folder, f"{number:02}").write_text(f"ohwx, a man, {'on a beach' if number % 2 else 'at night'}\n")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        assert "need attention" not in text(pilot)
        assert "!" not in page(pilot).row_of(page(pilot).desk.shown[0]).plain
        await press(pilot, "m")
        assert said(pilot)[0] == "ok"

    drive(folder, act)


@pytest.mark.parametrize("pictures", [True, False])
def test_before_the_pictures_are_known_none_are_said_to_be_missing(
    folder: Path, pictures: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    for name, real in (("screens.caption_list.captions_alone", captions_alone), ("survey.survey", survey)):
        monkeypatch.setattr(f"lora_tui.{name}", lambda *given, real=real: go.wait() and real(*given))
    monkeypatch.setattr("tests.screens.wizard.driving.LOOK_SECONDS", 0.1)
    if not pictures:
        shutil.rmtree(folder / "img" / "2_ohwx man")

    async def act(pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await until_so(pilot, lambda: "4 of 9" in text(pilot))
        assert "The pictures are being looked at…" in text(pilot)
        assert "0 captions" not in text(pilot)
        assert "no pictures yet" not in text(pilot)
        go.set()
        await until(pilot, lambda: ("6 captions" if pictures else "no pictures yet") in text(pilot))
        assert "The pictures are being looked at…" not in text(pilot)

    drive(folder, act)


def test_an_empty_file_is_shown_as_empty_and_words_are_put_in_front_of_nothing(folder: Path) -> None:
    """What is trained in its place, the words of the folder, is not what is in the file."""
    caption(folder, "02").write_text("")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "m")
        assert said(pilot)[1] == "02.png: It is empty."
        assert "no caption yet" in page(pilot).row_of(page(pilot).desk.shown[2]).plain
        await press(pilot, "o", "down", "enter", *"best", "enter", "enter")
        await until(pilot, lambda: said(pilot)[1].startswith("Done"))

    drive(folder, act)
    assert caption(folder, "02").read_text().strip().startswith("best")


def test_a_caption_that_is_not_utf8_is_not_said_to_be_missing(folder: Path) -> None:
    caption(folder, "02").write_bytes(b"ohwx, caf\xe9")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        assert "not UTF-8" in page(pilot).row_of(page(pilot).desk.shown[2]).plain
        await press(pilot, "m")
        assert "It is not UTF-8" in said(pilot)[1]
        assert "What is in its file cannot be shown. Opening it offers ways to read it." in text(pilot)
        assert "cannot be read" not in text(pilot)

    drive(folder, act)


@pytest.mark.parametrize("begun", ["\\", "\\2", "\\g<"])
def test_a_replacement_that_is_not_typed_to_its_end_is_a_sentence(folder: Path, begun: str) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "r", "tab", "tab", *"(photo)", "enter")
        await type_in(pilot, begun)
        assert said(pilot)[0] == "!"
        assert "cannot be put in" in said(pilot)[1]
        await press(pilot, *["backspace"] * len(begun))
        await type_in(pilot, r"\1graph")
        assert said(pilot)[0] == "ok"
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: said(pilot)[1].startswith("Done"))

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a photograph of a man, number 0"


KILLED = """
import os, sys
from pathlib import Path
from engine.plan import caption_edits
from engine.plan.caption_history import History

pictures = [Path(name) for name in sys.argv[2:]]
known = {picture: picture.with_suffix(".txt").read_text().strip() for picture in pictures}
changes = caption_edits.changes(known, caption_edits.prefixed("best"))
History(Path(sys.argv[1]), ".txt").apply("put in front", changes, lambda done, total: done == 2 and os._exit(9))
"""


def test_below_a_change_stands_its_picture_not_the_one_chosen_before(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "end", "r", *"photo", "enter", *"picture")
        await press(pilot, "enter", "down")
        assert "/01.png" in text(pilot)
        assert "/05.png" not in text(pilot)
        await press(pilot, "escape")
        assert "/05.png" in text(pilot)

    drive(folder, act)


@pytest.mark.parametrize("look", [Look(images=False), Look(ascii_only=True, images=False, theme="none")])
def test_of_the_changes_only_those_left_out_have_a_mark(folder: Path, look: Look) -> None:
    async def act(pilot: Pilot[None]) -> None:
        def marks() -> str:
            rows = page(pilot).query_one(ChangesPane).plain
            return "".join(row[: row.index("0")].strip(" ▸") or "." for row in rows)

        await open_captions(pilot)
        await press(pilot, "r", *"photo", "enter", *"picture")
        assert marks() == "......"
        await press(pilot, "enter", "down", "space")
        assert marks() == ".x...."
        await press(pilot, "up", "space")
        assert marks() == "......"
        await press(pilot, "home", "space", "enter")
        await until(pilot, lambda: said(pilot)[1].startswith("Done"))

    drive(folder, act, "small", look)
    assert [("photo" in text) for text in captions(folder).values()] == [True, *[False] * 5]


def test_a_change_that_was_cut_off_is_finished_and_told(folder: Path) -> None:
    """Not by the first key that needs the history, in silence, while the screen stands still."""
    before = captions(folder)
    pictures = [str(path) for path in sorted((folder / "img").rglob("*.png"))]
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), *pictures], check=False)
    assert killed.returncode == 9
    assert sum(words.startswith("best") for words in captions(folder).values()) == 2

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await until(pilot, lambda: said(pilot)[1].startswith("Finished after a stop: put in front"))
        assert all(words.startswith("best") for words in captions(folder).values())
        await press(pilot, "u")
        await until(pilot, lambda: said(pilot)[1].startswith("Taken back"))

    drive(folder, act)
    assert captions(folder) == before


@pytest.mark.parametrize("size", ["small", "wide", "huge"])
def test_below_the_tags_stands_the_first_caption_that_has_the_chosen_one(folder: Path, size: str) -> None:
    caption(folder, "03").write_text("ohwx, a hat, zebra crossing\n")

    async def act(pilot: Pilot[None]) -> None:
        def below() -> tuple[str, str]:
            about = page(pilot).query_one("#about", Lines).plain
            return page(pilot).editor.value, next(row for row in about if ".png" in row).partition("  ")[0]

        await open_captions(pilot)
        await press(pilot, "end")
        chosen = below()
        assert chosen[1].endswith("/05.png")
        places = page(pilot).editor.region, page(pilot).query_one("#side-by-side").region
        await press(pilot, "l", "home")
        assert below()[1].endswith("/00.png")
        tags = page(pilot).query_one(TagsPane)
        for _ in range(len(tags.tags) - 1):
            await press(pilot, "down")
            text, place = below()
            assert tags.chosen in text
            if tags.chosen == "zebra crossing":
                assert place.endswith("/03.png")
        await press(pilot, "f", *"zeb")  # while it is typed
        assert below()[0] == "ohwx, a hat, zebra crossing"
        assert page(pilot).query_one("#picture", Picture)._path == (
            caption(folder, "03").with_suffix(".png") if page(pilot).has_preview else None
        )
        await press(pilot, "x")
        assert (tags.chosen, page(pilot).editor.value) == ("", "")
        await press(pilot, "escape")
        assert tags.chosen in below()[0]
        assert places == (page(pilot).editor.region, page(pilot).query_one("#side-by-side").region)
        await press(pilot, "escape")
        assert below() == chosen

    drive(folder, act, size)


def test_as_trained_is_no_tags_caption(folder: Path) -> None:
    """Of what is shown below the tags the chosen one is a part, however captions are drawn."""
    caption(folder, "03").write_text("ohwx, a hat, zebra crossing\n")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "v", "l", "f", *"zeb", "enter")
        assert page(pilot).editor.value == "ohwx, a hat, zebra crossing"

    drive(folder, act)


def test_a_caption_that_another_program_wrote_meanwhile_is_kept_and_told(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "enter")
        caption(folder, "00").write_text("ohwx, written by another program\n")
        await type_in(pilot, "ohwx, written here")
        await press(pilot, "enter")
        assert "Another program changed the caption of 00.png" in said(pilot)[1]
        assert captions(folder)["00"] == "ohwx, written here"
        await press(pilot, "escape", "u")
        await until(pilot, lambda: captions(folder)["00"] == "ohwx, written by another program")

    drive(folder, act)


def test_a_caption_in_sight_that_another_program_writes_is_shown_as_it_is_now(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        page(pilot).look_at_files()
        caption(folder, "03").write_text("ohwx, written by another program\n")
        await until(pilot, lambda: "ohwx, written by" in text(pilot))

    drive(folder, act)


def test_what_another_program_writes_is_said_to_be_shown_only_where_it_is(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        page(pilot).look_at_files()
        await press(pilot, "enter")
        caption(folder, "00").write_text("ohwx, written by another program\n")
        page(pilot).look_at_files()
        assert said(pilot)[1] == "00.txt was written by another program; it is shown as it is now."
        assert page(pilot).editor.value == "ohwx, written by another program"
        await type_in(pilot, "ohwx, here")
        assert page(pilot).save()
        caption(folder, "00").write_text("ohwx, written once more\n")
        page(pilot).look_at_files()
        assert "as it is now" not in said(pilot)[1]
        assert said(pilot)[1].startswith("Another program wrote the caption of 00.png.")
        assert page(pilot).editor.value == "ohwx, here"
        await press(pilot, "escape")  # nothing more was typed: the file stays, and is shown
        assert page(pilot).editor.value == "ohwx, written once more"
        assert captions(folder)["00"] == "ohwx, written once more"
        await press(pilot, "enter")
        caption(folder, "00").write_text("ohwx, theirs\n")
        await press(pilot, "space", "a")
        page(pilot).look_at_files()
        await press(pilot, "escape", "u")
        await until(pilot, lambda: captions(folder)["00"] == "ohwx, theirs")

    drive(folder, act)


def test_typing_is_one_thing_to_take_back_also_after_the_app_was_left(folder: Path) -> None:
    before = captions(folder)

    async def change(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "enter", "x")
        page(pilot).save()
        await press(pilot, "y")
        page(pilot).save()
        await press(pilot, "enter", "escape")

    async def take_back(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "u")
        await until(pilot, lambda: said(pilot)[1] == "Taken back: the caption of 00.png.")
        assert captions(folder) == before
        await press(pilot, "y")
        await until(pilot, lambda: said(pilot)[1] == "Done again: the caption of 00.png.")

    drive(folder, change)
    assert captions(folder)["00"] == before["00"] + "xy"
    drive(folder, take_back)
    assert captions(folder)["00"] == before["00"] + "xy"


def test_what_is_trained_is_shown_draw_by_draw(folder: Path) -> None:
    path = folder / "project.toml"
    path.write_text(
        path.read_text().replace("[settings]", "[settings]\nshuffle_caption = true\ncache_text_encoder_outputs = false")
    )

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        seen = set()
        for _ in range(8):
            await press(pilot, "v")
            assert "As trained in epoch" in said(pilot)[1]
            seen.add(page(pilot).editor.value)
        assert len(seen) > 1
        await press(pilot, "escape")
        assert page(pilot).editor.value == captions(folder)["00"]

    drive(folder, act)


# ------------------------------------------------------------------------------------------------------- several lines
TOLD = "Its file has more lines; a change here drops them."


@pytest.mark.parametrize("size", ["small", "wide"])
@pytest.mark.parametrize("content", ["ohwx, a hat\nohwx, a coat\n", "\nohwx, a coat\n"])
def test_what_becomes_of_further_lines_is_told_before_and_when_it_is_saved(
    folder: Path, content: str, size: str
) -> None:
    caption(folder, "00").write_text(content)

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "down", "m", "m")
        await press(pilot, "enter")
        assert TOLD in text(pilot)
        await press(pilot, "down", "up")
        assert caption(folder, "00").read_text() == content  # to be opened drops nothing
        await press(pilot, *"x")
        assert TOLD in text(pilot)
        await press(pilot, "enter")
        assert said(pilot)[1] == "The further lines of 00.png's caption are gone; u brings them back."
        assert TOLD not in text(pilot)
        await press(pilot, "up")
        assert TOLD not in text(pilot)
        await press(pilot, "escape", "u")
        await until(pilot, lambda: caption(folder, "00").read_text() == content)
        await until(pilot, lambda: TOLD in text(pilot))

    drive(folder, act, size)


def test_a_caption_of_several_lines_is_the_last_that_the_next_to_mend_comes_to(folder: Path) -> None:
    caption(folder, "00").write_text("ohwx, a hat\nohwx, a coat\n")
    caption(folder, "03").write_text("a man\n")
    found = []

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        assert "1 needs attention" in text(pilot)
        for _ in range(2):
            await press(pilot, "m")
            found.append(said(pilot))

    drive(folder, act)
    assert found == [("!", '03.png: The trigger word "ohwx" is not in it.'), ("ok", f"00.png: {TOLD}")]


def test_a_change_of_many_tells_which_files_have_more_lines(folder: Path) -> None:
    caption(folder, "00").write_text("ohwx, a hat\nohwx, a coat\n")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "r", *"ohwx", "enter", *"zibo", "enter")
        assert "Its file has more lines; the change drops them." in text(pilot)
        await press(pilot, "down")
        assert "Its file has more lines" not in text(pilot)

    drive(folder, act)


# ----------------------------------------------------------------------------------------------------------- not UTF-8
LATIN = b"ohwx, caf\xe9 in the rain\r\n"


def test_enter_passes_over_what_cannot_be_edited_and_says_so(folder: Path) -> None:
    """What is typed next never runs as commands."""
    caption(folder, "01").write_bytes(LATIN)
    caption(folder, "02").write_bytes(LATIN)
    caption(folder, "05").write_bytes(LATIN)

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "enter", *" one", "enter")
        assert said(pilot)[1] == "Passed over: 01.txt, 02.txt (not UTF-8)."
        assert page(pilot).editor.value == "ohwx, a photo of a man, number 3"
        await press(pilot, *" three", "down", "up")
        assert page(pilot).editor.value == "ohwx, a photo of a man, number 3 three"
        await press(pilot, "down", *" four", "down")  # there is none below that can be edited
        assert said(pilot)[1] == "Passed over: 05.txt (not UTF-8). Opening it offers ways to read it."
        assert pilot.app.focused is page(pilot).editor
        await press(pilot, "enter")
        assert said(pilot)[1].endswith("That was the last one. All are saved.")
        assert "Passed over: 05.txt" in said(pilot)[1]

    drive(folder, act)
    found = {name: caption(folder, name).read_bytes() for name in ("01", "02", "05")}
    assert found == dict.fromkeys(found, LATIN)
    assert [caption(folder, name).read_text().split()[-1] for name in ("00", "03", "04")] == ["one", "three", "four"]


def test_chips_pass_over_what_cannot_be_edited(folder: Path) -> None:
    caption(folder, "01").write_bytes(LATIN)

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "t", "down")
        await chips_of(pilot, "02", "ohwx", "a photo of a man", "number 2")
        assert said(pilot)[1].startswith("Passed over: 01.txt")

    drive(folder, act)


@pytest.mark.parametrize(
    ("keys", "text_after"),
    [
        (["down", "enter"], "ohwx, caf\xe9 in the rain"),
        (["down", "down", "enter"], ""),
        (["enter"], None),
        (["escape"], None),
    ],
)
def test_a_caption_that_is_not_utf8_is_read_in_another_way_or_begun_anew(
    folder: Path, keys: list[str], text_after: str | None
) -> None:
    """Undo brings its bytes back; where nothing is chosen nothing is written."""
    caption(folder, "00").write_bytes(LATIN)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4")
        await until(pilot, lambda: "not UTF-8" in text(pilot))
        await press(pilot, "enter")
        assert 'Read it as Windows-1252: "ohwx, caf\xe9 in the rain"' in text(pilot)
        assert caption(folder, "00").read_bytes() == LATIN
        await press(pilot, *keys)
        if text_after is None:
            assert pilot.app.focused is None
            assert caption(folder, "00").read_bytes() == LATIN
            return
        assert pilot.app.focused is page(pilot).editor
        assert captions(folder)["00"] == text_after
        assert said(pilot)[1] == "It is UTF-8 now. u brings back what was in the file."
        await press(pilot, *(" red" if text_after else "red"), "escape")
        assert captions(folder)["00"] == f"{text_after or 'ohwx,'} red"
        await press(pilot, "u")
        await until(pilot, lambda: caption(folder, "00").read_bytes() == LATIN)
        await until(pilot, lambda: "not UTF-8" in page(pilot).row_of(page(pilot).desk.shown[0]).plain)

    drive(folder, act)


def test_all_captions_that_are_not_utf8_are_read_in_another_way_at_once(folder: Path) -> None:
    """Each is shown first; what is left out, and what cannot be read at all, stays; one undo brings all bytes back."""
    odd = {"00": LATIN, "01": b"ohwx, \xe9t\xe9\nand more\n", "02": b"ohwx, \xfc", "03": b"\xff\xfea"}
    for name, data in odd.items():
        caption(folder, name).write_bytes(data)
    before = {name: caption(folder, name).read_bytes() for name in ("00", "01", "02", "03", "04", "05")}

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4")
        await until(pilot, lambda: "not UTF-8" in text(pilot))
        await press(pilot, "enter")
        assert "Read all 4 that are not UTF-8" in text(pilot)
        await press(pilot, "down", "down", "down", "enter")
        await until(pilot, lambda: "Read captions in another way: 3 changes" in said(pilot)[1])
        assert "ohwx, caf\xe9 in the rain" in text(pilot)
        assert {name: caption(folder, name).read_bytes() for name in before} == before
        await press(pilot, "down")
        assert "Its file has more lines; the change drops them." in text(pilot)
        await press(pilot, "down", "space")
        assert "2 changes" in said(pilot)[1]
        await press(pilot, "enter")
        await until(pilot, lambda: caption(folder, "01").read_bytes() == "ohwx, \xe9t\xe9\n".encode())
        assert caption(folder, "00").read_text() == "ohwx, caf\xe9 in the rain\n"
        assert {name: caption(folder, name).read_bytes() for name in ("02", "03")} == {"02": odd["02"], "03": odd["03"]}
        await until(pilot, lambda: "(2 captions)" in said(pilot)[1])
        await press(pilot, "u")
        await until(pilot, lambda: caption(folder, "00").read_bytes() == LATIN)
        assert {name: caption(folder, name).read_bytes() for name in before} == before

    drive(folder, act)


def test_chips_are_closed_where_an_undo_brings_back_what_is_not_utf8(folder: Path) -> None:
    caption(folder, "00").write_bytes(LATIN)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4")
        await until(pilot, lambda: "not UTF-8" in text(pilot))
        await press(pilot, "t", "down", "enter")
        await chips_of(pilot, "00", "ohwx", "caf\xe9 in the rain")
        await press(pilot, "u")
        await until(pilot, lambda: not page(pilot).chips_shown)

    drive(folder, act)
    assert caption(folder, "00").read_bytes() == LATIN


def test_a_caption_that_cannot_be_read_is_not_begun_as_an_empty_one(folder: Path) -> None:
    caption(folder, "00").write_text("x" * 1_100_000)

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4", "enter")
        assert "00.txt cannot be read" in said(pilot)[1]
        assert pilot.app.focused is None

    drive(folder, act)


# ---------------------------------------------------------------------------------------------------------------- tags
def test_tags_are_carried_removed_and_added_as_chips(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "t")
        assert "[ohwx] [a photo of a man] [number 0] [+]" in text(pilot)
        await press(pilot, "left", "space", "left", "space")
        assert "[number 0] [a photo of a man]" in text(pilot)
        await press(pilot, "right", "x", "enter", *"num", "tab", "enter", "enter", "down")
        assert "[number 1]" in text(pilot)
        assert captions(folder)["00"] == "ohwx, number 0, number 1"
        await press(pilot, "escape", "u")
        await until(pilot, lambda: said(pilot)[1].startswith("Taken back"))

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a photo of a man, number 0"


async def chips_of(pilot: Pilot[None], name: str, *tags: str) -> None:
    """Until these tags are shown as chips, of this picture."""
    here = page(pilot).here
    assert here is not None
    assert here.path.stem == name
    await until(pilot, lambda: page(pilot).chips.row.tags == list(tags))
    shown = " ".join(f"[{tag}]" for tag in [*tags, "+"])
    assert shown in text(pilot)


def test_chips_follow_undo_and_redo(folder: Path) -> None:
    """What is taken back is not written over by the next tag, and no other program is blamed."""
    before = ["ohwx", "a photo of a man", "number 0"]

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "t", "left", "x")
        await until(pilot, lambda: page(pilot).save())
        await press(pilot, "u")
        await chips_of(pilot, "00", *before)
        assert said(pilot)[1].startswith("Taken back")
        await press(pilot, "y")
        await chips_of(pilot, "00", *before[:2])
        await press(pilot, "u")
        await chips_of(pilot, "00", *before)
        await press(pilot, "end", "enter", *"newtag", "enter", "enter")
        assert page(pilot).save()
        assert "Another program" not in said(pilot)[1]
        await press(pilot, "u")  # before it would be saved by itself
        await chips_of(pilot, "00", *before)
        await press(pilot, "y", "escape")

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a photo of a man, number 0, newtag"


def test_an_undo_before_a_tag_was_saved_takes_that_tag_back(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "t", "left", "x", "u")
        await chips_of(pilot, "00", "ohwx", "a photo of a man", "number 0")

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a photo of a man, number 0"


def test_chips_go_to_the_picture_whose_caption_was_taken_back(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "t", "left", "x", "down")
        await chips_of(pilot, "01", "ohwx", "a photo of a man", "number 1")
        await press(pilot, "u")
        await chips_of(pilot, "00", "ohwx", "a photo of a man", "number 0")
        await press(pilot, "left", "x", "escape")

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a photo of a man"
    assert captions(folder)["01"] == "ohwx, a photo of a man, number 1"


def test_chips_follow_what_another_program_writes(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        page(pilot).look_at_files()
        await press(pilot, "t", "left", "x")
        assert page(pilot).save()
        caption(folder, "00").write_text("ohwx, a hat, a photo of a man\n")
        page(pilot).look_at_files()
        assert said(pilot)[1] == "00.txt was written by another program; it is shown as it is now."
        await chips_of(pilot, "00", "ohwx", "a hat", "a photo of a man")
        await press(pilot, "end", "enter", *"coat", "enter", "enter", "escape")
        assert "Another program" not in said(pilot)[1]

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a hat, a photo of a man, coat"


def test_a_tag_that_is_written_anew_takes_the_place_of_no_other(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        page(pilot).look_at_files()
        await press(pilot, "t", "left", "left", "e")  # "a photo of a man"
        caption(folder, "00").write_text("ohwx, a hat, number 0\n")
        page(pilot).look_at_files()
        await press(pilot, *"coat", "enter", "escape")

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, a hat, coat, number 0"


def test_a_tag_is_shown_renamed_and_removed_everywhere(folder: Path) -> None:
    caption(folder, "00").write_text("ohwx, coat\n")
    caption(folder, "01").write_text("ohwx, coats\n")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "l")
        assert "8 tags  in 6 captions" in text(pilot)
        await press(pilot, "f", *"coat", "enter")
        assert '2 tags  in 6 captions  with "coat"' in text(pilot)
        assert "also coats" in text(pilot)
        await press(pilot, "g", "enter")  # both spellings, under the first name
        assert "{+coat+}" in text(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: captions(folder)["01"] == "ohwx, coat")
        await press(pilot, "enter")
        assert '2 of 6 with the tag "coat"' in text(pilot)
        await press(pilot, "escape", "l", "f", *"photo", "enter", "x")
        assert "4 changes" in said(pilot)[1]
        await press(pilot, "enter")
        await until(pilot, lambda: captions(folder)["05"] == "ohwx, number 5")

    drive(folder, act)
    assert captions(folder)["00"] == "ohwx, coat"


def test_of_marked_tags_the_most_used_name_is_offered_and_the_keys_are_told(folder: Path) -> None:
    for name, tags in (("00", "ohwx, coats"), ("01", "ohwx, coats"), ("02", "ohwx, coat"), ("03", "ohwx, a dog")):
        caption(folder, name).write_text(tags)

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "l", "question_mark")
        lines = [row.split() for row in text(pilot).splitlines()]
        places = [next(n for n, row in enumerate(lines) if row[1:2] == [label]) for label in ("merge", "automatic")]
        assert places == sorted(places)  # of the list one is in the keys come first
        await press(pilot, "escape", "f", *"coat", "enter", "space")
        assert "Mark those that mean the same as well; then g makes them one." in said(pilot)[1]
        await press(pilot, "space")
        assert "2 marked" in text(pilot)
        assert said(pilot)[1].startswith("g makes one of the 2 marked tags")
        await press(pilot, "escape", "l", "g")  # the chosen one is another now
        assert "Make 2 tags into: coats" in text(pilot)
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: said(pilot)[1] == 'Done: Make 2 tags into "coats".')
        assert "1 marked" not in text(pilot)  # else the next to be merged would take these along

    drive(folder, act)


def test_a_list_without_tags_says_so(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "l", "f", *"zebra", "enter")
        assert said(pilot)[1] == "No caption has a tag in which this stands. Esc goes back."

    drive(folder, act)


def test_captions_that_are_being_written_here_are_no_other_programs(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        page(pilot).look_at_files()
        page(pilot)._making = True  # as while thousands are written, in a thread
        caption(folder, "00").write_text("ohwx, written")
        page(pilot).look_at_files()
        assert "another program" not in said(pilot)[1]

    drive(folder, act)


def test_how_many_captions_have_odd_words_is_told(folder: Path) -> None:
    caption(folder, "00").write_text("ohwx, a man befroe a hous")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "s")
        await until(pilot, lambda: "1 caption has words that no dictionary knows" in said(pilot)[1])

    drive(folder, act)


# ------------------------------------------------------------------------------------------------------- many at once
def test_every_change_of_a_replacement_is_shown_made_and_taken_back(folder: Path) -> None:
    before = {path: path.read_bytes() for path in (folder / "img").rglob("*.txt")}

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "r", *"man", "tab", "enter", *"woman")
        assert text(pilot).count("[-man-]{+woman+}") == 6
        await press(pilot, "enter")
        assert isinstance(pilot.app.focused, ChangesPane)
        assert "6 changes\n" in text(pilot)
        assert "Replace" not in text(pilot)
        assert said(pilot)[1].startswith('"man" becomes "woman": 6 changes. Enter makes them')
        await press(pilot, "space")  # not the first one
        assert '"man" becomes "woman": 5 changes.' in said(pilot)[1]
        await press(pilot, "enter")
        await until(pilot, lambda: said(pilot)[1].startswith("Done:"))
        assert captions(folder)["00"] == "ohwx, a photo of a man, number 0"
        assert captions(folder)["05"] == "ohwx, a photo of a woman, number 5"
        await press(pilot, "u")
        await until(pilot, lambda: said(pilot)[1].startswith("Taken back:"))

    drive(folder, act)
    assert {path: path.read_bytes() for path in before} == before


def test_changes_that_were_left_are_not_shown_for_others(folder: Path) -> None:
    """Of the same captions, but another change."""

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "r", *"man", "enter", *"boy", "escape")
        await press(pilot, "o", "down", "down", "enter", *"a hat", "enter")
        pane = pilot.app.screen.query_one(ChangesPane)
        shown = [pane._line(index).plain for index in range(len(pane.changes))]
        assert text(pilot).count("{+ a hat+}") == len(shown) == 6
        assert "boy" not in text(pilot)
        there: dict[Path, str | None] = {change.picture: change.before for change in pane.changes}
        pane.fill_soon(there, str.upper)
        pane.without = set(there)
        pane.fill(changes(there, str.title))
        assert not pane.without

    drive(folder, act, "small")


def test_keys_of_the_pictures_rest_while_another_list_is_shown(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        for opens in (["l"], ["o"], ["r", *"man", "enter", "enter"]):
            await press(pilot, *opens)
            before = text(pilot), page(pilot).here
            await press(pilot, "m", "v", "tab", "t", "a", "A", "z")
            assert (text(pilot), page(pilot).here) == before
            await press(pilot, "escape")
        assert not page(pilot).desk.marked
        assert not page(pilot).drawn

    drive(folder, act)


def test_a_regular_expression_is_looked_for_in_a_thread(folder: Path) -> None:
    caption(folder, "00").write_text("a" * 60 + "!\n")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "r", "tab", "tab", *"m.n")
        await until(pilot, lambda: said(pilot)[1].startswith("In 5 captions"))
        await press(pilot, "left_parenthesis")
        await until(pilot, lambda: "missing )" in said(pilot)[1])
        await press(pilot, "backspace", "enter")
        await until(pilot, lambda: 'Replace "m.n" by' in text(pilot))
        await press(pilot, "escape", "r", *"(a|aa)+$")
        await until(pilot, lambda: "takes too long" in said(pilot)[1])
        await press(pilot, "escape")
        assert "too long" not in said(pilot)[1]

    drive(folder, act)


def test_marks_are_what_is_changed(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "space", "down", "space")
        assert "2 marked" in text(pilot)
        await press(pilot, "o", "down", "down", "enter", *", at night", "enter")
        assert "2 changes" in said(pilot)[1]
        await press(pilot, "enter")
        await until(pilot, lambda: captions(folder)["02"].endswith(", at night"))

    drive(folder, act)
    assert [name for name, words in captions(folder).items() if words.endswith(", at night")] == ["00", "02"]


def test_a_filter_is_what_is_changed_where_nothing_is_marked(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "f", *"number 3", "enter", "o", "down", "enter")
        await type_in(pilot, "zz, ")
        await press(pilot, "enter")
        assert "1 change." in said(pilot)[1]
        await press(pilot, "enter")
        await until(pilot, lambda: captions(folder)["03"].startswith("zz, "))

    drive(folder, act)
    assert captions(folder)["02"] == "ohwx, a photo of a man, number 2"


@pytest.mark.parametrize("keys", [["r", "escape"], ["r", *"man", "enter", "escape"], ["o", "escape"], ["l", "escape"]])
def test_esc_leaves_all_as_it_is(folder: Path, keys: list[str]) -> None:
    before = captions(folder)

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, *keys)
        if page(pilot).query_one(ChangesPane).has_class("-on"):
            await press(pilot, "escape")
        assert "00.png" in text(pilot)
        assert pilot.app.focused is None

    drive(folder, act)
    assert captions(folder) == before


# ----------------------------------------------------------------------------------------------------------- bad input
HOSTILE = "ohwx, \x1b[2J\x1b]0;x\x07[bold red]y[/] \u202e [@click=app.quit]z"


@pytest.mark.parametrize("size", ["small", "wide"])
@pytest.mark.parametrize("look", [Look(images=False), Look(ascii_only=True, images=False)])
def test_nothing_in_a_caption_is_obeyed_and_nothing_of_it_is_lost(folder: Path, size: str, look: Look) -> None:
    caption(folder, "00").write_text(f"{HOSTILE}\n")

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        for keys in (["enter"], ["tab"], ["escape"], ["end", "1", "enter"], ["t"], ["left"], ["escape"], ["l"]):
            await press(pilot, *keys)
            assert "\x1b" not in text(pilot)
            assert "\u202e" not in text(pilot)
            if look.ascii_only:
                assert text(pilot).isascii()
        await press(pilot, "escape", "r", *"y", "enter", *"q")
        assert "\x1b" not in text(pilot)

    assert not drive(folder, act, size, look).crashed
    assert captions(folder)["00"] == f"{HOSTILE}1"


def test_a_caption_that_is_no_utf8_is_listed_and_not_touched(folder: Path) -> None:
    caption(folder, "01").write_bytes(b"ohwx, caf\xe9")

    async def act(pilot: Pilot[None]) -> None:
        await press(pilot, "4")
        await until(pilot, lambda: "not UTF-8" in text(pilot))
        await press(pilot, "down", "enter")
        assert "01.txt is not UTF-8" in text(pilot)
        await press(pilot, "escape")
        await press(pilot, "down", "enter", "x", "escape", "up", "m")
        await press(pilot, "r", *"man", "enter", *"boy", "enter", "enter")
        await until(pilot, lambda: captions_but(folder, "01")["05"] == "ohwx, a photo of a boy, number 5")

    assert not drive(folder, act).crashed
    assert caption(folder, "01").read_bytes() == b"ohwx, caf\xe9"
    assert captions_but(folder, "01")["02"] == "ohwx, a photo of a boy, number 2x"


def captions_but(folder: Path, name: str) -> dict[str, str]:
    return {p.stem: p.read_text().strip() for p in (folder / "img").rglob("*.txt") if p.stem != name}


def test_a_hundred_thousand_letters_can_be_edited(folder: Path) -> None:
    long = "ohwx, " + "漢字 and words " * 7_000
    caption(folder, "00").write_text(long)

    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        assert "more than" in text(pilot)
        await press(pilot, "enter", "x", "up", "home", "end", "tab", "a", "y", "enter", "escape")
        await press(pilot, "t", "escape", "l", "escape")

    assert not drive(folder, act).crashed
    assert captions(folder)["00"].startswith(long[:100])
    assert captions(folder)["00"].endswith("y")


def test_no_key_while_typing_leaves_the_editor_by_accident(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "enter", "left", "right", "home", "up", "down", "end")
        assert isinstance(pilot.app.focused, CaptionInput)

    drive(folder, act)


def test_the_other_way_to_look_is_said_with_the_next_one(folder: Path) -> None:
    async def act(pilot: Pilot[None]) -> None:
        await open_captions(pilot)
        await press(pilot, "r")
        assert "Tab looks for whole words" in text(pilot)
        await press(pilot, "tab")
        assert "Tab looks for a regular expression" in text(pilot)

    drive(folder, act)
