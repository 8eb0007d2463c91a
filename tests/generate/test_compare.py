"""Comparison sheets, and the job that makes them of a LoRA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.context import JobContext
from engine.generate.sheets import PAPER, comparison, save_png
from engine.generate.studio import Studio
from engine.lora import weights
from engine.lora.attach import LoraShape, attach
from engine.models.checkpoint import load
from engine.plan.base_model import recognise
from engine.plan.errors import inert
from engine.plan.sample_prompts import SamplePrompt
from engine.runs import folder as folders
from engine.runs.events import EventWriter, read_all
from engine.runs.job import Job
from tests.micro_model import base_of
from tests.training import NF4, own_process, settings


def flat(colour: tuple[int, int, int], size: tuple[int, int] = (96, 96)) -> Image.Image:
    return Image.new("RGB", size, colour)


def sheet(columns: tuple[str, ...] = ("without", "with"), label: str = "a cat", title: str = "title") -> Image.Image:
    rows = [[flat((200, 0, 0)), flat((0, 0, 200))], [flat((0, 200, 0)), flat((0, 200, 200))]]
    return comparison(rows, columns, [label, label], title)


def written(image: Image.Image) -> int:
    """How many pixels are neither paper nor one of the pictures' colours: letters."""
    pixels = np.asarray(image).reshape(-1, 3)
    strange = np.ones(len(pixels), dtype=bool)
    for colour in (PAPER, (200, 0, 0), (0, 0, 200), (0, 200, 0), (0, 200, 200)):
        strange &= (pixels != colour).any(axis=1)
    return int(strange.sum())


def test_a_sheet_shows_every_picture_with_its_labels() -> None:
    made = sheet()
    pixels = np.asarray(made).reshape(-1, 3)
    for colour in ((200, 0, 0), (0, 0, 200), (0, 200, 0), (0, 200, 200)):
        shown = int((pixels == colour).all(axis=1).sum())
        assert shown == 192 * 192  # small pictures are shown twice as large
    bare = written(sheet(("", ""), "", ""))
    assert bare == 0
    for filled in (sheet(("without", ""), "", ""), sheet(("", ""), "a cat", ""), sheet(("", ""), "", "title")):
        assert written(filled) > 20


def test_what_is_written_on_a_sheet_obeys_nobody() -> None:
    wild = "a\x1b[31m cat\n\u202ereversed"
    assert sheet(label=wild, title=wild).tobytes() == sheet(label=inert(wild), title=inert(wild)).tobytes()


def test_a_long_label_is_cut_and_the_sheet_keeps_its_size() -> None:
    assert sheet(label="a cat " * 300).size == sheet().size


def test_pictures_of_different_sizes_do_not_cover_each_other() -> None:
    made = comparison([[flat((200, 0, 0), (200, 300))], [flat((0, 0, 200), (300, 200))]], ["with"], ["a", "b"], "t")
    pixels = np.asarray(made).reshape(-1, 3)
    assert int((pixels == (200, 0, 0)).all(axis=1).sum()) == 200 * 300
    assert int((pixels == (0, 0, 200)).all(axis=1).sum()) == 300 * 200


def test_a_png_is_written_whole(tmp_path: Path) -> None:
    save_png(flat((1, 2, 3)), tmp_path / "new" / "a.png")
    assert Image.open(tmp_path / "new" / "a.png").getpixel((0, 0)) == (1, 2, 3)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


# ------------------------------------------------------------------------------------------------------------- the job
def lora_file(folder: Path, base: Path, rank: int) -> Path:
    network = attach({"unet": load(base_of(base)).unet}, LoraShape(rank, rank / 2), seed=0)
    network.parts[0].ups.data.normal_(std=0.5, generator=torch.Generator().manual_seed(rank))
    path = folder / f"rank{rank}.safetensors"
    metadata = {"modelspec.trigger_phrase": "ohwx", "ss_base_model_version": "sdxl_base_v1-0"}
    weights.write(path, weights.state_dict(network, "float"), metadata)
    return path


def compare(
    base: Path, folder: Path, sets: dict[str, object] | None = None, **arguments: Any
) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
    from engine.__main__ import work

    values = settings(pretrained_model_name_or_path=str(base), **(sets or {}))
    run = folders.create(folder / "runs", Job("compare", settings=values, arguments=arguments))
    with own_process():
        code = work(run)
    events = list(read_all(run.events_path))
    return code, json.loads(run.result_path.read_text()) if code == 0 else events[-1], events


def test_a_comparison_has_each_prompt_and_seed_at_each_weight(micro_folder: Path, tmp_path: Path) -> None:
    lora = lora_file(tmp_path, micro_folder, 4)
    code, result, events = compare(
        micro_folder,
        tmp_path,
        lora=str(lora),
        prompts=["a cat --s 2", "a dog --s 2 --w 96"],
        seeds=[3, 4],
        weights=[0.0, 0.5, 1.0],
    )
    assert code == 0, result
    assert (result["seeds"], result["weights"]) == ([3, 4], [0.0, 0.5, 1.0])
    samples = [e for e in events if e["kind"] == "sample"]
    assert len(samples) == len({e["path"] for e in samples}) == 12
    assert {(e["prompt"], e["seed"], e["weight"]) for e in samples} == {
        (prompt, seed, weight) for prompt in ("a cat", "a dog") for seed in (3, 4) for weight in (0.0, 0.5, 1.0)
    }
    run = Path(result["sheet"]).parents[1]
    pictures = {
        e["weight"]: (run / e["path"]).read_bytes() for e in samples if (e["prompt"], e["seed"]) == ("a cat", 3)
    }
    assert len(set(pictures.values())) == 3
    assert Image.open(result["sheet"]).width > 3 * 192


