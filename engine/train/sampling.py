"""Sample pictures in the middle of training, with the modules that are being trained."""

from __future__ import annotations

from dataclasses import dataclass

from engine.context import JobContext, Stopped
from engine.generate.sampler import EncodedPrompt, Sampler
from engine.generate.sheets import save_png
from engine.plan.errors import UserError


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
        except (Stopped, UserError):
            return  # the loop sees the request itself; these pictures are left out
        except Exception as error:
            self.context.warn("sample-failed", f"The sample pictures at step {step} could not be made: {error}")
            return
        for number, (prompt, picture) in enumerate(zip(self.prompts, pictures, strict=True)):
            path = self.context.run.samples_dir / f"step{step:08d}_{number:02d}_{prompt.asked.seed}.png"
            save_png(picture, path)
            self.context.emit(
                "sample", step=step, path=path, prompt=prompt.asked.prompt, seed=prompt.asked.seed, weight=1.0
            )
