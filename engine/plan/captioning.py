"""What automatic captions are made with: the options of the job `caption`."""

from __future__ import annotations

from engine.plan.option import OptionGroup, option


class CaptioningOptions(OptionGroup):
    """In the order of a form."""

    # fmt: off
    prefix: str = option(
        "", "Words in front", "Captions",
        "Stands in front of every caption, with a comma behind, as the trigger word does; never twice.",
        usual="the trigger word", guide="trigger, with a comma",
    )
    # fmt: on
