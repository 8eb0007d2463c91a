"""What is trained for one picture: the words that its caption becomes, drawn as a training draws them. No Textual."""

from __future__ import annotations

from engine.plan.caption_draws import CaptionRules
from engine.plan.dataset import Picture
from engine.plan.settings import Settings


def trained(settings: Settings, entry: Picture, caption: str, number: int) -> tuple[str, str]:
    """(the words of draw `number`, from 1; what became of the caption, in a sentence)."""
    rules = CaptionRules.from_settings(settings)
    written = caption or entry.caption
    words = entry.words if rules.enable_wildcard and written == entry.caption else written
    drawn = rules.drawn(words, epoch=number, step=number, position=0)
    if not drawn:
        return "", "dropped this time: it is trained with no words at all"
    if drawn == written:
        always = not rules.varies and not rules.caption_dropout_rate and not rules.caption_dropout_every_n_epochs
        return drawn, "as it is written, every time" if always else "as it is written"
    return drawn, rules.variation or "with caption_prefix or caption_suffix"


def told(settings: Settings) -> str:
    """The settings by which captions vary, for people: `shuffle_caption, keep_tokens 1, caption_dropout_rate 0.1`."""
    rules = CaptionRules.from_settings(settings)
    parts = [rules.variation] if rules.varies else []
    parts += [f"keep_tokens {rules.keep_tokens}"] if rules.keep_tokens else []
    for name in ("caption_dropout_rate", "caption_tag_dropout_rate"):
        if rate := getattr(rules, name):
            parts.append(f"{name} {rate:g}")
    return ", ".join(dict.fromkeys(parts))
