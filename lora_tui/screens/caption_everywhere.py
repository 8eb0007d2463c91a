"""Tags in all captions: their list in place of the pictures, and what its keys do."""

from __future__ import annotations

from collections.abc import Sequence

from engine.plan import caption_edits
from engine.plan.caption_edits import Change
from engine.plan.dataset import Picture as Entry
from engine.plan.errors import inert, plural
from lora_tui.caption_desk import Filter, Scope
from lora_tui.screens.caption_ask import Asked
from lora_tui.screens.caption_changes import ChangesPane
from lora_tui.screens.caption_replace import ReplacingCaptions
from lora_tui.screens.caption_tags import TagsPane
from lora_tui.screens.sentences import Says
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import ACCENT, DIM, STRONG, Part, line
from lora_tui.widgets.pane import Pane


class TagsEverywhere(ReplacingCaptions):
    """What is done to a tag is done in all captions, whatever is shown or marked; every change is shown first."""

    # ---------------------------------------------------------------------------------------------------------- tags
    def show_pane(self, wanted: Pane | None) -> None:
        super().show_pane(wanted)
        self.show_summary()
        if not isinstance(wanted, ChangesPane):
            self._show_seen()

    @property
    def seen(self) -> Entry | None:
        """While the tags are shown, the first picture that has the chosen one."""
        pane = self.pane
        return self.desk.first_with(pane.chosen) if isinstance(pane, TagsPane) else super().seen

    def _show_seen(self) -> None:
        """Another picture may be seen now, in the same list."""
        self.show_caption()
        self.show_preview()

    def on_pane_chosen(self, event: Pane.Chosen) -> None:
        super().on_pane_chosen(event)
        if isinstance(event.pane, TagsPane):
            self._show_seen()

    def show_summary(self) -> None:
        """How many tags there are, while they are shown."""
        pane = self.pane
        if self.asked is None and isinstance(pane, ChangesPane):  # the line at the bottom says what they are
            self.query_one("#summary", Lines).show([line((f" {plural(len(pane.changes), 'change')}", STRONG))])
            return
        if self.asked is not None or not isinstance(pane, TagsPane):
            super().show_summary()
            return
        parts: list[Part] = [
            (f" {plural(len(pane.tags), 'tag')}", STRONG),
            (f"  in {plural(len(self.desk.entries), 'caption')}", DIM),
        ]
        if pane.words:
            parts.append((f'  with "{inert(pane.words, 40)}"', ACCENT))
        if pane.marked:
            parts.append((f"  {len(pane.marked):,} marked", ACCENT))
        self.query_one("#summary", Lines).show([line(*parts)])

    def tags_told(self, pane: TagsPane) -> Says:
        """What can be done with the tags that are shown or marked."""
        if not pane.tags:
            which = "a tag in which this stands" if pane.words else "a tag yet"
            return "ok", f"No caption has {which}. {self.key('pane_leave')} goes back."
        if not pane.marked:
            return "ok", "What is done to a tag here is done in all captions; every change is shown first."
        if len(pane.marked) == 1:
            return "ok", f"Mark those that mean the same as well; then {self._merge_key} makes them one."
        return (
            "ok",
            f"{self._merge_key} makes one of the {len(pane.marked):,} marked tags; every change is shown first.",
        )

    def action_tags(self) -> None:
        """All the tags, in place of the pictures."""
        if not self.put_down():
            return
        self._news = None
        pane = self.query_one(TagsPane)
        pane.fill(self.desk.frequencies)
        self.show_pane(pane)

    @property
    def _merge_key(self) -> str:
        return self.key("tag_merge")

    def tag_wanted(self, pane: TagsPane, what: str) -> None:
        tag = pane.chosen
        if what == "filter":
            self._ask_for_tags(pane)
        elif what == "marked":
            self._news = None
            self.show_summary()
            self.show_status()
        elif not tag:
            return
        elif what == "take":
            self.show_pane(None)
            self.show_filtered(Filter(tag=tag))
        elif what == "remove":
            self._everywhere(f'Remove "{tag}"', caption_edits.without_tag(tag, self.desk.separator), [tag])
        elif what == "rename":
            self._ask_name(f'Write "{inert(tag, 24)}" as', tag, [tag])
        elif what == "merge":
            tags = pane.to_merge
            if len(tags) < 2:
                self.say("!", "Mark the tags that mean the same with Space first.")
            else:
                self._ask_name(f"Make {plural(len(tags), 'tag')} into", tags[0], tags)

    def _ask_for_tags(self, pane: TagsPane) -> None:
        def narrow(words: str) -> None:
            pane.narrow(self.desk.frequencies, words)
            self._show_seen()

        def back(words: str) -> None:
            narrow(words)
            self.set_focus(pane)

        self.ask(
            Asked(
                "Tags with",
                back,
                lambda: back(""),
                says="The tags in which this stands; Enter goes to them, Esc shows all.",
                takes="go to them",
                live=narrow,
                arrow=pane.move,
            )
        )

    def _ask_name(self, label: str, value: str, olds: Sequence[str]) -> None:
        pane = self.query_one(TagsPane)

        def done(new: str) -> None:
            if new.strip():
                renamed = caption_edits.renamed_tags(olds, new, self.desk.separator)
                self._everywhere(f'{label} "{new.strip()}"', renamed, olds)
            else:
                self.set_focus(pane)

        says = "In all captions; Enter shows every change before it is made."
        left = lambda: self.set_focus(pane)  # noqa: E731
        self.ask(Asked(label, done, left, says=says, takes="show changes", value=value))

    def write_many(self, label: str, changes: Sequence[Change]) -> None:
        self.query_one(TagsPane).marked.clear()  # else what is merged next would take these along
        super().write_many(label, changes)

    def _everywhere(self, what: str, operation: caption_edits.Operation, tags: Sequence[str]) -> None:
        """Tags are changed in all captions that have them, whatever is shown or marked."""
        everything = self.desk.everything
        having = {path for tag in tags for path in self.desk.frequencies.having(tag)}
        entries = tuple(entry for entry in everything.entries if entry.path in having)
        self.preview(what, operation, Scope(entries, everything.told), sure=True)
