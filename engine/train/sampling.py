"""Sample pictures in the middle of training, with the modules that are being trained."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from engine.context import JobContext, Stopped
from engine.generate.sampler import EncodedPrompt, Sampler
from engine.generate.sheets import save_png
from engine.plan.errors import inert


@dataclass
class SampleMaker:
    """Sample pictures in the middle of training. A failing one is reported and never ends the training."""

    context: JobContext
    sampler: Sampler
    prompts: list[EncodedPrompt]

    def make(self, step: int, epoch: int) -> None:
        try:
            with self.context.phase("sampling", unit="steps") as progress:
                pictures = self.sampler.pictures(self.prompts, progress)
            self._keep(pictures, step)
        except Stopped:
            return  # the loop sees the request itself; these pictures are left out
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            message = f"The sample pictures at step {step} could not be made, training goes on: {inert(reason, 300)}"
            self.context.warn("sample-failed", message)

    def _keep(self, pictures: list[Image.Image], step: int) -> None:
        for number, (prompt, picture) in enumerate(zip(self.prompts, pictures, strict=True)):
            path = self.context.run.samples_dir / f"step{step:08d}_{number:02d}_{prompt.asked.seed}.png"
            save_png(picture, path)
            self.context.emit(
                "sample", step=step, path=path, prompt=prompt.asked.prompt, seed=prompt.asked.seed, weight=1.0
            )
