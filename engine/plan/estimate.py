"""What a training comes to before it: the memory by part, whether it fits on a GPU, what to change, the time, the disk.

Only arithmetic: the memory from `memory.bill`, the fixes from `memory_fixes`; the GPU, the pace and what
the disk has free are told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from engine.plan.dataset import Dataset
from engine.plan.disk import FILE_BYTES, LAYERS, DiskUse, disk_use, lora_sizes
from engine.plan.errors import Finding
from engine.plan.gpu_room import fits_tightly, room
from engine.plan.gpus import Gpu
from engine.plan.hardware_checks import check_gpu, mended, unable
from engine.plan.memory import Bill
from engine.plan.memory_fixes import Fix, fixes_on
from engine.plan.optimizer_states import counted_as
from engine.plan.pace import Pace
from engine.plan.prediction import predictor, without_samples
from engine.plan.real_batches import Epoch
from engine.plan.settings import Settings
from engine.plan.trained_parts import rates

PARTS: Mapping[str, str] = {
    "unet": "base model (U-Net)",
    "text_encoders": "text encoders",
    "vae": "VAE",
    "lora": "LoRA",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "activations": "the step itself",
    "cuda_context": "driver",
    "reserve": "reserve of PyTorch",
}
"""What each part of the memory is called."""
PHASES: Mapping[str, str] = {"caching": "caching", "training": "training", "sampling": "sample pictures"}


@dataclass(frozen=True)
class Estimate:
    """gpu: what it is held against, None where there is none. fixes: empty where it fits. steps: 0 where there are no
    pictures to count by. pace: None where nothing tells it. lora_bytes, modules: of the LoRA file. disk: None where
    there are no pictures to count by. free_bytes: of the project's disk, None where nobody tells."""

    bill: Bill
    gpu: Gpu | None
    fixes: tuple[Fix, ...]
    lora_bytes: int
    modules: int
    steps: int
    pace: Pace | None
    disk: DiskUse | None = None
    free_bytes: int | None = None
    findings: tuple[Finding, ...] = ()
    """What else does not run on the GPU, or badly. What cannot run there at all is counted as mended."""
    no_gpu: str = ""
    """Why there is no GPU to hold it against, where the machine tells."""
    epoch: Epoch | None = None
    """What it was counted for; None where there are no pictures."""
    optimizer: str = ""
    """A sentence on how the optimizer was counted, where it is not known or may keep less on the GPU."""

    @property
    def room(self) -> int | None:
        """The bytes that the GPU has for it; None where nobody tells."""
        return room(self.gpu) if self.gpu is not None else None

    @property
    def needs(self) -> int:
        """Bytes that the training cannot do without, context and reserve among them."""
        return without_samples(self.bill)

    @property
    def mends(self) -> dict[str, object]:
        """The options without which it cannot run on the GPU at all, as they are counted here: empty where it can."""
        return {name: value for finding in unable(self.findings) for name, value in finding.changes.items()}

    @property
    def fits(self) -> bool | None:
        """Whether there is memory enough; None where it is held against nothing."""
        return None if self.room is None else self.needs <= self.room

    @property
    def fits_tightly(self) -> bool:
        """Whether it fits only just."""
        return self.room is not None and fits_tightly(self.needs, self.room)

    @property
    def needs_after_fixes(self) -> int:
        """The same with all the fixes made."""
        return self.needs - sum(fix.saves_bytes for fix in self.fixes)

    @property
    def fits_after_fixes(self) -> bool | None:
        """Whether the fixes suffice; None where it is held against nothing."""
        return None if self.room is None else self.needs_after_fixes <= self.room

    @property
    def fits_when_idle(self) -> bool | None:
        """Whether it fits once nothing else takes memory of the GPU; None where nobody tells how much it has."""
        total = self.gpu.total_bytes if self.gpu is not None else None
        return None if total is None else self.needs <= total

    @property
    def samples_in_tiles(self) -> bool:
        """Whether sample pictures need more than there is, so that the engine draws them piece by piece."""
        return self.room is not None and self.bill.phases["sampling"] > self.room

    def as_json(self) -> dict[str, object]:
        """As `estimate --json` prints it; bytes and seconds. peak_bytes: of all phases, sample pictures drawn whole
        among them; needs_bytes: of all but those, which is what has to fit. largest_batch: the most pictures that a GPU
        has at once; null where there are none to count by. runs: false where something has to be changed before it
        can run there at all; all figures are those after these changes, which are among the warnings."""
        gpu = self.gpu
        return {
            "peak_bytes": self.bill.peak_bytes,
            "needs_bytes": self.needs,
            "step_bytes": self.bill.step_bytes,
            "parts": dict(self.bill.parts),
            "phases": dict(self.bill.phases),
            "gpu": None
            if gpu is None
            else {
                "name": gpu.name,
                "total_bytes": gpu.total_bytes,
                "free_bytes": gpu.free_bytes,
                "here": gpu.here,
                "users": [asdict(user) for user in gpu.users],
            },
            "no_gpu": self.no_gpu or None,
            "runs": not self.mends,
            "fits": self.fits,
            "fits_when_idle": self.fits_when_idle,
            "fits_after_fixes": self.fits_after_fixes,
            "lora_bytes": self.lora_bytes,
            "modules": self.modules,
            "steps": self.steps,
            "optimizer": self.optimizer or None,
            "largest_batch": None if self.epoch is None else self.epoch.largest_batch,
            "seconds_per_step": None if self.pace is None else self.pace.seconds_per_step,
            "pace": None if self.pace is None else self.pace.source,
            "disk": None if self.disk is None else self.disk.as_json() | {"free_bytes": self.free_bytes},
            "warnings": [finding.as_json() for finding in self.findings],
            "fixes": [fix.as_json() for fix in self.fixes],
        }


def estimate(
    settings: Settings,
    dataset: Dataset | None,
    gpu: Gpu | None,
    pace: Pace | None = None,
    correction: Callable[[Gpu], float] = lambda gpu: 1.0,
    free_bytes: int | None = None,
) -> Estimate:
    """For a training of full-size SDXL. dataset: None where there are no pictures yet; then the resolution counts.

    correction: by how much runs on such a GPU took more than was predicted. free_bytes: of the project's disk.
    """
    factor = correction(gpu) if gpu is not None else 1.0
    predict = predictor(settings, dataset, factor)
    findings = tuple(check_gpu(settings, gpu)) if gpu is not None else ()
    settings = mended(settings, findings)
    sizes = lora_sizes(settings, "sdxl")
    groups = [*rates(settings), *(("residual", "conv") if settings.train_unet and settings.conv_dim else ())]
    return Estimate(
        predict.bill(settings),
        gpu,
        tuple(fixes_on(settings, gpu, predict)) if gpu is not None else (),
        sizes.whole * FILE_BYTES[settings.save_precision],
        sum(LAYERS["sdxl"][group].count for group in groups),
        dataset.steps.total if dataset is not None else 0,
        pace,
        disk_use(settings, dataset, None) if dataset is not None else None,
        free_bytes,
        findings,
        epoch=predict.epoch(settings),
        optimizer=counted_as(settings.optimizer_type),
    )
