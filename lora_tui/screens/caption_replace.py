"""Find and replace in captions: what is found is told while it is typed, every change is shown before it is made."""

from __future__ import annotations

from collections.abc import Callable

from engine.plan.errors import UserError, inert, plural
from lora_tui.aside import aside, or_error
from lora_tui.caption_desk import Scope
from lora_tui.caption_finding import WAYS, Way, finding, replacing
from lora_tui.screens.caption_ask import Asked
from lora_tui.screens.caption_changes import ChangesPane
from lora_tui.screens.caption_many import ManyCaptions
from lora_tui.widgets.pane import Pane


class ReplacingCaptions(ManyCaptions):
    """A text, whole words or a regular expression, in the captions that are meant."""

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._way: Way = "text"  # how it is looked for
        self._found: tuple[tuple[str, Way], Scope, Scope] | None = None  # what was looked for last, where, what had it
        self._wanted_find: tuple[str, Way] = ("", "text")  # what is looked for now, or was last

    def show_pane(self, wanted: Pane | None) -> None:
        self._wanted_find = ("", "text")  # an answer that still comes is not waited for any more
        super().show_pane(wanted)

    def action_replace(self) -> None:
        if self.put_down():
            self.ask_for_find()

    def ask_for_find(self, text: str = "") -> None:
        """Ask what is to be found; how often it is there is told as it is typed."""
        self._found = None

        def live(words: str) -> None:
            if words:
                self._look_for(words, told)
            else:
                self._news = None

        def told(found: Scope | UserError) -> None:
            if self.asked is None:
                return
            if isinstance(found, UserError):
                self._news = ("!", str(found))
            else:
                many = plural(len(found.entries), "caption")
                self._news = ("ok", f"In {many} of {self.desk.scope.told}. {self._tab_says}")
            self.show_status()

        def other_way() -> None:
            ways: list[Way] = list(WAYS)
            self._way = ways[(ways.index(self._way) + 1) % len(ways)]
            self.relabel(self._find_label)
            if self.asked is not None:
                self.asked.says = self._find_says
            live(self.ask_row.value)
            self.show_status()

        def done(words: str) -> None:
            if not words:
                self.show_pane(None)
                return
            self._look_for(words, lambda found: taken(words, found))

        def taken(words: str, found: Scope | UserError) -> None:
            if isinstance(found, UserError):
                self.ask_for_find(words)
                self.say("x", str(found))
            elif found.entries:
                self._ask_for_replacement(words, found)
            else:
                self.ask_for_find(words)
                self.say("!", f'"{inert(words, 60)}" stands nowhere in {found.told}.')

        self.ask(
            Asked(
                self._find_label,
                done,
                lambda: self.show_pane(None),
                says=self._find_says,
                takes="next",
                value=text,
                live=live,
                tab=("another way", other_way),
            )
        )

    def _look_for(self, find: str, then: Callable[[Scope | UserError], None]) -> None:
        """Which captions it stands in, of those that are meant. A regular expression may take half a second: it is
        looked for in a thread, and only the last one that was asked for is told."""
        wanted, scope = self._wanted_find, _ = (find, self._way), self.desk.scope
        if self._found is not None and self._found[:2] == (wanted, scope):
            then(self._found[2])
            return

        def work() -> Scope | UserError:
            return or_error(lambda: self.desk.matching(finding(*wanted), scope), "It could not be looked for")

        def found(answer: Scope | UserError) -> None:
            if self._wanted_find == wanted:
                self._found = None if isinstance(answer, UserError) else (wanted, scope, answer)
                then(answer)

        if self._way == "pattern":
            aside(work, found)
        else:
            found(work())

    @property
    def _find_label(self) -> str:
        return f"Find {WAYS[self._way]}"

    @property
    def _find_says(self) -> str:
        return f"In {self.desk.scope.told}. {self._tab_says}"

    @property
    def _tab_says(self) -> str:
        ways = list(WAYS)
        return f"Tab looks for {WAYS[ways[(ways.index(self._way) + 1) % len(ways)]]}."

    def _ask_for_replacement(self, find: str, found: Scope) -> None:
        """Ask what takes its place; the changes are shown as it is typed, made only for the rows in sight."""
        pane = self.query_one(ChangesPane)

        def live(by: str) -> None:
            try:
                wrong = pane.fill_soon(self.desk.of(found.entries), replacing(find, by, self._way))
                self._news = ("!", str(wrong)) if wrong is not None else None
            except UserError as error:
                self._news = ("!", str(error))
            self._show_change(pane)

        def done(by: str) -> None:
            try:
                self.preview(f'"{find}" becomes "{by}"', replacing(find, by, self._way), found)
            except UserError as error:
                self._ask_for_replacement(find, found)
                self.say("x", str(error))

        asked = Asked(
            f'Replace "{inert(find, 20)}" by',
            done,
            lambda: self.show_pane(None),
            says="The changes are shown as you type; Enter goes to them, Esc leaves all as it is.",
            takes="go to changes",
            live=live,
            arrow=pane.move,
        )
        with self.app.batch_update():  # painted once: each time counts over a slow line
            self.show_pane(pane)
            live("")
            self.ask(asked)
