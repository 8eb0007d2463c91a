"""Many captions at once: what is to be done is asked for, every change of it is shown, and then it is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.text import Text

from engine.plan import caption_edits, tags
from engine.plan.caption_edits import Change
from engine.plan.caption_history import Outcome
from engine.plan.errors import UserError, inert, plural
from lora_tui.aside import aside, or_error
from lora_tui.caption_desk import Scope
from lora_tui.progress import amount
from lora_tui.screens.caption_ask import Asked
from lora_tui.screens.caption_changes import ChangesPane
from lora_tui.screens.caption_editor import CaptionEditor
from lora_tui.screens.caption_operations import Operation, OperationsPane
from lora_tui.screens.caption_tags import TagsPane
from lora_tui.screens.sentences import Says
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, WARN, line
from lora_tui.widgets.pane import Pane
from lora_tui.widgets.picture import Picture

Work = Callable[[Callable[[int, int], None]], Outcome | None]
Tell = Callable[[str, str], None]  # as `say`
AT_ONCE = 500  # captions that are changed within a key's time; more are worked out in a thread
OF_PICTURES = frozenset(
    ("edit", "pick_word", "missing", "filter", "trained", "chips", "mark", "mark_all", "attention", "large")
)
COMPARED_CELLS = 60  # of a caption before and after, from soon before the change on
SAID_SECONDS = 0.04  # what is over by then needs no word
TOLD_SECONDS = 0.25  # between two reports of how far it is


class ManyCaptions(CaptionEditor):
    """Lists that take the place of the pictures' one: what can be done, what it would change, and all the tags."""

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._making = False  # many captions are being written, in a thread
        self._waiting: list[tuple[Work, str, Tell | None]] = []  # what is done after that
        self.pane: Pane | None = None  # the list that is shown in place of the pictures
        self._from: Pane | None = None  # the list that the changes were asked for from, to go back to
        self._what = ""  # what the changes that are shown are, in words

    # --------------------------------------------------------------------------------------------------------- panes
    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is done to pictures and their list is not done while another list is shown in its place."""
        return self.pane is None or action not in OF_PICTURES

    def show_pane(self, wanted: Pane | None) -> None:
        """Show a list in place of the pictures, or the pictures again."""
        changes = isinstance(wanted, ChangesPane)
        if not changes:
            self._from = wanted if isinstance(wanted, TagsPane) else None
        with self.app.batch_update():
            self._show_only(wanted, changes)
        self.show_status()

    def _show_only(self, wanted: Pane | None, changes: bool) -> None:
        self.pane = wanted
        for pane in self.query(Pane):
            if pane.has_class("-on") != (pane is wanted):
                pane.set_class(pane is wanted, "-on")
        self.listing.display = wanted is None
        self.editor.display = not changes
        self.query_one("#compare", Lines).set_class(changes, "-on")
        self.set_focus(wanted)

    def on_pane_chosen(self, event: Pane.Chosen) -> None:
        if isinstance(event.pane, ChangesPane):
            self._show_change(event.pane)
            self.show_status()

    async def on_pane_wanted(self, event: Pane.Wanted) -> None:
        await self.run_action(f"pane('{event.what}')")

    def action_pane(self, what: str) -> None:
        """What a key of the pane asks for."""
        pane = self.pane
        if what == "leave":
            self._news = None
            self.show_pane(self._from if isinstance(pane, ChangesPane) else None)
        elif isinstance(pane, OperationsPane):
            self._begin_operation(pane.chosen)
        elif isinstance(pane, ChangesPane):
            self._make(pane)
        elif isinstance(pane, TagsPane):
            self.tag_wanted(pane, what)

    def tag_wanted(self, pane: TagsPane, what: str) -> None:
        """What a key of the list of tags asks for."""
        raise NotImplementedError

    # ---------------------------------------------------------------------------------------------------- operations
    def action_operations(self) -> None:
        """The list of what can be done to many captions."""
        if not self.put_down():
            return
        pane = self.query_one(OperationsPane)
        pane.fill()
        self.show_pane(pane)
        self.say("ok", f"What is to be done to {self.desk.scope.told}? Every change is shown before it is made.")

    def ask_for_find(self, text: str = "") -> None:
        """Find and replace: ask what is to be found, beginning with `text`."""
        raise NotImplementedError

    def _begin_operation(self, operation: Operation) -> None:
        if operation.name == "replace":
            self.ask_for_find()
        elif operation.asks:
            begin = self._trigger_in_front() if operation.name == "prefix" else ""
            self._ask_words(operation, begin)
        else:
            self.preview(operation.title, self._plain_operation(operation.name))

    def _trigger_in_front(self) -> str:
        """The trigger word of those that are to be changed; "" where they do not have one and the same."""
        triggers = self.subjects.triggers_of(entry.path for entry in self.desk.scope.entries)
        return tags.join((triggers[0], ""), self.desk.separator) if len(triggers) == 1 else ""

    def _plain_operation(self, name: str) -> caption_edits.Operation:
        """One for which nothing has to be typed."""
        separator = self.desk.separator
        if name == "sort":
            return caption_edits.sorted_tags(self.subjects.own.trigger, separator)
        return caption_edits.trimmed(separator) if name == "trim" else caption_edits.without_repeated_tags(separator)

    def _ask_words(self, operation: Operation, begin: str) -> None:
        make: Callable[[str], caption_edits.Operation] = {
            "prefix": caption_edits.prefixed,
            "suffix": caption_edits.suffixed,
        }.get(operation.name, lambda tag: caption_edits.without_tag(tag, self.desk.separator))
        scope = self.desk.scope

        def live(text: str) -> None:
            if text.strip() and len(scope.entries) <= AT_ONCE:
                count = len(caption_edits.changes(self.desk.of(scope.entries), make(text)))
                self._news = ("ok", f"Changes {plural(count, 'caption')} of {scope.told}. Enter shows them.")
            else:
                self._news = None

        def done(text: str) -> None:
            if text.strip():
                self.preview(f'{operation.title.rstrip("…")} "{text.strip()}"', make(text))
            else:
                self.show_pane(None)

        self.ask(
            Asked(
                operation.asks[0],
                done,
                lambda: self.show_pane(None),
                says=self._enter_shows(),
                takes="show changes",
                value=begin,
                live=live,
            )
        )

    def _enter_shows(self) -> str:
        return f"For {self.desk.scope.told}. Enter shows every change before it is made; Esc leaves it."

    # ------------------------------------------------------------------------------------------------------- preview
    def preview(
        self, what: str, operation: caption_edits.Operation, scope: Scope | None = None, sure: bool = False
    ) -> None:
        """Show every change that an operation would make, to be made or left. sure: it changes each caption of the
        scope, so that those in sight are shown before all are known."""
        meant = scope or self.desk.scope
        captions, self._what = self.desk.of(meant.entries), what

        def work() -> list[Change] | UserError:
            return or_error(lambda: caption_edits.changes(captions, operation), "The changes could not be worked out")

        if len(captions) <= AT_ONCE:
            self._preview(work(), meant.told)
        elif sure:
            self._preview_soon(lambda pane: pane.fill_soon(captions, operation), work, meant)
        else:
            there = False

            def shown(found: list[Change] | UserError) -> None:
                nonlocal there
                there = True
                self._preview(found, meant.told)

            self.set_timer(SAID_SECONDS, lambda: None if there else self.say("ok", "The changes are being worked out…"))
            aside(work, shown)

    def _preview_soon(
        self, fill: Callable[[ChangesPane], object], work: Callable[[], list[Change] | UserError], scope: Scope
    ) -> None:
        """The changes in sight; all of them once they are known, unless something else is shown by then."""
        self._show_changes(fill)
        pane = self.query_one(ChangesPane)
        soon = pane.changes

        def known(found: list[Change] | UserError) -> None:
            if self.pane is not pane or pane.changes is not soon:
                return
            if isinstance(found, list) and len(found) == len(soon):
                pane.settle(found)
            else:
                self._preview(found, scope.told)

        self.call_after_refresh(aside, work, known)  # what is in sight is painted first

    def offer_changes(self, what: str, changes: list[Change], of: str) -> None:
        if self.is_current and self.pane is None and self._open is None:  # else something else was begun meanwhile
            self._what, self._from = what, None
            self._preview(changes, of)

    def _preview(self, found: list[Change] | UserError, told: str) -> None:
        if isinstance(found, UserError) or not found:
            self.show_pane(self._from)
            if isinstance(found, UserError):
                self.say("x", str(found))
            else:
                self.say("ok", f"Nothing to change in {told}.")
            return
        self._news = None
        self._show_changes(lambda pane: pane.fill(found))

    def changes_told(self, pane: ChangesPane) -> Says:
        """What the changes that are shown are, and what can be done with them."""
        many = plural(len(pane.changes) - len(pane.without), "change")
        return "!", f"{inert(self._what, 60)}: {many}. Enter makes them, Esc leaves all."

    def _show_changes(self, fill: Callable[[ChangesPane], object]) -> None:
        pane = self.query_one(ChangesPane)
        with self.app.batch_update():
            fill(pane)
            self.show_pane(pane)
            self._show_change(pane)

    def about(self) -> list[Text]:
        """Of the picture whose change is shown, where changes are."""
        pane = self.pane
        if not isinstance(pane, ChangesPane) or pane.chosen is None:
            return super().about()
        place = inert(self.draft.project.relative(pane.chosen.picture), 200)
        several = self.desk.further(pane.chosen.picture) or pane.chosen.picture in self._several
        further = " Its file has more lines; the change drops them." if several else ""
        return [line((f" {place}", DIM)), line((further, WARN))]

    def _show_change(self, pane: ChangesPane) -> None:
        self.query_one("#compare", Lines).show(list(pane.both(min(self.room - 12, COMPARED_CELLS))))
        self.query_one("#about", Lines).show(self.about())
        if pane.chosen is not None and self.query_one("#preview").display:
            self.query_one("#picture", Picture).show_path(pane.chosen.picture)

    def _make(self, pane: ChangesPane) -> None:
        changes = pane.wanted
        self.show_pane(self._from)
        self.write_many(self._what, changes)

    # ------------------------------------------------------------------------------------------------------- writing
    def write_many(self, label: str, changes: Sequence[Change]) -> None:
        """Make the changes, in a thread: there may be thousands."""
        if changes:
            self._work(lambda progress: self.history.apply(label, changes, progress), "Captions are being written")

    def _work(self, work: Work, doing: str, tell: Tell | None = None) -> None:
        """Let the history do something in a thread, and show what came of it. tell: instead of saying it here."""
        if not self.history_ready():
            return
        if self._making:
            self._waiting.append((work, doing, tell))
            return
        self._making, say = True, tell or self.say
        began = told = time.monotonic()
        show = self.app.call_from_thread

        def progress(done: int, total: int) -> None:
            nonlocal told
            if (now := time.monotonic()) - told > TOLD_SECONDS:
                told = now
                show(say, "ok", f"{doing}: {amount(done, total, seconds=now - began)}.")

        def late() -> None:
            if self._making and told == began:
                say("ok", f"{doing}…")

        self.set_timer(SAID_SECONDS, late)
        aside(
            lambda: or_error(lambda: work(progress), "The captions could not be written"),
            lambda outcome: self._worked(outcome, say),
        )

    def _worked(self, outcome: Outcome | UserError | None, say: Tell) -> None:
        self._making = False
        if self._waiting:
            self._work(*self._waiting.pop(0))
        if isinstance(outcome, UserError):
            say("x", str(outcome))
            return
        if outcome is None:
            return
        self.read_anew(outcome.pictures)
        if isinstance(pane := self.pane, TagsPane):
            pane.fill(self.desk.frequencies, pane.words)
        self.look_soon()
        if len(outcome.pictures) == 1:
            self.go_to_place(self.draft.project.relative(outcome.pictures[0]))
        self.follow_own()
        self.show_all()
        say("!" if outcome.conflicts else "ok", self._told(outcome))

    def _told(self, outcome: Outcome) -> str:
        begin = {"undone": "Taken back", "redone": "Done again"}.get(outcome.kind)
        if begin is not None and not outcome.conflicts:
            many = f" ({plural(len(outcome.pictures), 'caption')})" if len(outcome.pictures) != 1 else ""
            return f"{begin}: {outcome.label}{many}."
        return outcome.sentence
