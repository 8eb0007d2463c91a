"""Sample pictures in the middle of training, with the modules that are being trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from engine.context import JobContext, Stopped
from engine.device import give_back
from engine.generate.prompts import Encode
from engine.generate.sampler import Sampler
from engine.generate.sheets import save_png
from engine.out_of_memory import is_out_of_memory
from engine.plan import sample_prompts
from engine.plan.errors import inert
from engine.plan.sample_prompts import SamplePrompt


def why(error: Exception) -> str:
    """Why a picture could not be made, in one line for people."""
    if is_out_of_memory(error):
        return "there is too little free memory for them (smaller samples need less)."
    return inert((str(error).splitlines() or [type(error).__name__])[0], 300)


@dataclass
class SampleMaker:
    """`prompts` are drawn again and again; `default` holds what a prompt asked for in between does not say, and
    `encode` turns prompts into what the U-Net is given. Within `as_saved()` the LoRA is as a file of it would be.
    `told_tile`: of the sampler's tiles, which the run was told of."""

    context: JobContext
    sampler: Sampler
    prompts: Sequence[SamplePrompt]
    default: SamplePrompt
    encode: Encode
    as_saved: Callable[[], AbstractContextManager[None]]
    told_tile: int | None = None

    def make(self, step: int, again: bool = False) -> bool:
        """The sample pictures after `step`; with `again` only those that are not there yet. False where that failed,
        which is reported and never ends the training, or was stopped."""
        prompts = self._seeded(self.prompts, step)
        names = [f"step{step:08d}_{number:02d}_{p.seed}.png" for number, p in enumerate(prompts)]
        paths = [self.context.run.samples_dir / name for name in names]
        there = [again and path.is_file() for path in paths]
        missing = [prompt for prompt, known in zip(prompts, there, strict=True) if not known]
        try:
            pictures = iter(self._pictures(missing, step) if missing else [])
            for prompt, path, known in zip(prompts, paths, there, strict=True):
                self._keep(prompt, path, None if known else next(pictures), step)
        except Stopped:
            return False  # the loop sees the request itself; these pictures are made when the training goes on
        except Exception as error:
            message = f"The sample pictures at step {step} could not be made, training goes on: {why(error)}"
            self.context.warn("sample-failed", message)
            short = is_out_of_memory(error)
        else:
            return True
        if short:
            give_back(self.sampler.device)  # outside of the handler, whose error holds on to what was computed
        return False

    def make_asked(self, step: int, prompt: str | None, seed: int | None, name: str) -> list[Path]:
        """Pictures that somebody wants to see now: of `prompt` (a prompt line), or of the usual prompts.

        `seed` None: the prompt's own. Returns the files. Raises UserError for a line that cannot be read, Stopped, and
        what goes wrong while drawing.
        """
        seeded = f" --d {seed}" if seed is not None else ""
        if prompt is not None and prompt.strip():
            wanted: Sequence[SamplePrompt] = [sample_prompts.parse(prompt + seeded, self.default)]
        elif seed is not None:
            wanted = [sample_prompts.with_seed(usual, seed) for usual in self.prompts]
        else:
            wanted = self.prompts
        wanted = self._seeded(wanted, step, name)
        paths = []
        for number, (asked, picture) in enumerate(zip(wanted, self._pictures(wanted, step), strict=True)):
            suffix = f"_{number:02d}" if len(wanted) > 1 else ""
            paths.append(self.context.run.samples_dir / f"step{step:08d}_asked_{name}{suffix}.png")
            self._keep(asked, paths[-1], picture, step, asked=True)
        return paths

    def _seeded(self, prompts: Sequence[SamplePrompt], step: int, purpose: str = "") -> list[SamplePrompt]:
        """Those that want another seed each time have one now."""
        return [
            sample_prompts.seeded(prompt, self.default.seed, step, number, purpose)
            for number, prompt in enumerate(prompts)
        ]

    def _pictures(self, wanted: Sequence[SamplePrompt], step: int) -> list[Image.Image]:
        with self.context.phase("sampling", unit="steps") as progress, self.as_saved():
            pictures = self.sampler.pictures(self.encode(wanted), progress)
        if self.sampler.tile != self.told_tile:
            self.told_tile = self.sampler.tile
            message = (
                f"The memory is too small to draw a sample as a whole: they are drawn in tiles of {self.sampler.tile} "
                "pixels from now on, which changes their colours a little. The training is as it was."
            )
            self.context.emit("oom", step=step, message=message, change={"sample_tile": self.sampler.tile})
        return pictures

    def _keep(
        self, prompt: SamplePrompt, path: Path, picture: Image.Image | None, step: int, asked: bool = False
    ) -> None:
        """Write the picture and tell of it; None: it is there already, and only the telling may be missing."""
        if picture is not None:
            save_png(picture, path)
        self.context.emit(
            "sample",
            step=step,
            path=path,
            prompt=prompt.prompt,
            seed=prompt.seed,
            weight=1.0,
            **({"asked": True} if asked else {}),
        )
