"""Length, saving and precision."""

from __future__ import annotations

from typing import Literal

from engine.plan.option import OptionGroup, option

BaseWeights = Literal["full", "fp8", "nf4"]
Attention = Literal["sdpa", "xformers"]


class TrainingOptions(OptionGroup):
    """Length, saving and precision."""

    # fmt: off
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
    num_processes: int = option(
        1, "GPUs to train on", "Training",
        "Trains on this machine's first n GPUs together: each takes a batch of its own, so that two act like twice the "
        "batch size in half the steps.",
        usual="1", guide="1", limits=(1, 64),
        words="multi-gpu several cards parallel accelerate distributed speed",
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
    save_every_n_steps: int = option(
        0, "Save every n steps", "Training",
        "Keeps a LoRA after every n-th step as well, to look closely at how it learns; 0 keeps those of epochs only.",
        usual="0, or 100 to 500", guide="not set", limits=(0, 10_000_000),
        words="overfitting disk files", step=50,
    )
    save_last_n_epochs: int = option(
        0, "Epochs' LoRAs to keep", "Training",
        "Of the LoRAs saved at epochs, only the newest n stay and the training removes its older ones; 0 keeps all. "
        "The finished LoRA always stays.",
        usual="0", guide="not set (all are kept)", limits=(0, 100_000),
        words="disk space files thin remove",
    )
    save_last_n_steps: int = option(
        0, "Steps' LoRAs to keep", "Training",
        "Of the LoRAs saved at steps, only those of the last n steps stay and the training removes its older ones; "
        "0 keeps all.",
        usual="0", guide="not set (all are kept)", limits=(0, 10_000_000),
        words="disk space files thin remove", step=50,
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
    allow_smaller_buckets: bool = option(
        False, "Smaller pictures if needed", "Training",
        "When GPU memory runs out and nothing else helps, pictures are trained smaller from then on, at three quarters "
        "and then half of the resolution; off, the training stops there and can be resumed.",
        usual="off, on for a night that must not be lost", guide="not there (the training ends)",
        words="memory vram out of memory oom resolution bucket limit",
    )
    base_weights: BaseWeights = option(
        "full", "Weights of the base model", "Training",
        "How exactly the base model is kept while a LoRA learns on it: full needs 5.1 GB of GPU memory, fp8 (8 bits) "
        "2.6, nf4 (4 bits) 1.5. The LoRA itself stays exact; the model under it is a little coarser, and steps take "
        "longer.",
        usual="full, or fp8 on a card with 8 GB", guide="full",
        words="memory vram out of memory oom fp8_base quantised 4bit 8bit bitsandbytes qlora small",
    )
    attention: Attention = option(
        "sdpa", "Attention", "Training",
        "What calculates the attention of the U-Net, with the same result: sdpa is PyTorch's own, xformers a package "
        "that must be installed for it and is hardly ever faster.",
        usual="sdpa", guide="xformers",
        words="xformers sdpa mem_eff_attn memory vram speed",
    )
    # fmt: on
