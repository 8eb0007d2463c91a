"""Captions: what each picture shows, in words that are saved by themselves; one by one, or many at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from engine.plan.errors import plural
from engine.plan.spelling import available
from lora_tui.aside import aside, or_error
from lora_tui.caption_desk import Filter
from lora_tui.screens.caption_ask import Asked
from lora_tui.screens.caption_changes import ChangesPane
from lora_tui.screens.caption_chips import CaptionChips
from lora_tui.screens.caption_many import Tell
from lora_tui.screens.caption_tags import TagsPane
from lora_tui.screens.list_page import LARGE_KEY
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing
from lora_tui.trained_words import Draw, Draws
from lora_tui.widgets.hints import Hint
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.pane import Pane


class CaptionsPage(CaptionChips):
    """A row for each training picture, its caption edited below. Every change is kept in a backup first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "edit", "edit", id="edit", tooltip="Edit this caption; Enter saves it and goes to the next."),
        Binding("tab", "pick_word", "a word", id="pick", tooltip="Edit this caption, at a word picked by a letter."),
        Binding("m", "missing", "next to mend", id="missing", tooltip="The next that needs attention, and why."),
        Binding("c", "captioning", "automatic", id="captioning", tooltip="Have captions written by a captioner."),
        Binding("f", "filter", "filter", id="filter", tooltip="Only the captions in which some words stand."),
        Binding("r", "replace", "replace", id="replace", tooltip="Find and replace; every change is shown first."),
        Binding(
            "v", "trained", "as trained", id="trained", tooltip="What is trained for this picture; again: once more."
        ),
        Binding("t", "chips", "tags", id="chips", tooltip="The tags of this caption, to move, remove and add."),
        Binding("space", "mark", "mark", id="mark", tooltip="Mark pictures; what is done to many is done to those."),
        Binding("o", "operations", "many at once", id="many", tooltip="Prefix, suffix, sorting and more, for many."),
        Binding("l", "tags", "all tags", id="tags", tooltip="All tags with how often each is used."),
        Binding(
            "a",
            "attention",
            "only to mend",
            id="attention",
            tooltip="Only those that need attention; again: those equal to another, then all.",
        ),
        Binding("A", "mark_all", "mark all", id="mark_all", tooltip="Mark all that are shown, or none of them."),
        Binding("u", "undo", "undo", show=False, id="undo", tooltip="Take back what was done to captions last."),
        Binding("y", "redo", "redo", show=False, id="redo", tooltip="Do again what was taken back."),
        Binding("s", "spelling", "spelling", id="spelling", tooltip="Mark words that no dictionary knows, or not."),
        LARGE_KEY,
    ]

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._draws: Draws | None = None
        self.drawn = 0  # which draw of what is trained is shown in the caption's place; 0 for the caption

    def offered(self, action: str) -> bool:
        if action in ("edit", "pick", "missing", "filter", "replace", "trained", "chips", "mark", "many", "large"):
            return bool(self.desk.entries)
        return super().offered(action)

    def label(self, binding: Binding) -> str:
        if binding.id == "home" and self._narrowed:
            return "show all"
        return super().label(binding)

    def hints(self) -> list[Hint]:
        """Of a list in place of the pictures its own keys come first."""
        focused = self.focused
        if self.asked is not None and self.asked.tab is None:
            return [hint for hint in super().hints() if hint.action != "tab"]
        if not isinstance(focused, Pane) and focused is not self.chips:
            return super().hints()
        return [self._hint(binding) for binding in self._own_keys()]

    def explained(self) -> list[tuple[str, str, str]]:
        own = {binding.tooltip for binding in self._own_keys()}
        return sorted(super().explained(), key=lambda row: row[2] not in own)

    def _own_keys(self) -> list[Binding]:
        """Those of the list that is shown in place of the pictures."""
        focused = self.focused
        if focused is None or not (isinstance(focused, Pane) or focused is self.chips):
            return []
        return [binding for binding in type(focused).BINDINGS if isinstance(binding, Binding) and binding.id]

    def sentence(self, standing: Standing) -> Says:
        if self.chips_shown:
            return "ok", "Space takes a tag up, the arrow keys carry it, Space puts it down; all is saved by itself."
        if isinstance(self.pane, TagsPane):
            return self.tags_told(self.pane)
        if isinstance(self.pane, ChangesPane):
            return self.changes_told(self.pane)
        return super().sentence(standing)

    def look_at_files(self) -> None:
        if not self._making:  # what is being written just now is no other program's
            super().look_at_files()

    # ------------------------------------------------------------------------------------------------------- filters
    @property
    def _narrowed(self) -> bool:
        return bool(self.desk.filter or self.desk.marked or self.drawn)

    def action_home(self) -> None:
        """Out of what was narrowed down first; then to the list of projects."""
        self._news = None
        if self.drawn:
            self.drawn = 0
            self.show_all()
        elif self.desk.filter:
            self.show_filtered(Filter())
        elif self.desk.marked:
            self.desk.marked.clear()
            self.show_all()
        else:
            super().action_home()

    def action_filter(self) -> None:
        if not self.put_down():
            return
        before = self.desk.filter

        def live(words: str) -> None:
            self.show_filtered(Filter(words, before.attention, before.tag, before.equal))
            self._news = (
                "ok",
                f"{len(self.shown):,} of {len(self.desk.entries):,}. Enter goes to them, Esc shows all.",
            )

        def done(words: str) -> None:
            live(words)
            self._news = None
            self.show_all()

        def attention() -> None:
            nonlocal before
            before = Filter(before.words, not before.attention, before.tag)  # equal ones are no more than a remark
            live(self.ask_row.value)
            self.show_status()

        self.ask(
            Asked(
                "Filter",
                done,
                lambda: self.show_filtered(Filter()),
                says="Names and captions in which all these words stand. Tab: only those that need attention.",
                takes="go to them",
                value=before.words,
                live=live,
                tab=("only to mend", attention),
                arrow=self.listing.move,
            )
        )

    def action_captioning(self) -> None:
        from lora_tui.screens.captioning import CaptioningScreen

        if self.put_down():
            self.app.push_screen(CaptioningScreen(self.pages))

    # ----------------------------------------------------------------------------------------------- what is trained
    def action_trained(self) -> None:
        """What is trained for this picture; each time the next draw."""
        if not self.put_down():
            return
        self.drawn += 1
        draw = self._draw()
        if draw is None:
            self.drawn = 0
            self.say("!", "What is trained is known once the pictures have been looked at.")
            return
        self.show_all()
        self.say("ok", f"{draw.told}  {self.key('trained')} shows the next.")

    def _draw(self) -> Draw | None:
        survey, entry = self.wizard.survey, self.here
        if survey is None or survey.settings is None or survey.dataset is None or entry is None or not self.drawn:
            return None
        if isinstance(self.pane, TagsPane):  # what is seen is the picture of a tag
            return None
        if self._draws is None or self._draws.survey is not survey:
            self._draws = Draws(survey, survey.settings, survey.dataset)
        return self._draws.draw(entry, self.desk[entry.path], self.drawn)

    def shown_text(self) -> str:
        draw = self._draw()
        return draw.text if draw is not None else super().shown_text()

    def instead(self) -> str:
        return "(no words at all)" if self._draw() is not None else super().instead()

    def on_listing_moved(self, event: Listing.Moved) -> None:
        self.drawn = 0

    # ------------------------------------------------------------------------------------------------------ spelling
    def action_spelling(self) -> None:
        """Mark words that no dictionary knows, or no more."""
        if not self.put_down():
            return
        if self.help.spelling:
            self.help.spelling = False
            self.show_all()
            self.say("ok", "Spelling is not checked any more.")
        elif missing := available():
            self.say("!", f"{missing.message} {missing.hint}")
        else:
            known = self.subjects.all
            self.help.spell([word for subject in known for word in (subject.trigger, subject.class_name)])
            aside(self._misspelt, self._spelling_ready)
            self.say("ok", "The dictionary is being read…")

    def _misspelt(self) -> int:
        """How many captions have words that no dictionary knows; for a thread."""
        self.help.wait_for_spelling()
        return sum(bool(self.help.odd(text or "")) for text in self.desk.of(self.desk.entries).values())

    def _spelling_ready(self, captions: int) -> None:
        self.show_all()
        where = f"{plural(captions, 'caption')} {'has' if captions == 1 else 'have'}" if captions else "No caption has"
        more = "; they are underlined, and in the editor Tab takes what may be meant." if captions else "."
        self.say("ok", f"{where} words that no dictionary knows{more}")

    # ---------------------------------------------------------------------------------------------------- undo, redo
    def action_undo(self) -> None:
        """What was done to captions first, then the project as on every step."""
        self._with_history(self._undo)

    def action_redo(self) -> None:
        self._with_history(self._redo)

    def _with_history(self, then: Callable[[], None]) -> None:
        """Once all is known that was done to captions: a captioning job writes them in a program of its own."""
        if not self.history_ready() or not self.save():
            return
        if self.history.behind:
            aside(lambda: or_error(self.history.refresh, "What was done before could not be read"), lambda _: then())
        else:
            then()

    def _undo(self) -> None:
        if self.history.undo_label:
            self._work(self.history.undo, "Being taken back")
        else:
            super().action_undo()

    def take_back(self, tell: Tell, otherwise: Callable[[], None]) -> None:
        """The same for a screen over this one. tell: there it is said. otherwise: nothing was done to captions."""

        def undo() -> None:
            if self.history.undo_label:
                self._work(self.history.undo, "Being taken back", tell)
            else:
                otherwise()

        self._with_history(undo)

    def _redo(self) -> None:
        if self.history.redo_label:
            self._work(self.history.redo, "Being done again")
        else:
            self.say("ok", "There is nothing to do again.")
