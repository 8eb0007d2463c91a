"""A micro SDXL folder with random weights: real classes and real files, made in a second."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from engine.demo import architecture
from engine.demo.vocabulary import write_tokenizers
from engine.plan.base_model import BaseModel

PARTS_OF_THE_PIPELINE = {
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
}


def base_of(path: Path) -> BaseModel:
    """As `recognise` describes it, without its checks: what is broken here must be told by the loader."""
    return BaseModel("diffusers-folder" if path.is_dir() else "single-file", path, "micro", "epsilon", 16)


def write_micro_folder(folder: Path, vocabulary_size: int | None = None) -> Path:
    """fp16, as the shipped model. Norms and biases are random too, or exchanged ones would go unnoticed."""
    write_tokenizers(folder)
    vocabulary = json.loads((folder / "tokenizer" / "vocab.json").read_text(encoding="utf-8"))
    torch.manual_seed(0)
    first, second = architecture.text_encoders(vocabulary_size or len(vocabulary))
    parts = {"unet": architecture.unet(), "vae": architecture.vae(), "text_encoder": first, "text_encoder_2": second}
    for part, module in parts.items():
        for weight in module.parameters():
            torch.nn.init.normal_(weight, std=0.1)
        module.half().save_pretrained(folder / part)
    architecture.scheduler().save_pretrained(folder / "scheduler")
    index = {"_class_name": "StableDiffusionXLPipeline", **PARTS_OF_THE_PIPELINE}
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder
