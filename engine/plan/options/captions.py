"""How the words beside the pictures are used."""

from __future__ import annotations

from pydantic import field_validator

from engine.plan.errors import UserError
from engine.plan.option import OptionGroup, option
from engine.plan.option_values import is_plain_name


class CaptionOptions(OptionGroup):
    """How the words beside the pictures are used."""

    # fmt: off
    caption_extension: str = option(
        ".txt", "Ending of caption files", "Captions",
        "Which file beside a picture holds its caption; with the wrong ending all captions are silently missed.",
        usual=".txt or .caption", guide=".txt",
        page="basic", words="txt caption files",
    )
    caption_prefix: str = option(
        "", "Words before every caption", "Captions",
        "Is put before every caption while training, with one blank between; the files stay as they are.",
        usual="empty, or your trigger word and a comma", guide="not there (the trigger stands in the files)",
        words="prefix trigger beginning",
    )
    caption_suffix: str = option(
        "", "Words after every caption", "Captions",
        "Is put after every caption while training, with one blank between; the files stay as they are.",
        usual="empty", guide="not there",
        words="suffix end style",
    )
    caption_dropout_rate: float = option(
        0.1, "Rate of caption dropout", "Captions",
        "Hides the caption this often (0.1: every tenth time), so that the look is also learnt without the words.",
        usual="0 to 0.1", guide="0.1", limits=(0.0, 1.0),
        words="overfitting captions", step=0.05,
    )
    caption_dropout_every_n_epochs: int = option(
        0, "Epochs without captions", "Captions",
        "Hides all captions in every n-th epoch: with 3 in the third, the sixth and so on; 0 never does, 1 always.",
        usual="0", guide="0", limits=(0, 100_000),
        words="dropout captions overfitting",
    )
    shuffle_caption: bool = option(
        False, "Shuffle tags", "Captions",
        "Mixes the parts of a caption between its commas each time it is seen, so that their order is not learnt; "
        "good for lists of tags, not for sentences.",
        usual="on for tags, off for sentences", guide="off",
        words="random order tags booru",
    )
    keep_tokens: int = option(
        0, "Tags to keep in front", "Captions",
        "This many of the first tags are neither mixed nor dropped: 1 keeps a trigger word in its place.",
        usual="1 when tags are shuffled", guide="0", limits=(0, 1000),
        words="shuffle trigger first",
    )
    keep_tokens_separator: str = option(
        "", "Mark after the kept tags", "Captions",
        "A mark such as ||| in the captions: tags before it are neither mixed nor dropped, nor those after a second "
        "one; it takes the place of the number where a caption has it.",
        usual="empty or |||", guide="empty",
        words="shuffle trigger fixed",
    )
    caption_tag_dropout_rate: float = option(
        0.0, "Rate of tag dropout", "Captions",
        "Leaves out each tag this often (0.1: every tenth time), so that none of them is needed for the look.",
        usual="0 to 0.2", guide="0", limits=(0.0, 1.0),
        words="dropout overfitting tags", step=0.05,
    )
    caption_separator: str = option(
        ",", "What stands between tags", "Captions",
        "Where a caption is cut into tags, when tags are mixed or left out.",
        usual="a comma", guide="a comma",
        words="comma separator tags",
    )
    secondary_separator: str = option(
        "", "Second mark between tags", "Captions",
        "Holds together tags that are mixed or left out as one, such as ;;; in red hat;;;blue coat; in the end it "
        "becomes the usual mark.",
        usual="empty or ;;;", guide="empty",
        words="separator tags groups",
    )
    enable_wildcard: bool = option(
        False, "Alternatives in captions", "Captions",
        "Each time one line of a caption file is taken at random, and in it one of the words of {red|blue}; doubled "
        "braces stand for themselves. Off, only the first line counts.",
        usual="off", guide="off",
        words="wildcard lines random several captions",
    )
    cache_text_encoder_outputs: bool = option(
        True, "Encode captions once", "Captions",
        "Turns all captions into numbers before the training begins, so that the text encoders need no GPU memory in "
        "it; must be off where captions change each time they are seen.",
        usual="on", guide="off (about 1.6 GB more GPU memory)",
        words="memory vram speed cache text encoder",
    )
    max_token_length: int = option(
        75, "Length of captions", "Captions",
        "How many tokens (about as many as words) of a caption count: 75, 150 or 225; what is longer is cut off, and a "
        "longer limit needs some more memory and time.",
        usual="75, or 225 for long captions", guide="75", limits=(75, 225),
        words="long captions tokens memory", step=75,
    )
    weighted_captions: bool = option(
        False, "Weights in captions", "Captions",
        "Reads (word:1.2), ((word)) and [word] in captions as stronger and weaker words, as prompts do; off, the "
        "brackets are learnt as letters. Prompts of samples always have weights.",
        usual="off", guide="off",
        words="brackets emphasis attention weight",
    )
    # fmt: on

    @field_validator("caption_extension")
    @classmethod
    def _leading_dot(cls, value: str) -> str:
        ending = value if value.startswith(".") else f".{value}"
        if len(ending) < 2 or not is_plain_name(ending[1:]):
            raise UserError("bad-value", f'caption_extension must be a file ending such as ".txt", not "{value}".')
        return ending

    @field_validator("caption_separator")
    @classmethod
    def _some_separator(cls, value: str) -> str:
        if not value:
            raise UserError("bad-value", "caption_separator must not be empty.", 'Usual is a comma: ",".')
        return value

    @field_validator("max_token_length")
    @classmethod
    def _whole_chunks(cls, value: int) -> int:
        if value % 75:
            raise UserError("bad-value", f"max_token_length must be 75, 150 or 225, not {value}.")
        return value
