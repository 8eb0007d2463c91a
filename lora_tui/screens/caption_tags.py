"""All tags of the captions with how often each is used: to look at the pictures of one, to rename, merge, remove it."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.errors import inert
from engine.plan.tags import Frequencies, Synonyms, folded, synonyms
from lora_tui.aside import aside
from lora_tui.screens.list_page import name_cells
from lora_tui.widgets.paint import ACCENT, DIM, PLAIN, WARN, bar, line
from lora_tui.widgets.pane import PANE_KEYS, Pane

TAG_LETTERS = 60
COUNT_CELLS, BAR_CELLS = 6, 10
ALIKE_AFTER_SECONDS = 0.1  # the list is painted first


class TagsPane(Pane):
    """Rows of tags, the most used first. Marked ones are merged into the chosen one, or into one that is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "ask('take')", "its pictures", id="tag_show", tooltip="Show the captions that have this tag."),
        Binding("f", "ask('filter')", "filter", id="tag_filter", tooltip="Only the tags in which this stands."),
        Binding(
            "x", "ask('remove')", "remove", id="tag_remove", tooltip="Remove the tag from all captions; asks first."
        ),
        Binding("e", "ask('rename')", "rename", id="tag_rename", tooltip="Write the tag in another way everywhere."),
        Binding("space", "mark", "mark", id="tag_mark", tooltip="Mark tags that mean the same, to merge them."),
        Binding(
            "g", "ask('merge')", "merge", id="tag_merge", tooltip="Make one of the marked tags, or of its spellings."
        ),
        *PANE_KEYS,
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.tags: list[tuple[str, int]] = []
        self.marked: set[str] = set()
        self.words = ""
        self._alike: dict[str, Synonyms] = {}
        self._counts: Counter[str] = Counter()

    def fill(self, frequencies: Frequencies, words: str = "") -> None:
        """Show the tags in which `words` stand."""
        self.words = words
        wanted = folded(words)
        known = frequencies.most_common()
        self.tags = [(tag, count) for tag, count in known if wanted in folded(tag)] if wanted else known
        self.marked = {tag for tag in self.marked if frequencies[tag]}
        self._counts = Counter(dict(frequencies.counts))
        self.repaint()
        self.set_timer(ALIKE_AFTER_SECONDS, lambda: self._look_for_alike(dict(frequencies.counts)))

    def _look_for_alike(self, counts: dict[str, int]) -> None:
        aside(lambda: synonyms(counts), self._know_alike)

    def _know_alike(self, groups: list[Synonyms]) -> None:
        """Which spellings belong together, found out in a thread: there may be thousands of tags."""
        self._alike = {tag: group for group in groups for tag in group.all}
        self.repaint()

    def narrow(self, frequencies: Frequencies, words: str) -> None:
        """The same while `words` are typed; which spellings belong together has not changed."""
        self.words, wanted = words, folded(words)
        self.tags = [(tag, count) for tag, count in frequencies.most_common() if wanted in folded(tag)]
        self.repaint()

    def repaint(self) -> None:
        self.show_rows(len(self.tags), self._line)

    def _line(self, index: int) -> Text:
        tag, count = self.tags[index]
        most = self.tags[0][1] if not self.words else max(count for _, count in self.tags[:1])
        mark = ("▪", ACCENT) if tag in self.marked else (" ", DIM)
        cells = name_cells(self.room.width)  # the tags stand where the captions do in the list of pictures
        barred = cells > COUNT_CELLS + BAR_CELLS
        row = line(
            (" ", DIM),
            mark,
            (f" {count:>{COUNT_CELLS},} ", DIM),
            *(bar(count, max(most, count), BAR_CELLS) if barred else []),
            " " * (cells - COUNT_CELLS - (BAR_CELLS if barred else 0)),
            (inert(tag, TAG_LETTERS), PLAIN),
        )
        if group := self._alike.get(tag):
            others = [other for other in group.all if other != tag]
            row.append(f"  also {', '.join(inert(other, 24) for other in others[:3])}", WARN)
        return row

    @property
    def chosen(self) -> str:
        """The chosen tag; "" where there is none."""
        return self.tags[self.here][0] if self.tags else ""

    @property
    def to_merge(self) -> list[str]:
        """The marked tags; where none is, the spellings of the chosen one. The chosen or most used one comes first."""
        if self.marked:
            return sorted(self.marked, key=lambda tag: (tag != self.chosen, -self._counts[tag], tag))
        group = self._alike.get(self.chosen)
        return list(group.all) if group is not None else []

    def action_mark(self) -> None:
        if self.tags:
            self.marked ^= {self.chosen}
            self.move(1)
            self.repaint()
            self.action_ask("marked")
