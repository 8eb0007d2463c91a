"""Every option of a training, declared once: name (sd-scripts' own), type, limits, default and words for a newcomer.

The form, the command line, the checks and the documentation all read this declaration. How layers of values become
one `Settings` stands in `settings.py`, what an option is made of in `option.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from engine.plan.errors import UserError
from engine.plan.option import Option, describe, option
from engine.plan.option_values import is_plain_name, parse_optimizer_args, parse_resolution
from engine.plan.sample_prompts import parse as parse_prompt

PRODIGY_ARGS = ("weight_decay=0.01", "decouple=True", "d0=0.0001", "use_bias_correction=True")
"""The guide's arguments for Prodigy."""


class Settings(BaseModel):
    """The resolved options of one training. Frozen; made by `engine.plan.settings.resolve`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)

    # fmt: off
    # ------------------------------------------------------------------------------------------------ model and names
    pretrained_model_name_or_path: str = option(
        "", "Base model", "Model",
        "The SDXL model that the LoRA is trained on and will be used with: a .safetensors file, a diffusers folder, "
        'or the word "micro" for the small practice model that comes with the program.',
        usual="a path", guide="juggernautXL_version3.safetensors",
    )
    output_name: str = option(
        "", "Name of the LoRA", "Model",
        "The file name of the finished LoRA without its ending; left empty, the project's name is used.",
        usual="the project's name", guide="the trigger word",
    )
    training_comment: str = option(
        "", "Comment", "Model",
        "A line that is kept inside the LoRA file, where people look for the trigger word; left empty, it says so.",
        usual="trigger: WORD", guide="trigger: your trigger word",
    )
    caption_extension: str = option(
        ".txt", "Ending of caption files", "Pictures",
        "Which file beside a picture holds its caption; with the wrong ending all captions are silently missed.",
        usual=".txt or .caption", guide=".txt",
        page="basic", words="txt caption files",
    )

    # --------------------------------------------------------------------------------------------------------- length
    train_batch_size: int = option(
        2, "Batch size", "Training",
        "How many pictures are learnt from at once: more needs more GPU memory and makes fewer, smoother steps.",
        usual="1 to 8", guide="2 (1 when memory runs out)", limits=(1, 1024),
        page="basic", words="memory vram speed out of memory oom",
    )
    gradient_accumulation_steps: int = option(
        1, "Batches per step", "Training",
        "Collects this many batches before each step: acts like a larger batch without needing its memory.",
        usual="1 to 8", guide="1", limits=(1, 1024),
        words="memory batch effective batch size",
    )
    max_train_epochs: int = option(
        4, "Epochs", "Training",
        "How often all pictures with their repeats are gone through; too many and the LoRA copies its pictures "
        "instead of learning the subject. The number of steps follows from it.",
        usual="2 to 20", guide="4", limits=(1, 100_000),
        page="basic", words="overfitting overtraining length duration steps time",
    )
    save_every_n_epochs: int = option(
        1, "Save every n epochs", "Training",
        "Keeps a LoRA after every n-th epoch, so that you can pick the best one afterwards; 0 keeps only the last.",
        usual="1 to 10", guide="1", limits=(0, 100_000),
        page="basic", words="overfitting disk files",
    )
    seed: int = option(
        42, "Seed", "Training",
        "Where the random numbers start: the same seed, pictures and settings give the same LoRA.",
        usual="any whole number", guide="not set (a different result each time)", limits=(0, 2**32 - 1),
        words="random reproduce",
    )
    checkpoint_every_n_steps: int = option(
        250, "Checkpoint every n steps", "Training",
        "Saves the whole state of the training after every n steps, so that a crash or a lost machine costs at most "
        "these; 0 saves it only when the training stops or ends.",
        usual="100 to 500", guide="not there (a crash loses the training)", limits=(0, 10_000_000),
        words="crash resume disk save state", step=50,
    )
    keep_last_n_checkpoints: int = option(
        2, "Checkpoints to keep", "Training",
        "How many of these states stay on the disk, the newest ones; with rank 96 and Prodigy each is about 5 GB.",
        usual="1 or 2", guide="not there", limits=(1, 1000),
        words="disk space resume",
    )
    mixed_precision: Literal["no", "fp16", "bf16"] = option(
        "bf16", "Precision while training", "Training",
        "How exactly the model is calculated: bf16 is fast and safe on newer GPUs (NVIDIA from the RTX 30 series on), "
        "fp16 is for older ones, no is slow and exact.",
        usual="bf16", guide="bf16 (fp16 on an older GPU)",
        page="basic", words="memory vram speed bf16 fp16 half",
    )
    save_precision: Literal["float", "fp16", "bf16"] = option(
        "bf16", "Precision of the file", "Training",
        "How exactly the LoRA is saved: float doubles the size of the file and makes no difference you could see.",
        usual="bf16 or fp16", guide="bf16",
        page="basic", words="file size disk",
    )
    gradient_checkpointing: bool = option(
        True, "Gradient checkpointing", "Training",
        "Saves most of the GPU memory of a step for about a third more time; the result stays the same.",
        usual="on", guide="on",
        words="memory vram out of memory oom slower",
    )

    # ------------------------------------------------------------------------------------------------------- learning
    optimizer_type: Literal["Prodigy", "AdamW"] = option(
        "Prodigy", "Optimizer", "Learning",
        "How the LoRA is changed at each step: Prodigy finds the right size of a step by itself, AdamW takes the "
        "learning rate you give it.",
        usual="Prodigy", guide="Prodigy",
        page="basic", words="memory prodigy adamw",
    )
    learning_rate: float = option(
        1.0, "Learning rate", "Learning",
        "How far each step goes. With Prodigy it multiplies a step size that Prodigy finds by itself and stays at 1.0; "
        "the guide's 0.0001 to 0.0003 would make Prodigy learn almost nothing, that range is meant for AdamW.",
        usual="1.0 with Prodigy, 0.00005 to 0.0005 with AdamW",
        guide="0.0001 to 0.0003 (with Prodigy a mistake: the preset it starts from says 1.0)",
        limits=(0.0, 100.0),
        page="basic", words="lr rate speed overfitting", step=0.1,
    )
    optimizer_args: tuple[str, ...] = option(
        PRODIGY_ARGS, "Arguments for the optimizer", "Learning",
        "Further settings of the optimizer as name=value; the guide's own fit Prodigy and nothing else.",
        usual="the guide's for Prodigy, none for AdamW", guide=" ".join(PRODIGY_ARGS),
        page="basic", words="prodigy d0 weight decay",
    )
    max_grad_norm: float = option(
        1.0, "Limit of the gradient", "Learning",
        "Shortens a step that one odd batch would make too long; 0 switches the limit off.",
        usual="1.0", guide="1.0", limits=(0.0, 1e6),
        words="gradient clipping stability", step=0.1,
    )

    # ---------------------------------------------------------------------------------------------- pictures and sizes
    resolution: str = option(
        "1024,1024", "Resolution", "Pictures",
        "The size, width,height in pixels, that pictures are trained at; SDXL was made for 1024,1024 and learns poorly "
        "far below it.",
        usual="1024,1024", guide="1024,1024",
        page="basic", words="memory vram size pixels detail",
    )
    enable_bucket: bool = option(
        True, "Buckets", "Pictures",
        "Groups pictures of the same shape, so that wide and tall ones keep their shape; off, every picture is cropped "
        "to the one resolution.",
        usual="on", guide="on",
        page="basic", words="aspect ratio crop",
    )
    bucket_no_upscale: bool = option(
        True, "Never enlarge pictures", "Pictures",
        "Small pictures are trained at their own size instead of being blown up, which would teach blur.",
        usual="on", guide="on",
        words="small pictures blur",
    )
    bucket_reso_steps: int = option(
        32, "Step between bucket sizes", "Pictures",
        "Bucket sides are multiples of this many pixels: a smaller step crops less; SDXL needs a multiple of 32.",
        usual="32 or 64", guide="32", limits=(8, 1024),
        words="aspect ratio crop", step=32,
    )
    min_bucket_reso: int = option(
        256, "Shortest bucket side", "Pictures",
        "No bucket has a side under this many pixels; only counts where small pictures may be enlarged.",
        usual="256", guide="256", limits=(8, 16384),
        words="aspect ratio", step=32,
    )
    max_bucket_reso: int = option(
        2048, "Longest bucket side", "Pictures",
        "No bucket has a side over this many pixels; only counts where small pictures may be enlarged.",
        usual="2048", guide="2048", limits=(8, 16384),
        words="aspect ratio", step=32,
    )

    # -------------------------------------------------------------------------------------------------------- network
    network_dim: int = option(
        96, "Rank", "Network",
        "How much the LoRA can hold: more keeps finer detail, makes a larger file and copies pictures sooner. The file "
        "has about 5.3 MB per rank.",
        usual="8 to 128", guide="96", limits=(1, 1024),
        page="basic", words="rank dimension memory vram file size overfitting detail", step=8,
    )
    network_alpha: float = option(
        48.0, "Alpha", "Network",
        "How strongly the LoRA counts, against its rank: alpha / rank is the factor, 0.5 in the guide; half the alpha "
        "learns about half as fast.",
        usual="half the rank, or the rank itself", guide="48 (half the rank)", limits=(0.001, 4096.0),
        page="basic", words="alpha strength overfitting", step=8,
    )
    scale_weight_norms: float = option(
        5.0, "Limit of the weights", "Network",
        "Holds back parts of the LoRA that grow too strong, which helps it to work beside other LoRAs; 1 is strict, "
        "5 is loose, 0 is off.",
        usual="1 to 5, or 0", guide="5", limits=(0.0, 1000.0),
        page="basic", words="overfitting max norm burnt", step=0.5,
    )

    # ------------------------------------------------------------------------------------------- noise, loss, captions
    noise_offset: float = option(
        0.1, "Noise offset", "Noise and loss",
        "Lets the LoRA learn pictures that are very dark or very bright as a whole; too much makes all of them harsh.",
        usual="0 to 0.1 (SDXL itself was trained with 0.0357)", guide="0.1", limits=(0.0, 1.0),
        words="dark bright contrast", step=0.01,
    )
    caption_dropout_rate: float = option(
        0.1, "Rate of caption dropout", "Noise and loss",
        "Hides the caption this often (0.1: every tenth time), so that the look is also learnt without the words.",
        usual="0 to 0.1", guide="0.1", limits=(0.0, 1.0),
        words="overfitting captions", step=0.05,
    )
    min_snr_gamma: float = option(
        5.0, "Min-SNR gamma", "Noise and loss",
        "Evens out easy and hard noise levels, so that learning is quicker and steadier; 0 is off.",
        usual="5",
        guide="5 (it comes with the guide's preset, though the guide does not mention it)",
        limits=(0.0, 1000.0),
        words="snr loss weighting speed", step=0.5,
    )
    prior_loss_weight: float = option(
        1.0, "Regularisation weight", "Noise and loss",
        "How much regularisation pictures count beside your own: less learns your subject faster and forgets the plain "
        "class sooner.",
        usual="0.5 to 1", guide="1.0", limits=(0.0, 100.0),
        words="regularisation reg class overfitting leak", step=0.1,
    )

    # -------------------------------------------------------------------------------------------------------- samples
    sample_every_n_steps: int = option(
        250, "Sample every n steps", "Samples",
        "Draws a picture with the LoRA so far after every n steps, so that you see it learn; 0 draws none.",
        usual="100 to 500", guide="250", limits=(0, 10_000_000),
        page="samples", words="preview pictures time", step=50,
    )
    sample_at_first: bool = option(
        False, "Sample before training", "Samples",
        "Also draws the pictures before training starts, which shows what the base model does with the words alone.",
        usual="off", guide="off",
        page="samples", words="preview pictures",
    )
    sample_prompts: tuple[str, ...] = option(
        (), "Prompts for samples", "Samples",
        "What the samples show, with \" | \" between two prompts; --w, --h, --d (seed), --s (steps), --l (guidance) "
        "and --n (negative prompt) may follow each. Left empty: TRIGGER, a photo of a CLASS.",
        usual="1 to 4 prompts", guide="your trigger word, a photo of a man.",
        page="samples", words="preview pictures trigger",
    )

    # fmt: on
    # ------------------------------------------------------------------------------------------------ how text is read
    @field_validator("optimizer_args", mode="before")
    @classmethod
    def _split_arguments(cls, value: object) -> object:
        """sd-scripts' own form is a list; one text with spaces between the arguments is what GUIs keep."""
        parts = value.split() if isinstance(value, str) else value
        return tuple(parts) if isinstance(parts, list) else parts

    @field_validator("optimizer_args")
    @classmethod
    def _readable_arguments(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_optimizer_args(value)
        return value

    @field_validator("sample_prompts", mode="before")
    @classmethod
    def _prompt_lines(cls, value: object) -> object:
        """A list of prompts, or one text with a prompt a line; `#` starts a comment line, as in sd-scripts' file."""
        lines = value.splitlines() if isinstance(value, str) else value
        if isinstance(lines, list | tuple) and all(isinstance(line, str) for line in lines):
            return tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
        return tuple(lines) if isinstance(lines, list) else lines

    @field_validator("sample_prompts")
    @classmethod
    def _readable_prompts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for line in value:
            parse_prompt(line)
        return value

    @field_validator("resolution", mode="before")
    @classmethod
    def _canonical_resolution(cls, value: object) -> object:
        width, height = parse_resolution(value)
        return f"{width},{height}"

    @field_validator("caption_extension")
    @classmethod
    def _leading_dot(cls, value: str) -> str:
        ending = value if value.startswith(".") else f".{value}"
        if len(ending) < 2 or not is_plain_name(ending[1:]):
            raise UserError("bad-value", f'caption_extension must be a file ending such as ".txt", not "{value}".')
        return ending

    @field_validator("output_name")
    @classmethod
    def _plain_file_name(cls, value: str) -> str:
        if value and not is_plain_name(value):
            raise UserError(
                "bad-value",
                f'output_name must be a plain file name without folders, not "{value}".',
                "Finished LoRAs go to the project's model folder by themselves.",
            )
        return value.removesuffix(".safetensors")

    @property
    def size(self) -> tuple[int, int]:
        """The resolution as (width, height) in pixels."""
        return parse_resolution(self.resolution)

    @property
    def optimizer_kwargs(self) -> dict[str, object]:
        """`optimizer_args` as keyword arguments for the optimizer's class."""
        return parse_optimizer_args(self.optimizer_args)


@cache
def options() -> tuple[Option, ...]:
    """Every option, in the order of a form."""
    return tuple(describe(name, field) for name, field in Settings.model_fields.items())


@cache
def by_name() -> Mapping[str, Option]:
    """Every option by its name."""
    return {option.name: option for option in options()}
