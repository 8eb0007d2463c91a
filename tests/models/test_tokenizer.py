"""The tokenizer is where a base model goes wrong without a word."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from engine.models.tokenizer import clip_tokenizer, tokenizer_from
from engine.plan.clip_vocabulary import clip_merges, vocabulary_of

CAT = [49406, 320, 1125, 539, 320, 2368, 49407]


def test_clip_vocabulary_follows_from_the_shipped_merges():
    merges = clip_merges()
    text = "#version: 0.2\n" + "".join(f"{first} {second}\n" for first, second in merges)
    assert len(merges) == 48_894
    assert len(text.encode()) == 524_619  # the published merges.txt, byte for byte
    assert hashlib.sha256(text[14:].encode()).hexdigest().startswith("d308b7377a8ceaa9")
    vocabulary = vocabulary_of(merges)
    assert len(vocabulary) == 49_408
    assert (vocabulary["!"], vocabulary["!</w>"], vocabulary["<|endoftext|>"]) == (0, 256, 49_407)


def test_a_photo_of_a_cat_has_clips_ids():
    assert clip_tokenizer()("a photo of a cat").input_ids == CAT


# Made with instant-clip-tokenizer 0.1.1, which is written in Rust and shares no code with transformers.
IDS = {
    "": [],
    "!": [256],
    "best quality!!": [949, 3027, 748],
    "A  Photo\nOF a cat": CAT[1:-1],
    "naïve café, 3 × 4 = 12": [1097, 35689, 563, 15304, 267, 274, 16165, 275, 284, 272, 273],
    "it's zibo's hat": [585, 568, 2651, 2525, 568, 3801],
    "日本語 🙂": [39121, 44353, 34002, 508, 14860],
    "portrait of ohwx man, (masterpiece:1.2)": [5352, 539, 47993, 786, 267, 263, 12066, 281, 272, 269, 273, 264],
    "100% \\o/ <3": [272, 271, 271, 260, 315, 334, 270, 283, 274],
}


@pytest.mark.parametrize("text", IDS)
def test_texts_have_the_ids_that_an_independent_tokenizer_gives_them(text: str):
    assert clip_tokenizer()(text).input_ids == [49406, *IDS[text], 49407]


def test_a_folder_without_vocabulary_gives_no_tokenizer(tmp_path: Path):
    assert tokenizer_from(tmp_path / "tokenizer") is None


def test_all_file_forms_of_a_vocabulary_give_the_same_ids(micro_folder: Path, tmp_path: Path):
    lists = tokenizer_from(micro_folder / "tokenizer")
    assert lists is not None
    lists.save_pretrained(tmp_path)
    (tmp_path / "vocab.json").unlink(missing_ok=True)
    single = tokenizer_from(tmp_path)
    assert single is not None
    text = "portrait of a man with red hair, it's a blue hat!"
    assert lists(text).input_ids == single(text).input_ids
    assert len(set(single(text).input_ids)) > 8


def test_special_padding_of_a_folder_is_not_taken_over(micro_folder: Path, tmp_path: Path):
    """The second tokenizer's folder makes '!' a padding token; read plainly, the two folders are one vocabulary."""
    shutil.copytree(micro_folder / "tokenizer_2", tmp_path / "tokenizer_2")
    first, second = tokenizer_from(micro_folder / "tokenizer"), tokenizer_from(tmp_path / "tokenizer_2")
    assert first is not None
    assert second is not None
    assert first("a man !").input_ids == second("a man !").input_ids
    end_of_word = json.loads((micro_folder / "tokenizer" / "vocab.json").read_text(encoding="utf-8"))["!</w>"]
    assert first("a man !").input_ids[-2] == end_of_word
