"""Judgements on how captions are used: too much hidden, settings that do nothing, settings that do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from engine.plan.caption_draws import CaptionRules
from engine.plan.errors import Finding
from engine.plan.remedy import set_line
from engine.plan.settings import Settings
from engine.plan.trained_parts import encodes_ahead


def check_captions(settings: Settings) -> Iterator[Finding]:
    """What is worth saying about the options of captions."""
    yield from refused(settings)
    yield from _hidden(settings)
    yield from _kept(settings)


def refused(settings: Settings) -> Iterator[Finding]:
    """What cannot be trained at all."""
    rules = CaptionRules.from_settings(settings)
    if encodes_ahead(settings) and rules.varies:
        yield Finding(
            "text-cache-with-shuffle",
            f"With {rules.variation} captions change each time they are seen, so they cannot be encoded once.",
            set_line("cache_text_encoder_outputs", "false"),
            level="error",
            option="cache_text_encoder_outputs",
            value=False,
            overridable=False,
        )
    if settings.weighted_captions and (settings.shuffle_caption or settings.caption_tag_dropout_rate > 0):
        yield Finding(
            "weights-with-shuffle",
            f"With {rules.variation} tags are cut apart also inside the brackets of weighted_captions: an opening "
            "bracket would then weigh what it was not written for.",
            set_line("weighted_captions", "false"),
            level="error",
            option="weighted_captions",
            value=False,
            overridable=False,
        )


def _hidden(settings: Settings) -> Iterator[Finding]:
    if settings.caption_dropout_rate > 0.5:
        yield Finding(
            "caption-dropout-high",
            f"caption_dropout_rate {settings.caption_dropout_rate:g} hides most captions: the trigger word is hardly "
            "learnt.",
            set_line("caption_dropout_rate", "0.1"),
            option="caption_dropout_rate",
            value=0.1,
        )
    if settings.caption_dropout_every_n_epochs == 1:
        yield Finding(
            "caption-dropout-every-epoch",
            "caption_dropout_every_n_epochs 1 hides all captions in every epoch: the trigger word is not learnt.",
            set_line("caption_dropout_every_n_epochs", "0"),
            option="caption_dropout_every_n_epochs",
            value=0,
        )
    if settings.caption_tag_dropout_rate > 0.5:
        yield Finding(
            "tag-dropout-high",
            f"caption_tag_dropout_rate {settings.caption_tag_dropout_rate:g} leaves out most tags: what stands in the "
            "captions is hardly learnt.",
            set_line("caption_tag_dropout_rate", "0.1"),
            option="caption_tag_dropout_rate",
            value=0.1,
        )


def _kept(settings: Settings) -> Iterator[Finding]:
    if settings.shuffle_caption or settings.caption_tag_dropout_rate > 0:
        return
    for name, nothing in (("keep_tokens", 0), ("keep_tokens_separator", "")):
        if getattr(settings, name) != nothing:
            also = " and stays in the captions as it is" if name == "keep_tokens_separator" else ""
            yield Finding(
                "nothing-to-keep",
                f"{name} does nothing{also}: tags are neither mixed nor left out.",
                set_line("shuffle_caption", "true"),
                level="note",
                option=name,
                value=nothing,
            )
