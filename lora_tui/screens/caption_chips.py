"""The tags of the chosen caption as chips: carried, removed, written anew, and added; the rest of a tag is offered."""

from __future__ import annotations

from engine.plan import tags
from engine.plan.errors import inert
from lora_tui.caption_chips import TagRow
from lora_tui.screens.caption_ask import Asked
from lora_tui.screens.caption_everywhere import TagsEverywhere
from lora_tui.widgets.chips import Chips


class CaptionChips(TagsEverywhere):
    """While the chips are shown the caption is open as when it is typed: saved soon, and one thing to take back."""

    @property
    def chips(self) -> Chips:
        return self.query_one(Chips)

    @property
    def chips_shown(self) -> bool:
        return self.chips.has_class("-on")

    def action_chips(self) -> None:
        entry = self.here
        if entry is None or not self.begin(entry):
            self.offer_where_not_utf8(self.action_chips)
            return
        self.editor.display = False
        self.chips.add_class("-on")
        self._show_chips()

    @property
    def _tags(self) -> list[str]:
        """Those of the caption that is open."""
        return tags.split(self._typed, self.desk.separator)

    def _show_chips(self) -> None:
        row = TagRow(self._tags, separator=self.desk.separator)
        row.at = len(row.tags)
        self.chips.show_tags(row)
        self.set_focus(self.chips)
        self.call_after_refresh(self.chips.paint)
        self.show_all()

    def follow_own(self) -> None:
        here = self.here
        if self.chips_shown and self._open is not None and here is not None and here.path != self._open.path:
            if not self.save():
                return
            self._open = None  # what was taken back is of another picture, and that is chosen now
            if self.begin(here):
                self._show_chips()
            else:
                self._leave_chips()
        else:
            super().follow_own()

    @property
    def follows(self) -> bool:
        return self.chips_shown or super().follows

    def show_followed(self) -> None:
        if not self.chips_shown:
            super().show_followed()
            return
        self.chips.row.follow(self._tags)
        self.chips.paint()

    def on_chips_wanted(self, event: Chips.Wanted) -> None:
        row = self.chips.row
        self._news = None
        if event.what == "leave":
            self._leave_chips()
        elif event.what == "moved":
            self._tags_changed()
        elif event.what == "remove":
            if row.remove():
                self._tags_changed()
        elif event.what == "replace" and row.chosen:
            self._ask_tag(f'Write "{inert(row.chosen, 24)}" as', row.chosen, replacing=True)
        elif event.what in ("add", "replace"):
            self._ask_tag("Add a tag", "", replacing=False)
        self.chips.paint()
        self.show_status()

    def on_chips_picture(self, event: Chips.Picture) -> None:
        if not self.save():
            return
        there, passed = self.next_to_open(event.by)
        told = self.passed_over(passed)
        if there is None:
            if told:
                self.say("!", told)
            return
        self._open = None
        self.listing.choose(there)
        if (entry := self.here) is not None and self.begin(entry):
            self._show_chips()
        else:
            self._leave_chips()
        if told:
            self.say("!", told)

    def _tags_changed(self) -> None:
        self.type_text(tags.join(self.chips.row.tags, self.desk.separator))

    def _leave_chips(self) -> None:
        if not self.save():
            return
        self.chips.remove_class("-on")
        self.editor.display = True
        self.close()
        if self._written:
            self.look_soon()

    def put_down(self) -> bool:
        if self._open is None:  # also before there are chips: a job that is chosen elsewhere is shown over this page
            return True
        if self.chips_shown:
            self._leave_chips()
        return not self.chips_shown

    def close(self) -> None:
        if self.chips_shown:
            self.chips.remove_class("-on")
            self.editor.display = True
        super().close()

    # -------------------------------------------------------------------------------------------------------- adding
    def _ask_tag(self, label: str, value: str, replacing: bool) -> None:
        """Ask for a tag; adding goes on until nothing is typed."""
        row, chosen = self.chips.row, self.chips.row.chosen

        def offered() -> list[str]:
            begun = self.ask_row.value.rpartition(row.separator)[2].strip()
            return self.help.completed_tag(begun, row.tags) if begun else []

        def live(text: str) -> None:
            found = offered()
            if found:
                others = f"  also {', '.join(inert(tag, 24) for tag in found[1:])}" if found[1:] else ""
                self._news = ("ok", f"Tab: {inert(found[0], 40)}{others}")
            else:
                self._news = None

        def complete() -> None:
            if found := offered():
                before, mark, _ = self.ask_row.value.rpartition(row.separator)
                self.ask_row.value = f"{before}{mark}{' ' if mark.strip() else ''}{found[0]}"
                self.ask_row.cursor_position = len(self.ask_row.value)

        def done(text: str) -> None:
            if text.strip() and not replacing and row.has(text):
                self.set_focus(self.chips)
                self.say("!", f"{inert(text.strip(), 40)} is there already.")
                return
            if text.strip():
                row.put(text, replacing and row.chosen == chosen)  # another program may have taken it away
                self._tags_changed()
            if text.strip() and not replacing:
                self._ask_tag(label, "", replacing)
            else:
                self.set_focus(self.chips)
            self.chips.paint()

        says = "Enter adds it, Tab completes it; Enter alone or Esc ends this."
        self.ask(
            Asked(
                label,
                done,
                lambda: self.set_focus(self.chips),
                says=says,
                takes="write it" if replacing else "add it",
                value=value,
                live=live,
                tab=("complete", complete),
            )
        )
