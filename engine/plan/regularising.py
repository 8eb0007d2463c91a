"""What regularisation pictures are made with: the options of the job `regularise`."""

from __future__ import annotations

from engine.plan.option import OptionGroup, option


class RegularisingOptions(OptionGroup):
    """In the order of a form."""

    # fmt: off
    batch_size: int = option(
        1, "Pictures at once", "Pictures",
        "How many pictures are drawn together. More is a little faster and takes more memory.",
        usual="1 to 4", guide="1", limits=(1, 64),
    )
    # fmt: on
