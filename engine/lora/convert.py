"""The job that writes a LoRA file of any program anew, under the names of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.context import JobContext
from engine.lora import weights
from engine.lora.diffusers_format import in_diffusers_format
from engine.lora.kohya_format import in_kohya_format
from engine.plan.files import atomic_write


def run(context: JobContext) -> dict[str, Any]:
    """Arguments of the job: `lora`, the path of the file; `format`, kohya or diffusers (the default).

    The result names the new file in the run's output/.
    """
    context.announce("CPU")
    given, form = Path(context.job.arguments["lora"]), context.job.arguments.get("format", "diffusers")
    with context.phase("reading the LoRA"):
        file = weights.read(given)
    with context.phase("converting the LoRA"):
        path = context.run.output_dir / f"{given.stem}.safetensors"
        made = in_kohya_format(file) if form == "kohya" else in_diffusers_format(file)
        # The same bytes each time, so that who exports it twice has it once.
        atomic_write(path, weights.in_order(weights.with_hashes(dict(made.tensors), made.metadata)))
    return {"lora": str(path), "message": f"{given.name} in the format of {form}.", "complete": True}