def test_a_lora_of_the_text_encoders_changes_the_words_and_not_the_cache(micro_folder: Path, tmp_path: Path) -> None:
    model = load(base_of(micro_folder))
    network = attach({"text_encoder_1": model.text_encoder}, LoraShape(4, 4.0), seed=0)
    network.parts[0].ups.data.normal_(std=0.5, generator=torch.Generator().manual_seed(1))
    lora = tmp_path / "words.safetensors"
    weights.write(lora, weights.state_dict(network, "float"), {})
    arguments = {"lora": str(lora), "prompts": ["a cat --s 2"], "seeds": [3]}
    code, result, events = compare(micro_folder, tmp_path, weights=[0.0, 1.0, 0.0], **arguments)
    assert code == 0, result
    run = Path(result["sheet"]).parents[1]
    without, with_it, again = ((run / e["path"]).read_bytes() for e in events if e["kind"] == "sample")
    assert without == again != with_it
    assert len(list((run / "cache" / "texts").iterdir())) == 2  # the prompt and the empty one, of the base model


def test_without_prompts_the_trigger_in_the_file_is_used(micro_folder: Path, tmp_path: Path) -> None:
    lora = lora_file(tmp_path, micro_folder, 4)
    code, result, _ = compare(micro_folder, tmp_path, lora=str(lora), seeds=[1], weights=[1.0])
    assert code == 0
    assert result["prompts"] == ["ohwx, a photo of a person"]


def test_a_lora_without_layers_that_fit_is_refused(micro_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "peft.safetensors"
    save_file({"unet.a.lora_A.weight": torch.ones(4, 4)}, path)
    code, end, _ = compare(micro_folder, tmp_path, lora=str(path), prompts=["a --s 1"])
    assert (code, end["code"]) == (1, "not-a-lora")
    assert end["hint"]


def test_loras_worn_one_after_another_leave_nothing_behind(micro_folder: Path, tmp_path: Path) -> None:
    prompt = [SamplePrompt("a cat", 64, 64, 1, steps=2, guidance=3.0)]
    files = {rank: weights.read(lora_file(tmp_path, micro_folder, rank)) for rank in (4, 8)}

    def pictures(*worn: int) -> list[bytes]:
        run = folders.create(tmp_path / "runs", Job("compare"))
        with EventWriter(run.events_path) as events:
            studio = Studio(
                JobContext(run, run.job, events), recognise(micro_folder), torch.device("cpu"), tmp_path / "cache"
            )
            made = [studio.pictures(prompt, 0.0, "making")[0].tobytes()]
            for rank in worn:
                studio.wear(files[rank])
                made.append(studio.pictures(prompt, 1.0, "making")[0].tobytes())
        return made

    base, four, eight, four_again = pictures(4, 8, 4)
    assert len({base, four, eight}) == 3
    assert four_again == four
    assert pictures(8) == [base, eight]


@pytest.mark.parametrize("how", ["fp8", NF4])
def test_a_comparison_keeps_the_base_model_as_the_training_did(micro_folder: Path, tmp_path: Path, how: str) -> None:
    lora = lora_file(tmp_path, micro_folder, 4)
    made = []
    for sets in ({}, {"base_weights": how}):
        wanted = {"lora": str(lora), "prompts": ["a cat --s 2"], "seeds": [3], "weights": [0.0, 1.0]}
        code, result, events = compare(micro_folder, tmp_path, sets, **wanted)
        assert code == 0, result
        run = Path(result["sheet"]).parent.parent
        made += [(run / e["path"]).read_bytes() for e in events if e["kind"] == "sample"]
    assert len(set(made)) == 4


def test_a_prompts_own_seed_counts_where_no_seeds_are_given(micro_folder: Path, tmp_path: Path) -> None:
    lora = lora_file(tmp_path, micro_folder, 4)
    prompts = ["a cat --s 1 --d 7", "a dog --s 1"]
    code, result, events = compare(micro_folder, tmp_path, lora=str(lora), prompts=prompts, weights=[1.0])
    assert code == 0, result
    seeds = [(e["prompt"], e["seed"]) for e in events if e["kind"] == "sample"]
    assert seeds == [("a cat", 7), *(("a dog", seed) for seed in (42, 43, 44, 45))]
    assert result["seeds"] == [7, 42, 43, 44, 45]
    code, end, _ = compare(micro_folder, tmp_path, lora=str(lora), prompts=prompts, seeds=[1])
    assert (code, end["code"]) == (1, "two-seeds")
    assert "a cat --s 1 --d 7" in end["message"]
