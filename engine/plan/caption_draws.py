"""Which words a picture is trained with each time it is seen: its caption after dropout, wildcards and shuffling.

The order of things is sd-scripts' (`BaseDataset.process_caption`). What is random is a function of the seed, the
optimizer step and the position, with a stream for each purpose, so switching one on leaves the others as they were.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.plan.draws import draw, happens
from engine.plan.settings import Settings

# {{ and }} while alternatives are chosen: code points that Unicode promises never to use for a character.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_ALTERNATIVES = re.compile(r"\{([^}]+)\}")


@dataclass(frozen=True)
class CaptionRules:
    """How a caption becomes the words of one draw; the names are those of the options."""

    seed: int
    caption_prefix: str = ""
    caption_suffix: str = ""
    caption_dropout_rate: float = 0.0
    caption_dropout_every_n_epochs: int = 0
    caption_tag_dropout_rate: float = 0.0
    shuffle_caption: bool = False
    keep_tokens: int = 0
    keep_tokens_separator: str = ""
    caption_separator: str = ","
    secondary_separator: str = ""
    enable_wildcard: bool = False

    @classmethod
    def from_settings(cls, settings: Settings) -> CaptionRules:
        """The rules that the settings describe."""
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})

    @property
    def varies(self) -> bool:
        """Whether one caption becomes other words from draw to draw, beside the empty ones of caption dropout."""
        return bool(self.variation)

    @property
    def variation(self) -> str:
        """The option by which the words vary, one of them; "" where they do not."""
        by = {
            "shuffle_caption": self.shuffle_caption,
            "caption_tag_dropout_rate": self.caption_tag_dropout_rate > 0,
            "enable_wildcard": self.enable_wildcard,
        }
        return next((name for name, on in by.items() if on), "")

    @property
    def without_dropout(self) -> CaptionRules:
        """The same draws, of which none is empty."""
        return replace(self, caption_dropout_rate=0.0, caption_dropout_every_n_epochs=0)

    @property
    def settled(self) -> CaptionRules:
        """Nothing is dropped or mixed; only a wildcard is still drawn."""
        return replace(self.without_dropout, shuffle_caption=False, caption_tag_dropout_rate=0.0)

    def possible(self, caption: str) -> tuple[str, ...]:
        """All words that `caption` can become, where they do not vary."""
        drops = self.caption_dropout_rate > 0 or self.caption_dropout_every_n_epochs > 0
        return (self._words(self._whole(caption), 0, 0), *([""] if drops else []))

    def drawn(self, caption: str, *, epoch: int, step: int, position: int) -> str:
        """The words of one sample; `epoch` and `step` from 1. With enable_wildcard `caption` has all its lines."""
        dropped = happens(self.caption_dropout_rate, self.seed, "caption", step, position)
        if dropped or (self.caption_dropout_every_n_epochs and epoch % self.caption_dropout_every_n_epochs == 0):
            return ""
        return self._words(self._whole(caption), step, position)

    def drawn_for(self, captions: Sequence[str], epoch: int, step: int, first_position: int) -> list[str]:
        """`drawn` for the samples of a batch, which stand one after the other in the step."""
        return [
            self.drawn(caption, epoch=epoch, step=step, position=position)
            for position, caption in enumerate(captions, start=first_position)
        ]

    def _whole(self, caption: str) -> str:
        """Prefix and suffix come first, so with several lines they belong to the first and the last one."""
        before = f"{self.caption_prefix} " if self.caption_prefix else ""
        return before + caption + (f" {self.caption_suffix}" if self.caption_suffix else "")

    def _words(self, caption: str, step: int, position: int) -> str:
        if self.enable_wildcard:
            caption = chosen(caption, self._random("wildcard", step, position))
        else:
            caption = caption.split("\n")[0]
        if self.shuffle_caption or self.caption_tag_dropout_rate > 0:
            caption = self._tags(caption, step, position)
        if self.secondary_separator:
            caption = caption.replace(self.secondary_separator, self.caption_separator)
        return caption

    def _tags(self, caption: str, step: int, position: int) -> str:
        first, flexible, last = self._parts(caption)
        if self.shuffle_caption:
            self._random("shuffle", step, position).shuffle(flexible)
        if self.caption_tag_dropout_rate > 0:
            dice = self._random("tags", step, position)
            flexible = [tag for tag in flexible if dice.random() >= self.caption_tag_dropout_rate]
        return ", ".join(first + flexible + last)

    def _parts(self, caption: str) -> tuple[list[str], list[str], list[str]]:
        """The tags that stay in front, those that may move or go, and those that stay at the end."""
        if self.keep_tokens_separator and self.keep_tokens_separator in caption:
            first, flexible, *last = (
                [tag.strip() for tag in part.split(self.caption_separator) if tag.strip()]
                for part in caption.split(self.keep_tokens_separator, 2)
            )
            return first, flexible, last[0] if last else []
        tags = [tag.strip() for tag in caption.strip().split(self.caption_separator)]
        return tags[: self.keep_tokens], tags[self.keep_tokens :], []

    def _random(self, purpose: str, step: int, position: int) -> random.Random:
        return random.Random(draw(self.seed, f"caption {purpose}", step, position))


def chosen(caption: str, dice: random.Random) -> str:
    """One line of `caption`, and one of the alternatives of each `{red|blue}` in it; `{{` and `}}` are braces."""
    if "\n" in caption:
        caption = dice.choice(caption.split("\n"))
    caption = caption.replace("{{", _OPEN).replace("}}", _CLOSE)
    # After the last closing brace there is nothing to choose, and the pattern would look to the end from every "{".
    choices, end, rest = caption.rpartition("}")
    caption = _ALTERNATIVES.sub(lambda found: dice.choice(found[1].split("|")), choices + end) + rest
    return caption.replace(_OPEN, "{").replace(_CLOSE, "}")
