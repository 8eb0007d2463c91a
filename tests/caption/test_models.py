"""Captioners through transformers' own classes: tiny ones with random weights, and the built-in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from engine.caption.captioner import Captioner, Shown
from engine.caption.load import device_for, load
from engine.caption.sentences import generation
from engine.plan.captioners import find
from engine.plan.clip_vocabulary import byte_symbols
from engine.plan.errors import UserError
from engine.plan.job_options import captioning

PICTURES = [
    Shown(Path(f"{number}.png"), Image.new(mode, size, colour))
    for number, (mode, size, colour) in enumerate(
        [("RGB", (64, 48), (200, 30, 30)), ("RGBA", (40, 90), (30, 200, 30, 0)), ("RGB", (96, 96), (0, 0, 0))]
    )
]


def loaded(folder: Path, **options: object) -> Captioner:
    chosen = captioning({"model": str(folder), "num_beams": 1, "min_length": 4, "max_length": 9} | options)
    found = find(chosen.model)
    return load(found, chosen, device_for(found, chosen))


@pytest.fixture(scope="module")
def florence_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Florence-2 of two layers a part, whose tokenizer knows single letters."""
    from transformers import (
        BartTokenizer,
        CLIPImageProcessorPil,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
    )

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<image>"]
    vocabulary = {entry: number for number, entry in enumerate([*special, *byte_symbols()])}
    tokenizer = BartTokenizer(vocab=vocabulary, merges=[], extra_special_tokens={"image_token": "<image>"})
    sizes: dict[str, Any] = {"depths": (1, 1), "patch_size": (7, 3), "patch_stride": (8, 2), "patch_padding": (3, 1)}
    sizes |= {"patch_prenorm": (False, True), "embed_dim": (8, 16), "num_heads": (2, 2), "num_groups": (2, 2)}
    vision = sizes | {"window_size": 4, "projection_dim": 16, "max_position_embeddings": 8}
    text = {
        "model_type": "bart",
        "vocab_size": len(vocabulary),
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16,
        "max_position_embeddings": 128,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
    }
    config = Florence2Config(vision_config=vision, text_config=text, image_token_id=vocabulary["<image>"])
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("captioners") / "florence"
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    side = {"height": 64, "width": 64}
    # A token for each place of the last grid (64 / 8 / 2 = 4 a side), and one for the whole.
    squash = CLIPImageProcessorPil(size=side, crop_size=side, do_center_crop=False, image_seq_length=17)
    Florence2Processor(squash, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def git_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GIT, which stands for all others that transformers knows."""
    from transformers import BertTokenizer, CLIPImageProcessorPil, GitConfig, GitForCausalLM, GitProcessor

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "man", "cat", "red", "on", "the", "beach"]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    tiny: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = GitConfig(
        vision_config=tiny | {"image_size": 32, "patch_size": 16},
        vocab_size=len(words),
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        **tiny,
    )
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("captioners") / "git"
    GitForCausalLM(config).save_pretrained(folder)
    side = {"height": 32, "width": 32}
    GitProcessor(CLIPImageProcessorPil(size=side, crop_size=side), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["blip", "florence", "git"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(f"{request.param}_folder")
    return found


@pytest.mark.parametrize("beams", [1, 3])
def test_several_pictures_with_several_beams_say_what_each_says_alone(folder: Path, beams: int):
    captioner = loaded(folder, num_beams=beams)
    together = captioner.caption(PICTURES)
    assert all(together)
    assert together == [captioner.caption([shown])[0] for shown in PICTURES]
    assert together == captioner.caption(PICTURES)


def test_the_kinds_are_told_by_their_config(blip_folder: Path, florence_folder: Path, git_folder: Path):
    assert [find(str(f)).kind for f in (blip_folder, florence_folder, git_folder)] == ["blip", "florence2", "any"]


def test_the_shortest_length_counts_the_captions_own_tokens(blip_folder: Path):
    asked = generated(loaded(blip_folder, prompt="a picture of", min_length=12, max_length=12))
    assert asked.output.shape[1] == 1 + 3 + 12  # the start, the beginning, and none of them the end
    assert not (asked.output[:, 4:] == 3).any()


class Asked:
    """What `generate` was given and gave."""

    input_ids: torch.Tensor
    output: torch.Tensor


def generated(captioner: Any) -> Asked:
    asked, generate = Asked(), captioner._model.generate

    def listen(**arguments: Any) -> torch.Tensor:
        asked.input_ids = arguments["input_ids"].clone()
        asked.output = generate(**arguments)
        return asked.output

    captioner._model.generate = listen
    captioner.caption(PICTURES)
    return asked


def test_more_tokens_than_a_model_has_places_for_are_not_asked_of_it(blip_folder: Path):
    assert loaded(blip_folder, min_length=200, max_length=500).caption(PICTURES[:1])  # it has 96


def test_no_run_of_words_comes_twice(demo_pictures: list[Shown]):
    """Asked for more than there is to say, a captioner goes round in circles."""
    too_much: dict[str, object] = {"min_length": 70, "max_length": 75, "num_beams": 3}
    loops = loaded_micro(**too_much, no_repeat_ngram_size=0, repetition_penalty=1.0).caption(demo_pictures)
    assert any(_repeats(text) for text in loops)
    assert not any(_repeats(text) for text in loaded_micro(**too_much).caption(demo_pictures))


def _repeats(text: str) -> bool:
    words = text.replace(",", " , ").split()
    runs = [tuple(words[at : at + 3]) for at in range(len(words) - 2)]
    return len(set(runs)) < len(runs)


def test_the_beginning_does_not_stand_in_the_caption(blip_folder: Path):
    for text in loaded(blip_folder, prompt="a  Picture of").caption(PICTURES):
        assert not text.startswith("a picture of")
    assert all(loaded(blip_folder, prompt="").caption(PICTURES))


def test_the_degrees_of_detail_are_florences_tasks(florence_folder: Path):
    asked = [generated(loaded(florence_folder, detail=detail)).input_ids for detail in ("short", "paragraph")]
    tokenizer = AutoProcessor.from_pretrained(florence_folder).tokenizer
    short, paragraph = (tokenizer.decode(ids[0], skip_special_tokens=True).strip() for ids in asked)
    assert (short, paragraph) == (
        "What does the image describe?",
        "Describe with a paragraph what is shown in the image.",
    )


def test_lengths_and_beams_go_to_generate_as_they_are_meant():
    asked = generation(captioning({}), room=None)
    assert (asked["min_new_tokens"], asked["max_new_tokens"], asked["num_beams"]) == (25, 75, 10)
    assert generation(captioning({}), room=20)["min_new_tokens"] == 20


def test_code_that_comes_with_a_model_is_never_run(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoConfig": "evil.Config"}}')
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError) as error:
        loaded(tmp_path)
    assert error.value.code == "needs-own-code"
    assert not (tmp_path / "ran").exists()


def test_pickles_are_read_for_their_weights_alone(blip_folder: Path, tmp_path: Path):
    import pickle
    import shutil

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(tmp_path / "ran"), "w")

    folder = tmp_path / "pickled"
    shutil.copytree(blip_folder, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Evil()}, protocol=2))
    with pytest.raises(UserError) as error:
        loaded(folder)
    assert error.value.code == "damaged"
    assert not (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def demo_pictures() -> list[Shown]:
    pictures = Path(__file__).parents[2] / "engine" / "demo" / "project" / "img" / "10_zibo man"
    return [Shown(path, Image.open(path).convert("RGB")) for path in sorted(pictures.glob("*.png"))[:4]]


def loaded_micro(**values: object) -> Captioner:
    options = captioning(values)
    found = find("auto", "micro")
    return load(found, options, device_for(found, options))


def test_the_built_in_captioner_tells_the_demos_pictures(demo_pictures: list[Shown]):
    assert find("auto", "micro").name == "micro"
    texts = loaded_micro().caption(demo_pictures)
    assert all("shirt" in text and "facing the viewer" in text for text in texts)
