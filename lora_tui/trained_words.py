"""What is trained for one picture: the words that its caption becomes, drawn as the training draws them. No Textual."""

from __future__ import annotations

from dataclasses import dataclass

from engine.plan.caption_draws import CaptionRules
from engine.plan.caption_preview import Seen, draw_at, draws
from engine.plan.dataset import Dataset, Picture
from engine.plan.settings import Settings

MOST_ORDERED = 2_000
"""Of more pictures the order of an epoch takes longer than a key may: their draws are as if each had its own step."""


@dataclass(frozen=True)
class Draw:
    """text: the words; told: which draw it is, and by what they are as they are."""

    text: str
    told: str


class Draws:
    """The draws of a training with these settings, as long as `survey` is the newest."""

    def __init__(self, survey: object, settings: Settings, dataset: Dataset) -> None:
        self.survey = survey
        self._settings = settings
        self._seen = Seen(dataset.used, settings) if len(dataset.used) <= MOST_ORDERED else None

    def draw(self, entry: Picture, caption: str, number: int) -> Draw:
        """Draw `number`, from 1. caption: as it is now."""
        settings = self._settings
        words = entry.words if settings.enable_wildcard and caption == entry.caption else caption
        instead = entry.caption if entry.caption_path is None else ""
        place = self._seen.place(entry.path, number - 1) if self._seen is not None else None
        if place is not None:
            draw, when = draw_at(settings, words, place, instead), f"epoch {place.epoch}, step {place.step:,}"
        else:
            draw, when = draws(settings, words, number - 1, instead), f"draw {number}"
        by = ", ".join(_by(settings))
        if draw.dropped:
            how = "nothing of it this time"
        elif draw.text == (caption or instead):
            how = "as it is written" + ("" if by else ", every time")
        else:
            how = "in other words" if draw.alike else "drawn anew each time"
        return Draw(draw.text, f"As trained in {when}: {how}{f' ({by})' if by else ''}.")


def _by(settings: Settings) -> list[str]:
    """The settings by which words are not always as they are written."""
    rules = CaptionRules.from_settings(settings)
    parts = [name for name in ("shuffle_caption", "enable_wildcard") if getattr(rules, name)]
    parts += [f"keep_tokens {rules.keep_tokens}"] if rules.keep_tokens and rules.varies else []
    for name in ("caption_dropout_rate", "caption_tag_dropout_rate", "caption_dropout_every_n_epochs"):
        if value := getattr(rules, name):
            parts.append(f"{name} {value:g}")
    return parts + [name for name in ("caption_prefix", "caption_suffix") if getattr(rules, name)]
