"""The list of captions: a row for each picture, which of them are shown, which are marked, and what is said of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.timer import Timer

from engine.plan.caption_attention import Attention
from engine.plan.captions import NotUTF8Error, read_caption
from engine.plan.clip_tokens import Counter
from engine.plan.dataset import Picture as Entry
from engine.plan.errors import inert, plural
from engine.plan.files import Stamp, stamp_of
from engine.plan.subjects import Subjects
from lora_tui.aside import aside
from lora_tui.caption_desk import Desk, Filter, Learnt, learn
from lora_tui.caption_help import CaptionHelp
from lora_tui.caption_scan import captions_alone
from lora_tui.screens.caption_ask import Asking, AskInput
from lora_tui.screens.caption_changes import ChangesPane
from lora_tui.screens.caption_operations import OperationsPane
from lora_tui.screens.caption_tags import TagsPane
from lora_tui.screens.list_page import beside_caption
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName
from lora_tui.survey import Survey
from lora_tui.widgets.caption_input import CaptionInput
from lora_tui.widgets.chips import Chips
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import ACCENT, DIM, PLAIN, STRONG, WARN, Part, line
from lora_tui.widgets.picture import Picture

COUNTED_AT_ONCE, REST_SECONDS = 20, 0.002  # captions whose tokens are counted between two rests
LOOK_AFTER_SECONDS = 1.0  # after the last change, before all is checked anew
LOOK_SECONDS = 1.0  # between two looks at the files in sight
FILTER_LETTERS, SUMMARY_CELLS = 24, 54  # of a filter that is told, and what matters beside it at the most
LOOKING = "The pictures are being looked at…"
ROW_LETTERS = 300  # of a caption that a row may show; the longest rows there are have room for fewer


class CaptionList(Asking):
    """The list with its filter and its marks. What is edited below it is the business of those that build on it."""

    STEP: ClassVar[StepName] = "captions"
    CSS_PATH: ClassVar[list[str]] = ["wizard_page.tcss", "captions.tcss"]  # type: ignore[assignment]

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self.desk = Desk()
        self.help = CaptionHelp(self.desk)
        self._survey: Survey | None = None
        self._subjects_of: tuple[str, str, tuple[Path, ...]] = ("", "", ())
        self._subjects = Subjects.of(*self._subjects_of)
        self._scanned = False
        self._listed = False  # whether the pictures are known by now, also where there are none
        self._learnt_for: tuple[object, ...] = ()  # what all captions were looked at for
        self._written: set[Path] = set()  # pictures whose captions were written here since the last survey began
        self._looking_soon: Timer | None = None
        self._stamps: dict[Path, Stamp | None] = {}  # of caption files in sight, to see what another program writes
        self._away = False  # another screen was shown since they were looked at, and may have had captions written

    def body(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield Lines(id="summary")
            yield AskInput(id="ask")
        with Horizontal(id="side-by-side"):
            yield Listing(id="list")
            yield TagsPane(id="tags")
            yield OperationsPane(id="operations")
            yield ChangesPane(id="changes")
            with Vertical(id="preview"):
                yield Picture(id="picture")
        yield CaptionInput(id="editor")
        yield Chips(id="chips")
        yield Lines(id="compare")
        yield Lines(id="about")

    @property
    def listing(self) -> Listing:
        return self.query_one("#list", Listing)

    # ------------------------------------------------------------------------------------------------------- showing
    @property
    def has_preview(self) -> bool:
        """Where no pictures are drawn the list has their room; the path stands below it."""
        return super().has_preview and bool(getattr(self.app, "images", True))

    def update(self) -> None:
        survey = self.wizard.survey
        if survey is not self._survey and survey is not None and survey.dataset is not None:
            self.desk.take(survey.dataset.used_of("train"))
            self._listed = True
            self._read_again()
        elif survey is not self._survey or (survey is None and not self._scanned):
            self._scan()
        self._survey = survey
        self._learn()
        self.show_list(self.desk.shown)
        self.show_summary()

    def _scan(self) -> None:
        """List the captions before there is a survey, or where there cannot be one."""
        self._scanned = True
        project, extension = deepcopy(self.draft.project), self.extension

        def found(entries: tuple[Entry, ...]) -> None:
            survey = self.wizard.survey
            self._listed = True
            if survey is None or survey.dataset is None:
                self.desk.take(entries)
            self.show_all()

        aside(lambda: captions_alone(project, extension), found)

    def _learn(self) -> None:
        """Look at all captions, in a thread, where that was not done for this trigger and model yet."""
        settings = self.wizard.survey.settings if self.wizard.survey is not None else None
        base = self.wizard.survey.base if self.wizard.survey is not None else None
        limit = settings.max_token_length if settings is not None else 75
        weighted = settings is not None and settings.weighted_captions
        said = settings.caption_separator if settings is not None else self.draft.value("caption_separator")
        separator = self.desk.separator = str(said or ",")
        subjects = self.subjects
        trigger, others = subjects.own.trigger, subjects.triggers
        wanted = (trigger, tuple(others.items()), limit, weighted, separator, base.path if base is not None else None)
        if not self.desk.entries or wanted == self._learnt_for:
            return
        self._learnt_for = wanted
        self.help.limit = limit
        counter, texts = Counter.for_base(base, weighted), self.desk.of(self.desk.entries)

        def work() -> Learnt:
            return learn(texts, trigger, limit, counter, others, separator)

        def learnt(found: Learnt) -> None:
            if wanted == self._learnt_for:
                self.desk.adopt(found)
                self.show_all()
                aside(lambda: _count_all(found.attention, counter), lambda _: counted())

        def counted() -> None:
            if wanted == self._learnt_for:
                self.help.count_with(counter)
                self.desk.count_again()
                self.show_all()

        aside(work, learnt)

    def read_anew(self, paths: Iterable[Path]) -> None:
        """These captions were written here: read them."""
        for path in paths:
            try:
                caption = read_caption(path, self.extension, "")
                self.desk.set(path, caption.text if caption.path is not None else None, caption.further)
            except NotUTF8Error:
                self.desk.cannot_show(path, "not-utf8")
            self.own_write(path)

    def _read_again(self) -> None:
        """What was written here while the survey was made is newer than what it has read."""
        self.read_anew(list(self._written))
        if not self.wizard.looking:  # else another survey is under way, which may have read them before
            self._written = set()

    def show_summary(self) -> None:
        """How many there are, which are shown, how many need attention."""
        if self.asked is not None:
            return
        desk = self.desk
        many = plural(len(desk.entries), "caption") if self._listed else LOOKING
        parts: list[Part] = [(f" {many}", STRONG)]
        if desk.filter:
            parts = [(f" {len(desk.shown):,} of {len(desk.entries):,}", STRONG)]
            letters = max(FILTER_LETTERS, min(80, self.room - SUMMARY_CELLS))
            parts += [(f" {inert(desk.filter.told(), letters)}", ACCENT)]
        if wanting := desk.wanting:
            parts += [(f"  {wanting:,} need{'s' if wanting == 1 else ''} attention", WARN)]
        if desk.marked:
            parts += [(f"  {len(desk.marked):,} marked", ACCENT)]
        if repeating := desk.repeating:
            least = line(*parts, (f"  {repeating:,} equal to another", DIM))
            if least.cell_len <= self.room:  # it matters least, and half of it would say nothing
                self.query_one("#summary", Lines).show([least])
                return
        self.query_one("#summary", Lines).show([line(*parts)])

    def row_of(self, entry: Entry) -> Text:
        caption = self.desk[entry.path]
        marked = entry.path in self.desk.marked
        mark, style = self._mark_of(entry.path, caption)
        name = beside_caption(entry.path, self.listing.room.width)
        text = (inert(caption[:ROW_LETTERS]), PLAIN) if caption else (self._none_of(entry.path), DIM)
        begin: list[Part] = [("▪", ACCENT), (f"{mark} ", style)] if marked else [(f" {mark} ", style)]
        return line(*begin, (f"{name} ", DIM), text)  # few pieces: each costs 40 bytes to send

    def _mark_of(self, path: Path, caption: str) -> tuple[str, Style]:
        if self.desk.wants(path):
            return ("!", WARN) if caption or self.desk.problem(path) else ("·", DIM)
        return ("=", DIM) if self.desk.equal(path) else (" ", DIM)

    def _none_of(self, path: Path) -> str:
        """What a row says where there are no words."""
        return {"": "no caption yet", "not-utf8": "not UTF-8"}.get(self.desk.problem(path), "cannot be read")

    def sentence(self, standing: Standing) -> Says:
        if self.shown and standing.missing and standing.mark != "done":
            return "!", f"{standing.missing} {self.key('missing')} goes to the next, {self.key('edit')} edits."
        if self.desk.filter and not self.shown:
            return "ok", f"No caption fits; {self.key('home')} shows all."
        return super().sentence(standing)

    @property
    def subjects(self) -> Subjects:
        """Whom the folders show; found out anew only where they, or the project's words, are other ones."""
        project = self.draft.project
        of = (project.trigger, project.class_name, self.desk.folders)
        if of != self._subjects_of:
            self._subjects_of, self._subjects = of, Subjects.of(*of)
        return self._subjects

    @property
    def extension(self) -> str:
        """The ending of caption files."""
        return str(self.draft.value("caption_extension"))

    # --------------------------------------------------------------------------------------------- filters and marks
    def show_filtered(self, filter: Filter) -> None:
        """Show what the filter lets through; the chosen picture stays chosen where it is among them."""
        here = self.here
        self.desk.show(filter)
        self.show_list(self.desk.shown)
        place = next((index for index, entry in enumerate(self.shown) if entry is here), None)
        if place is not None:
            self.listing.choose(place)
        self.show_all()

    def action_mark(self) -> None:
        if (entry := self.here) is not None:
            self.desk.mark(entry.path)
            self.listing.move(1)
            self.show_all()

    def action_mark_all(self) -> None:
        """Mark all that are shown; where all of them are, none."""
        if not self.put_down():
            return
        shown = {entry.path for entry in self.shown}
        self.desk.marked = self.desk.marked - shown if shown <= self.desk.marked else self.desk.marked | shown
        self.show_all()

    def put_down(self) -> bool:
        """End what is open in the caption's place, for a key that shows something else; whether that can be done."""
        return True

    def action_attention(self) -> None:
        """Only those that need attention; then those that are equal to another; then all again."""
        if not self.put_down():
            return
        desk, now = self.desk, self.desk.filter
        attention = bool(desk.wanting) and not (now.attention or now.equal)
        equal = bool(desk.repeating) and not (attention or now.equal)
        if not (attention or equal or now.attention or now.equal):
            self.say("ok", "No caption needs attention.")
            return
        self._news = None
        self.show_filtered(Filter(now.words, attention, now.tag, equal))

    def action_missing(self) -> None:
        """Go to the next one that needs attention, and say why."""
        if not self.put_down():
            return
        place = self.desk.next_to_mend(self.listing.here)
        if place is None:
            self.say("ok", "Every picture has a caption with the trigger word, and nothing is odd about any.")
            return
        path = self.shown[place].path
        self.listing.choose(place)
        self.show_all()
        reason = self.desk.reasons(path)[0]
        told = f"{inert(path.name, 40)}: {reason.words}"
        right = " Right where the pictures show the same." if reason.code == "same" else ""
        self.say("!" if self.desk.wants(path) else "ok", f"{told}{right}")

    # ------------------------------------------------------------------------------------ what other programs write
    def on_mount(self) -> None:
        self.set_interval(LOOK_SECONDS, self.look_at_files)

    def look_at_files(self) -> None:
        """Have everything read again where a caption in sight was written by another program."""
        if not self.is_active:
            return
        top = max(0, self.listing.here - self.listing.page)
        seen: dict[Path, Stamp | None] = {}
        changed = []
        for entry in self.shown[top : self.listing.here + self.listing.page]:
            path = entry.path.with_suffix(self.extension)
            seen[path] = stamp_of(path)
            if path in self._stamps and self._stamps[path] != seen[path]:
                changed.append(entry)
        self._stamps, away, self._away = seen, self._away, False
        told = [self.written_elsewhere(entry) for entry in changed]
        if told and not away:
            self.say("!", told[0])
        if changed:
            self.wizard.look_again()

    def written_elsewhere(self, entry: Entry) -> str:
        """Another program wrote this caption; what is said of that."""
        name = inert(entry.path.with_suffix(self.extension).name, 40)
        return f"{name} was written by another program; it is shown as it is now."

    def look_soon(self) -> None:
        """Have the project checked anew once nothing was changed for a moment: with thousands of pictures that takes
        seconds, in which keys are answered later."""
        if self._looking_soon is not None:
            self._looking_soon.stop()
        self._looking_soon = self.set_timer(LOOK_AFTER_SECONDS, self._look_now)

    def _look_now(self) -> None:
        if self._looking_soon is not None:
            self._looking_soon.stop()
            self._looking_soon = None
            self.wizard.look_again()

    def on_screen_suspend(self) -> None:
        self._away = True
        self._look_now()

    def own_write(self, path: Path) -> None:
        """A caption was written here: no other program did that."""
        self._written.add(path)
        file = path.with_suffix(self.extension)
        if file in self._stamps:
            self._stamps[file] = stamp_of(file)


def _count_all(attention: Attention, counter: Counter) -> None:
    """Count the tokens of all captions; the keys come first, so it rests in between."""
    with contextlib.suppress(Exception):  # no vocabulary, no figures: a broken library is no reason to end the app
        counter.load()
        for number, path in enumerate(attention.uncounted()):
            attention.tokens(path)
            if number % COUNTED_AT_ONCE == 0:
                time.sleep(REST_SECONDS)
