"""The job that makes regularisation pictures: ordinary ones of the class, drawn with the base model itself.

The folder is all the memory there is: each PNG says with which words and which seed it was drawn, so that the same job
goes on where it was stopped or killed, and adds to pictures that somebody else put there.
"""

from __future__ import annotations

import glob
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine import device as devices
from engine.context import JobContext, Progress, Stopped
from engine.data.cache import Texts
from engine.generate.prompts import reading_for, texts_of
from engine.generate.sampler import EncodedPrompt, Sampler, encode
from engine.generate.studio import autocast_on, model_to_draw_with
from engine.models.sdxl import SDXL
from engine.out_of_memory import is_out_of_memory
from engine.plan import job_options
from engine.plan.base_model import recognise
from engine.plan.errors import UserError, plural
from engine.plan.files import atomic_write, disk_errors
from engine.plan.hub_cache import name_of_snapshot
from engine.plan.objective import as_trained
from engine.plan.picture_parameters import CHUNK, parameters, read, seed_of
from engine.plan.pictures import picture_files
from engine.plan.regularising import RegularisingOptions
from engine.plan.sample_prompts import SamplePrompt
from engine.plan.vae import recognise_vae

MAKING, UNIT = "making pictures", "pictures"
_DIGITS = 5  # of a seed in the name of a file, so that lists are in order


@dataclass(frozen=True)
class Series:
    """The pictures of one class. asked: what is drawn, with a seed for each picture that is missing."""

    class_name: str
    folder: Path
    asked: tuple[SamplePrompt, ...]
    caption: str


def run(context: JobContext) -> dict[str, Any]:
    """Arguments of the job: `options` (of `RegularisingOptions`), and `classes`: for each `class`, `folder` (path),
    `wanted` (how many there are to be) and `elsewhere` (how many of them lie, or are of no use, outside of what is
    counted here).

    The result names the folders with what was made, and the seconds that each picture took.
    """
    job = context.job
    assert job.settings is not None
    options = job_options.regularising(job.arguments["options"])
    base = as_trained(recognise(job.settings.pretrained_model_name_or_path), job.settings)
    device = devices.choose(job.device, full_size=base.size == "sdxl")
    context.announce(devices.describe(device))
    model_name = name_of_snapshot(base.path) or base.path.stem
    with context.phase("looking at what is there"):
        series = [_series(context, entry, options, model_name) for entry in job.arguments["classes"]]
    missing = sum(len(each.asked) for each in series)
    if not missing:
        return {**_result(series, {}, 0.0), "message": "All are there already.", "complete": True}
    vae = recognise_vae(job.settings.vae) if job.settings.vae else None
    easel = Easel(context, model_to_draw_with(context, base, device, vae), device, options.batch_size)
    made: dict[str, int] = {}
    stopped = False
    try:
        easel.prepare([each.asked[0] for each in series if each.asked])
        with context.phase(MAKING, missing, UNIT) as progress:
            for each in series:
                for prompt, picture in easel.drawn(each.asked, progress):
                    path = _keep(each, prompt, picture, model_name)
                    made[each.class_name] = made.get(each.class_name, 0) + 1
                    context.emit("sample", step=0, path=path, prompt=prompt.prompt, seed=prompt.seed, weight=0.0)
                    progress(progress.done + 1)
    except Stopped:
        stopped = True
    count = sum(made.values())
    seconds = easel.seconds / count if count else 0.0
    said = f"{plural(count, 'picture')} made, {seconds:.1f} s each." if count else "Stopped before a picture was made."
    if stopped and count:
        said += f" {missing - count:,} are still to come: the same goes on from there."
    return {**_result(series, made, seconds), "message": said, "complete": not stopped}


def _series(context: JobContext, entry: dict[str, Any], options: RegularisingOptions, model: str) -> Series:
    """What is still missing of one class: the first seeds that no picture here was drawn from."""
    assert context.job.settings is not None
    class_name, folder = str(entry["class"]), Path(str(entry["folder"]))
    width, height = options.size(context.job.settings.size)
    first = SamplePrompt(
        options.prompt_for(class_name),
        width,
        height,
        options.seed,
        options.negative_prompt,
        options.steps,
        options.guidance,
        options.sampler,
    )
    files = picture_files(folder)[0] if folder.is_dir() else []
    there = len(files) - _left_out(context, files) + int(entry.get("elsewhere", 0))
    missing = max(0, int(entry["wanted"]) - there)
    known: set[int] = set()
    for path in [*files, *_put_away(context, folder)] if missing else []:
        context.raise_if_stopped()
        text = read(path)
        seed = seed_of(text)
        if seed is not None and text == parameters(replace(first, seed=seed), model):
            known.add(seed)
    seeds: list[int] = []
    seed = options.seed
    while len(seeds) < missing:
        if seed not in known:
            seeds.append(seed)
        seed += 1
    caption = {"class": class_name, "prompt": first.prompt}.get(options.captions, "")
    return Series(class_name, folder, tuple(replace(first, seed=seed) for seed in seeds), caption)


def _left_out(context: JobContext, files: list[Path]) -> int:
    """How many of them the project leaves out of its training."""
    project, left_out = context.job.project, set(context.job.left_out)
    if project is None or not left_out:
        return 0
    return sum(path.is_relative_to(project) and path.relative_to(project).as_posix() in left_out for path in files)


