"""One caption at a time: typed, saved by itself, and told of: how long it is for CLIP, what is odd about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.binding import Binding
from textual.widgets import Input

from engine.plan.dataset import Picture as Entry
from engine.plan.errors import inert
from lora_tui.caption_help import Suggestion
from lora_tui.screens.caption_mending import CaptionMending
from lora_tui.screens.caption_open import UNSAVED
from lora_tui.widgets.caption_input import CaptionInput
from lora_tui.widgets.form import Left, Taken
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import ACCENT, BAD, DIM, WARN, Part, line


class CaptionEditor(CaptionMending):
    """The caption of the chosen picture stands below the list, and is edited there."""

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._looked_for_unsaved = False

    @property
    def editor(self) -> CaptionInput:
        return self.query_one(CaptionInput)

    # ------------------------------------------------------------------------------------------------------- showing
    def update(self) -> None:
        super().update()
        self.show_caption()
        if self.shown and not self._looked_for_unsaved:
            self._looked_for_unsaved = True
            self.call_after_refresh(self._go_on_typing)

    def _go_on_typing(self) -> None:
        """Open the caption again that could not be saved when the app was left, with what was typed."""
        if self._open is not None or not self.is_current:
            self._looked_for_unsaved = False  # another time
            return
        kept = self.draft.beside.remembered(UNSAVED)
        picture, text = kept.get("picture"), kept.get("text")
        if not isinstance(picture, str) or not isinstance(text, str):
            return
        self.go_to_place(picture)
        here = self.here
        if here is not None and self.draft.project.relative(here.path) == picture and self._edit():
            self.editor.value = text
            self._unsaved = True
            self.say("!", "This could not be saved when it was typed: Enter or Esc saves it now.")

    def show_caption(self) -> None:
        """The caption of the picture that is seen, and what there is to say of it."""
        if self._open is not None:
            self.editor.mark(self.help.cut(self._typed), self.help.odd(self._typed))
        else:
            text = self.shown_text()
            self.editor.show_text(text, self.instead(), self.help.cut(text), self.help.odd(text))
        self.query_one("#about", Lines).show(self.about())

    def shown_text(self) -> str:
        """What stands in the editor's place while nothing is typed."""
        seen = self.seen
        return self.desk[seen.path] if seen is not None else ""

    def instead(self) -> str:
        """What stands there where the caption is empty."""
        seen = self.seen
        if seen is None and not self._listed:
            return ""  # which is said above
        if seen is None:
            return "There are no pictures yet; they are the second step." if not self.desk.entries else "None is shown."
        if problem := self.desk.problem(seen.path):
            more = " Opening it offers ways to read it." if problem == "not-utf8" else ""
            return f"What is in its file cannot be shown.{more}"
        words = seen.caption or "nothing"
        return f'Without a caption the words of its folder are learnt: "{inert(words)}".'

    def about(self) -> list[Text]:
        """Always as many lines: what is above them stays where it is."""
        entry = self._open or self.seen
        if entry is None:
            return [Text(), Text()]
        text = self._typed if self._open is not None else self.shown_text()
        rows = [self._first_about(entry, text)]
        suggestion = self.suggestion() if self._open is not None else None
        if suggestion is not None:
            parts: list[Part] = [(" Tab ", ACCENT + BAD.without_color), (inert(suggestion.text, 60), ACCENT)]
            parts += [(f"  also {', '.join(inert(other, 30) for other in suggestion.others)}", DIM)] * bool(
                suggestion.others
            )
            rows.append(line(*parts))
            rows.append(self.facts(entry))
        else:
            rows += [self.facts(entry), self._advice(entry)]
        return rows[: 3 if self.has_class("-roomy") else 2]

    def _first_about(self, entry: Entry, text: str) -> Text:
        parts: list[Part] = [" "]
        words, over = self.help.tokens_told(text) if text else ("", False)
        if words:
            parts.append((f"{words}  ", BAD if over else DIM))
        if reasons := [reason for reason in self.desk.reasons(entry.path) if not (over and reason.code == "too-long")]:
            graver = self.desk.wants(entry.path) or (self._open is not None and self._further)
            parts.append((" ".join(reason.words for reason in reasons[:3]), WARN if graver else DIM))
        return line(*parts)

    def facts(self, entry: Entry) -> Text:
        """Which picture it is: all there is to see of it where pictures are not shown."""
        place = inert(self.draft.project.relative(entry.path), 200)
        size = f"{entry.width} × {entry.height}, " if entry.width else ""  # not measured yet
        return line((f" {place}  {size}seen {_times(entry.repeats)} an epoch", DIM))

    def _advice(self, entry: Entry) -> Text:
        trigger = self.subjects.of_picture(entry.path).trigger
        begin = f"Behind {inert(trigger)} say" if trigger else "Say"
        return line((f" {begin} what is not the subject itself: clothes, place, light.", DIM))

    def suggestion(self) -> Suggestion | None:
        """What Tab would put in where the cursor stands."""
        return self.help.suggestion(self._typed, self.editor.cursor_position, self._touched)

    def label(self, binding: Binding) -> str:
        if self.asked is not None and binding.id in ("submit", "give_up", "complete"):
            tab = self.asked.tab[0] if self.asked.tab is not None else ""
            return {"submit": self.asked.takes, "give_up": "leave it", "complete": tab}[binding.id]
        if binding.id == "complete" and self._open is not None:
            return "take it" if self.suggestion() is not None else "pick a word"
        return {"submit": "save, next", "give_up": "save, stop"}.get(binding.id or "", super().label(binding))

    @property
    def while_typing(self) -> str:
        if self.asked is not None:
            return self.asked.says
        if self.editor.picking:
            return "Press the letter on a word, then type what takes its place. Esc: none."
        return "Enter saves and goes to the next, Tab picks a word, Esc saves and stops."

    # ----------------------------------------------------------------------------------------------------- the editor
    def action_edit(self) -> None:
        self._news = None
        self._edit()
        self.offer_where_not_utf8(self.action_edit)

    def offer_where_not_utf8(self, then: Callable[[], None]) -> None:
        """Where the chosen caption could not be opened as it is not UTF-8, ask how it is to be read."""
        here = self.here
        if self._open is None and here is not None and self.desk.problem(here.path) == "not-utf8":
            self._news = None
            self.show_status()
            self.offer_readings(here, then)

    def _edit(self) -> bool:
        """Open the chosen caption; whether that can be done."""
        entry = self.here
        if entry is None or not self.begin(entry):
            return False
        editor = self.editor
        with editor.prevent(Input.Changed):
            editor.value = self._typed = self._typed or self._begins
        editor.cursor_position = len(editor.value)
        editor.focus()
        self.show_all()
        return True

    def action_pick_word(self) -> None:
        """Open the caption with a letter on each word."""
        if not self.put_down():
            return
        self._news = None
        self._edit()
        self.offer_where_not_utf8(self.action_pick_word)
        if self._open is not None and self._typed:
            self.editor.action_pick()

    def show_followed(self) -> None:
        editor, place = self.editor, self.editor.cursor_position
        with editor.prevent(Input.Changed):
            editor.value = self._typed = self._typed or self._begins
        editor.cursor_position = min(place, len(editor.value))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input is self.ask_row:
            self.typed_in_ask(event.value)
        else:
            self.type_text(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input is self.ask_row:
            self.take_asked(event.value)
            return
        self._news = None
        if not self.save():
            return
        there, passed = self.next_to_open(1)
        if there is not None:
            self._go_on(there, passed)
        else:
            self.close()
            last = "That was the last one. All are saved."
            self.say("!" if passed else "ok", f"{self.passed_over(passed)} {last}".strip())

    def on_left(self, event: Left) -> None:
        event.stop()
        if self.asked is not None:
            self.leave_asked()
            return
        if not self.save():
            return
        self.close()
        if self._written:
            self.look_soon()

    def on_taken(self, event: Taken) -> None:
        event.stop()
        if self.asked is not None:
            if self.asked.arrow is not None:
                self.asked.arrow(event.by)
            return
        self._news = None
        if self.save():
            there, passed = self.next_to_open(event.by)
            self._go_on(self.listing.here if there is None else there, passed)

    def _go_on(self, there: int, passed: Sequence[Entry]) -> None:
        """Edit the caption at this place; the editor keeps the focus, so that no more is painted than what differs."""
        self._put_away()
        self.listing.choose(there)
        self._edit()  # what was said of the one before stays
        if self._open is None:  # it cannot be edited
            self.close()
        if passed:
            self.say("!", self.passed_over(passed))

    def on_listing_moved(self, event: Listing.Moved) -> None:
        here = self.here
        if self._open is not None and (here is None or here.path != self._open.path):
            if self.save():
                self.close()
            else:
                self.go_to_place(self.draft.project.relative(self._open.path))

    def on_caption_input_suggested(self, event: CaptionInput.Suggested) -> None:
        suggestion = self.suggestion() if not self.editor.picking else None
        if suggestion is None:
            self.editor.action_pick()
        else:
            self.editor.replace(suggestion.text, *suggestion.span)

    def on_caption_input_picking(self, event: CaptionInput.Picking) -> None:
        self.show_status()

    def on_unmount(self) -> None:
        self.save()  # the app is being closed, or its terminal is gone


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")
