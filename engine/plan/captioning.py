"""What automatic captions are made with: the options of the job `caption`."""

from __future__ import annotations

import os
import re
from typing import Literal

from pydantic import field_validator

from engine.plan.option import OptionGroup, option
from engine.plan.sources import is_hub_name

AUTO, MICRO, BLIP, FLORENCE, WD14, FILENAME, CLASS = "auto", "micro", "blip", "florence-2", "wd14", "filename", "class"
KNOWN = (AUTO, BLIP, FLORENCE, WD14, MICRO, FILENAME, CLASS)
TRIGGER_WORD = "TRIGGER"
"""Stands for the trigger word of what a picture shows in a prefix or suffix; for nothing in regularisation captions."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


class CaptioningOptions(OptionGroup):
    """In the order of a form."""

    # fmt: off
    model: str = option(
        AUTO, "Captioner", "Captioner",
        "What looks at the pictures. blip writes a sentence, as in the guide; florence-2 a longer, more exact one; "
        "wd14 tags, for drawn pictures; micro is built in, and knows only the demo's little world. filename takes the "
        "file's name, class the trigger word and the class alone. auto: micro for the practice model, else blip.",
        usual="auto", guide="blip", known=KNOWN, page="basic",
        otherwise="a folder, or a captioner's name on Hugging Face such as org/name",
        words="blip florence tagger interrogate joycaption git caption model",
    )
    prefix: str = option(
        TRIGGER_WORD, "Words in front", "Captions",
        "Stands in front of every caption with a comma behind, never twice. TRIGGER is the trigger word of what the "
        "picture shows, which is left out for regularisation pictures.",
        usual="TRIGGER", guide="the trigger word and a comma", page="basic", words="trigger",
    )
    suffix: str = option(
        "", "Words behind", "Captions",
        "Stands behind every caption after a comma, never twice.",
        usual="empty", guide="empty", page="basic",
    )
    existing: Literal["keep", "append", "replace"] = option(
        "keep", "Captions that are there", "Captions",
        "keep writes only those that are missing, append adds to what is there, replace writes all anew. What was "
        "there stays in a backup.",
        usual="keep", guide="replaced without asking", page="basic", words="overwrite",
    )
    folders: Literal["train", "reg", "both"] = option(
        "train", "Which pictures", "Captions",
        "train: the training pictures. reg: the regularisation pictures, which need captions only if they are not to "
        "be called by their class.",
        usual="train", guide="train", page="basic",
    )
    prompt: str = option(
        "a picture of", "Beginning for BLIP", "Sentences",
        "A sentence that BLIP, or another model that completes sentences, goes on from. It does not stand in the "
        "caption.",
        usual="a picture of", guide="a picture of",
    )
    detail: Literal["short", "detailed", "paragraph"] = option(
        "detailed", "Detail of Florence-2", "Sentences",
        "How much Florence-2 says. A caption of over 75 tokens is cut unless max_token_length is raised.",
        usual="detailed", guide="",
    )
    num_beams: int = option(
        10, "Beams", "Sentences",
        "How many sentences are tried beside one another before the likeliest is taken. More is slower; 1 is quick.",
        usual="5 to 10", guide="10", limits=(1, 32), words="beam search",
    )
    min_length: int = option(
        25, "Shortest caption", "Sentences",
        "In tokens (about words) of the caption alone. kohya also counts the beginning, 4 tokens, so its 25 is "
        "21 here. Too much makes a model invent things.",
        usual="10 to 25", guide="25", limits=(0, 200), step=5,
    )
    max_length: int = option(
        75, "Longest caption", "Sentences",
        "In tokens of the caption alone; longer ones are cut there.",
        usual="75", guide="75", limits=(5, 500), step=5,
    )
    no_repeat_ngram_size: int = option(
        3, "No run of words twice", "Sentences",
        'So many words in a row are never said again: 3 stops "a man in a suit and a man in a suit". 0 allows it.',
        usual="3", guide="not there", limits=(0, 20), words="repetition loop",
    )
    repetition_penalty: float = option(
        1.1, "Penalty on repetition", "Sentences",
        "Over 1 makes words that were said already less likely. Much over 1.2 bends the grammar.",
        usual="1 to 1.2", guide="1", limits=(1.0, 3.0), step=0.1, words="loop",
    )
    general_threshold: float = option(
        0.35, "Least certainty, tags", "Tags",
        "Tags that the tagger is less sure of are left out. Lower gives more tags and more wrong ones.",
        usual="0.35", guide="0.35", limits=(0.0, 1.0), step=0.05, words="wd14 threshold",
    )
    character_threshold: float = option(
        0.35, "Least certainty, characters", "Tags",
        "The same for names of known characters. 0.85 names hardly a wrong one.",
        usual="0.35 to 0.85", guide="0.35", limits=(0.0, 1.0), step=0.05, words="wd14 threshold",
    )
    undesired_tags: str = option(
        "", "Tags to leave out", "Tags",
        "With commas between them, such as: 1boy, solo.",
        usual="empty", guide="empty", words="wd14 exclude",
    )
    batch_size: int = option(
        4, "Pictures at once", "Computing",
        "How many pictures are looked at together. More is faster and takes more memory; what does not fit is halved "
        "by itself.",
        usual="1 to 8", guide="8", limits=(1, 256),
    )
    device: str = option(
        "auto", "Computed on", "Computing",
        "auto takes the graphics card where there is one. The processor works as well, slowly with the large ones.",
        usual="auto", guide="", known=("auto", "cpu", "cuda", "mps"), otherwise="a card such as cuda:1",
    )
    # fmt: on

    @field_validator("model")
    @classmethod
    def _a_captioner(cls, value: str) -> str:
        if value in KNOWN or is_hub_name(value) or os.sep in value or value.startswith("~"):
            return value
        raise ValueError("no captioner")

    @field_validator("device")
    @classmethod
    def _a_device(cls, value: str) -> str:
        if _DEVICE.fullmatch(value):
            return value
        raise ValueError("no device")

    @property
    def crossed_lengths(self) -> str:
        """A sentence where the shortest caption is above the longest, which cannot be; else ""."""
        if self.min_length <= self.max_length:
            return ""
        return (
            f"The shortest caption (min_length {self.min_length}) is above the longest (max_length {self.max_length}): "
            f"{self.max_length} tokens are taken for both."
        )

    @property
    def undesired(self) -> frozenset[str]:
        """The tags to leave out, with spaces where tags have underscores."""
        return frozenset(tag.strip().replace("_", " ").casefold() for tag in self.undesired_tags.split(",")) - {""}