def _put_away(context: JobContext, folder: Path) -> list[Path]:
    """Pictures of this folder that somebody threw away: the same ones are not drawn again."""
    if context.job.project is None:
        return []
    trash = context.job.project / ".lora-tui" / "trash"
    return [path for path in trash.glob(f"*/{glob.escape(folder.name)}/*.png") if path.is_file()]


class Easel:
    """Draws series of pictures, several at a time as far as the memory allows. seconds: what that has taken."""

    def __init__(self, context: JobContext, model: SDXL, device: torch.device, batch: int) -> None:
        self.context, self.model, self.device, self.batch = context, model, device, batch
        self.seconds = 0.0
        self._sampler = Sampler(model.unet, model.vae, model.scheduler_config, device, autocast_on(device))
        self._encoded: dict[tuple[str, str], EncodedPrompt] = {}

    def prepare(self, prompts: list[SamplePrompt]) -> None:
        """Encode the prompts, one of each series; then the text encoders are needed no more."""
        context = self.context
        reading, beyond = reading_for(self.model.tokenizer, texts_of(prompts))
        if beyond:
            message = (
                f"The longest prompt has {beyond} tokens more than {reading.max_tokens}; what is beyond is cut off."
            )
            context.warn("prompt-cut", message)
        texts = Texts((context.job.project or context.run.path) / "cache", self.model, self.device, reading)
        with context.phase("reading the prompt"):
            known = texts.load(texts_of(prompts), lambda _done, _total: context.raise_if_stopped())
        self._encoded = {(p.prompt, p.negative): encode(p, known) for p in prompts}
        self.model.text_encoders_to("cpu")
        self.model.let_text_encoders_go()
        devices.give_back(self.device)

    def drawn(self, asked: tuple[SamplePrompt, ...], progress: Progress) -> Iterator[tuple[SamplePrompt, Image.Image]]:
        """Each prompt with its picture, in order. Raises Stopped, and UserError "out-of-memory"."""
        at = 0
        while at < len(asked):
            now = asked[at : at + self.batch]
            began = time.monotonic()
            pictures = self._batch(now, progress)
            if pictures is None:
                self._make_room(len(now))
                continue
            self.seconds += time.monotonic() - began
            yield from zip(now, pictures, strict=True)
            at += len(now)

    def _batch(self, asked: tuple[SamplePrompt, ...], progress: Progress) -> list[Image.Image] | None:
        """The pictures; None where the memory was too small, so that nothing of the try is held any more. The VAE has
        gone to tiles by itself then, where that helps it."""
        tile = self._sampler.tile
        encoded = [replace(self._encoded[one.prompt, one.negative], asked=one) for one in asked]
        try:
            pictures = self._sampler.pictures(encoded, lambda done, all_: self._tell(progress, done, all_), len(asked))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None
        if self._sampler.tile != tile:
            message = f"The memory was too small: the VAE works in tiles of {self._sampler.tile} pixels from now on."
            self.context.emit("oom", step=0, message=message, change={"vae_tile": self._sampler.tile})
        return pictures

    def _tell(self, progress: Progress, done: int, total: int) -> None:
        """How many pictures there are, and how far those under way are."""
        progress.unit = f"{UNIT}, step {done} of {total}"
        progress(progress.done)

    def _make_room(self, tried: int) -> None:
        devices.give_back(self.device)
        if tried == 1:
            raise UserError(
                "out-of-memory",
                "There is too little free memory to draw even one picture of this size.",
                "Close other programs that use the card, or draw them smaller: resolution under [regularising].",
            )
        self.batch = tried // 2
        message = f"The memory was too small for {tried} pictures at once: {self.batch} from now on."
        self.context.emit("oom", step=0, message=message, change={"batch_size": self.batch})


def _keep(series: Series, prompt: SamplePrompt, picture: Image.Image, model: str) -> Path:
    """Write a picture and its caption, never over anything; the picture last, so that it never lacks its caption."""
    path = _free_place(series, prompt.seed)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if series.caption:
            atomic_write(path.with_suffix(".txt"), series.caption)
    about, buffer = PngInfo(), io.BytesIO()
    about.add_text(CHUNK, parameters(prompt, model))
    picture.save(buffer, "PNG", pnginfo=about)
    atomic_write(path, buffer.getvalue())
    return path


def _free_place(series: Series, seed: int) -> Path:
    """`man_00042.png`, or `man_00042-2.png` where a picture or its caption has that name. The caption of a picture that
    did not come any more, as somebody pulled the plug, is taken for its own."""
    stem, number = f"{series.class_name}_{seed:0{_DIGITS}}", 1
    while True:
        path = series.folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        caption = path.with_suffix(".txt")
        free = not os.path.lexists(path)
        if free and (not os.path.lexists(caption) or _is_ours(caption, series.caption)):
            return path
        number += 1


def _is_ours(caption: Path, words: str) -> bool:
    try:
        return bool(words) and caption.read_bytes() == words.encode()
    except OSError:
        return False


def _result(series: list[Series], made: dict[str, int], seconds: float) -> dict[str, Any]:
    first = next((each.asked[0] for each in series if each.asked), None)
    return {
        "classes": [
            {"class": each.class_name, "folder": str(each.folder), "made": made.get(each.class_name, 0)}
            for each in series
        ],
        "made": sum(made.values()),
        "seconds_each": seconds,
        "size": [first.width, first.height] if first else None,
        "steps": first.steps if first else None,
    }
