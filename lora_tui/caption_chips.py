"""The tags of one caption in a row, one of them chosen: to carry, to remove, to replace, to add. No Textual."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.plan.tags import split


@dataclass
class TagRow:
    """tags: in the caption's order. at: the chosen one; len(tags) is the place behind the last, where tags are added.

    carried: the chosen tag goes along when the place changes. separator: what stands between tags.
    """

    tags: list[str] = field(default_factory=list)
    at: int = 0
    carried: bool = False
    separator: str = ","

    @property
    def chosen(self) -> str:
        """The chosen tag; "" behind the last."""
        return self.tags[self.at] if self.at < len(self.tags) else ""

    def follow(self, tags: list[str]) -> None:
        """These are the tags now: the chosen one stays chosen, where it is still among them."""
        chosen, last = self.chosen, self.at >= len(self.tags)
        self.carried = self.carried and chosen in tags
        if last:
            self.at = len(tags)
        elif tags[self.at : self.at + 1] != [chosen]:
            self.at = tags.index(chosen) if chosen in tags else min(self.at, len(tags))
        self.tags = tags

    def step(self, by: int) -> None:
        """Choose the tag before or after, or carry the chosen one there."""
        last = len(self.tags) - (1 if self.carried else 0)
        there = max(0, min(last, self.at + by))
        if self.carried and there != self.at:
            self.tags.insert(there, self.tags.pop(self.at))
        self.at = there

    def carry(self) -> bool:
        """Take the chosen tag up, or put it down; whether it is carried now."""
        self.carried = not self.carried and self.at < len(self.tags)
        return self.carried

    def remove(self) -> str:
        """Take the chosen tag away; which one it was."""
        self.carried = False
        if self.at >= len(self.tags):
            return ""
        gone = self.tags.pop(self.at)
        self.at = min(self.at, len(self.tags))
        return gone

    def put(self, text: str, replacing: bool) -> None:
        """Put tags, as many as are typed, in place of the chosen one, or behind it; the last of them is chosen then."""
        self.carried = False
        new = split(text, self.separator)
        if replacing and self.at < len(self.tags):
            self.tags[self.at : self.at + 1] = new
            self.at = max(0, self.at + len(new) - 1)
        elif new:
            place = min(self.at + 1, len(self.tags))
            self.tags[place:place] = new
            self.at = place + len(new) - 1

    def has(self, tag: str) -> bool:
        """Whether a tag is among them; capital letters do not matter."""
        return tag.strip().casefold() in (known.casefold() for known in self.tags)
