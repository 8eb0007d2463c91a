"""The engine's own training step on fake tensors, and what it needs, by part and by moment."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar, Literal
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.memory.fake_model import DTYPES, as_on_a_gpu, fake_sdxl
from benchmarks.memory.live import LiveStorage
from benchmarks.memory.recalled import Recalled
from engine.data.samples import MicroBatch
from engine.data.text_source import EncodedBatch, TokenisedBatch, TrainedBatch
from engine.lora.network import LoraNetwork
from engine.lora.norms import apply_max_norm_
from engine.models.reading import CHUNK, TokenIds
from engine.models.sdxl import SDXL
from engine.plan.disk import lora_sizes
from engine.plan.optimizer_states import state_elements
from engine.plan.settings import Settings
from engine.plan.trained_parts import encodes_ahead, rates, trains_text
from engine.train import loop
from engine.train.loop import Training, train_step
from engine.train.objective import Objective
from engine.train.optimizers import make_optimizer, to_optimize
from engine.train.parts import make_network
from engine.train.processes import ALONE

CPU = torch.device("cpu")
BY_FORMULA = frozenset({"AdamW8bit"})
"""Written in CUDA: their states are counted by their shapes, and they need nothing else."""


@dataclass(frozen=True)
class Counted:
    """Bytes. `parts`: what stays. `moments`: the most in each piece of the step, all that stays included. `peak`: the
    most of all."""

    parts: dict[str, int]
    moments: dict[str, int]
    peak: int
    lora_elements: int
    seconds: float


class Step(LiveStorage):
    """Answers what prodigyopt asks: whether a start is zero, as only the ups' are, and numbers that change nothing."""

    def __init__(self) -> None:
        super().__init__(Recalled())
        self.zeros: set[int] = set()  # storages
        self._zero = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.any.default:
            self._zero = args[0].untyped_storage()._cdata in self.zeros
        elif func is torch.ops.aten._local_scalar_dense.default:
            return not self._zero if args[0].dtype is torch.bool else 1.0
        return super().__torch_dispatch__(func, types, args, kwargs)


META = torch.device("meta")
Tensors = Literal["meta", "fake", "real"]


def simulate_step(
    settings: Settings,
    bucket: tuple[int, int],
    size: str = "sdxl",
    tensors: Tensors = "meta",
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Counted:
    """One optimizer step of a training that has made some already, with a whole batch of `bucket` (width, height).

    `tensors`: "meta" ones, which have a shape and no numbers; "fake" ones, the same that under FakeTensorMode say they
    are on the CPU, and take several times as long; or "real" ones on the CPU, with random weights. `around`: entered
    for the time of the step.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        if tensors == "fake":
            stack.enter_context(FakeTensorMode())
        stack.enter_context(as_on_a_gpu())
        built = _Built.newest if tensors == "meta" else None
        if built is None or built.key != _key(settings, size):
            _Built.newest = built = None  # what was built before goes first
            built = _Built.of(settings, size, tensors)
            _Built.newest = built if tensors == "meta" else None
        count, device = built.count, built.device
        limited = _counted(count, "max-norm", apply_max_norm_)
        stack.enter_context(patch.object(loop, "apply_max_norm_", limited))
        stack.enter_context(count)
        built.checkpoint(settings.gradient_checkpointing)
        before, stays = count.bytes, dict(built.stays)
        training = _training(settings, built.model, built.network, count, device)
        training.optimizer.step()
        stays["optimizer"] = count.bytes - before
        with device:
            batch = _batch(training, settings, bucket)
        objective = Objective.of(settings, device)
        count.restart()
        with around():
            if built.model.vae is not None:
                with count.phase("encoding"), torch.inference_mode():
                    built.model.vae.encode(torch.empty(1, 3, bucket[1], bucket[0], device=device))
            train_step(training, [batch], objective)
        counted = Counted(stays, dict(count.phases), count.peak, built.elements, round(time.monotonic() - began, 1))
        del training, batch, objective
        gc.collect()
        assert count.bytes - before <= 2**16, "something of the step is still alive"
    return counted


def _key(settings: Settings, size: str) -> tuple[Any, ...]:
    """What the models and their LoRA depend on."""
    names = (
        "network_dim",
        "conv_dim",
        "mixed_precision",
        "base_weights",
        "cache_latents",
        "use_ema",
    )
    kept = [getattr(settings, name) for name in names]
    return (size, *kept, encodes_ahead(settings), tuple(rates(settings)))


@dataclass
class _Built:
    """Models and LoRA, which several steps can be simulated with: building them takes longer than a step."""

    newest: ClassVar[_Built | None] = None

    key: tuple[Any, ...]
    model: SDXL
    network: LoraNetwork
    stays: dict[str, int]
    elements: int
    count: LiveStorage
    device: torch.device

    @classmethod
    def of(cls, settings: Settings, size: str, tensors: Tensors) -> _Built:
        count = LiveStorage() if tensors == "real" else Step()
        device = META if tensors == "meta" else CPU
        parts = ["unet"]
        parts += [] if encodes_ahead(settings) else ["text_encoder", "text_encoder_2"]
        parts += [] if settings.cache_latents else ["vae"]
        with count, device:
            model = fake_sdxl(settings, parts, size)
            stays = {"unet": _bytes(model.unet), "vae": _bytes(model.vae)}
            stays["text_encoders"] = _bytes(model.text_encoder) + _bytes(model.text_encoder_2)
            network = make_network(settings, model, device)
        elements = sum(flat.numel() for flat in network.parameters)
        average = [] if network.average is None else network.average.values
        stays["lora"] = sum(weight.nbytes for weight in (*network.parameters, *average))
        stays["gradients"] = 4 * elements
        if isinstance(count, Step):
            count.zeros = {part.ups.untyped_storage()._cdata for part in network.parts}
        gc.collect()
        if not 0 <= count.bytes - sum(stays.values()) <= 2**16:
            raise RuntimeError(f"{count.bytes} bytes are alive, and {stays} are known")
        return cls(_key(settings, size), model, network, stays, elements, count, device)

    def checkpoint(self, on: bool) -> None:
        """Switch gradient checkpointing as `make_network` does."""
        unet = self.model.unet
        unet.enable_gradient_checkpointing() if on else unet.disable_gradient_checkpointing()
        trained = {part.name for part in self.network.parts}
        for name, encoder in (
            ("text_encoder_1", self.model.text_encoder),
            ("text_encoder_2", self.model.text_encoder_2),
        ):
            if name in trained and on:
                encoder.gradient_checkpointing_enable({"use_reentrant": False})
            elif name in trained:
                encoder.gradient_checkpointing_disable()


def _bytes(module: nn.Module | None) -> int:
    if module is None:
        return 0
    kept = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in (*module.parameters(), *module.buffers())}
    return sum(kept.values())


def _training(settings: Settings, model: SDXL, network: LoraNetwork, count: LiveStorage, device: torch.device) -> Any:
    """What `train_step` looks at of a training."""
    optimizer: Any = _ByFormula(settings, device) if settings.optimizer_type in BY_FORMULA else None
    optimizer = optimizer or make_optimizer(settings, to_optimize(settings, network))
    dtype = DTYPES[settings.mixed_precision]

    def autocast() -> AbstractContextManager[Any]:
        if settings.mixed_precision == "no":
            return nullcontext()
        return torch.autocast("cpu", dtype, cache_enabled=False)

    training: Any = SimpleNamespace(
        dtype=dtype,
        model=model,
        accelerator=SimpleNamespace(
            autocast=autocast,
            backward=_counted(count, "backward", lambda loss: loss.backward()),
            clip_grad_norm_=_counted(count, "optimizer", torch.nn.utils.clip_grad_norm_),
        ),
        unet=model.unet,
        network=network,
        optimizer=SimpleNamespace(step=_counted(count, "optimizer", optimizer.step)),
        settings=settings,
        processes=ALONE,
    )
    training.predict = _counted(count, "forward", partial(Training.predict, training))
    return training


def _counted(count: LiveStorage, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        with count.phase(name):
            return call(*args, **kwargs)

    return counted


class _ByFormula:
    """An optimizer of which only the states are known."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self._device = device
        sizes = lora_sizes(settings, "sdxl")
        self._elements = state_elements(settings.optimizer_type, settings.optimizer_kwargs, sizes)
        self._state: Tensor | None = None

    def step(self) -> None:
        if self._state is None:
            self._state = torch.empty(self._elements, dtype=torch.float32, device=self._device)


def _batch(training: Any, settings: Settings, bucket: tuple[int, int]) -> MicroBatch:
    number, (width, height) = settings.train_batch_size, bucket
    shape = (number, 4, height // 8, width // 8)
    return MicroBatch(
        step=1,
        positions=range(number),
        latents=torch.zeros(shape),
        noise=torch.zeros(shape),
        timesteps=torch.zeros(number, dtype=torch.int64),
        texts=_texts(training, settings, number),
        time_ids=torch.zeros(number, 6),
        weights=torch.ones(number),
    )


def _texts(training: Any, settings: Settings, number: int) -> Any:
    chunks = settings.max_token_length // CHUNK
    if encodes_ahead(settings):
        context, pooled = _widths(training.unet)
        return EncodedBatch(torch.zeros(number, settings.max_token_length + 2, context), torch.zeros(number, pooled))
    rows = torch.zeros(number * chunks, CHUNK + 2, dtype=torch.int64)
    ids = TokenIds(rows, rows.clone(), chunks)
    if trains_text(settings):
        return TrainedBatch(training.model, ids, training.accelerator.autocast)
    return TokenisedBatch(training.model, ids)


def _widths(unet: Any) -> tuple[int, int]:
    """Of the context and of the pooled text that `unet` is given."""
    config = unet.config
    return config.cross_attention_dim, config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim


def simulate_other(what: str, settings: Settings, bucket: tuple[int, int], size: str = "sdxl") -> Counted:
    """What is done beside the steps, one picture or text at a time: "vae encode", "vae decode", "text encode", or
    "sample", the U-Net in one step of drawing, with what is to be avoided in the same batch."""
    began = time.monotonic()
    count = Step()
    part = {"vae encode": ["vae"], "vae decode": ["vae"], "sample": ["unet"]}.get(
        what, ["text_encoder", "text_encoder_2"]
    )
    (width, height), dtype = bucket, DTYPES[settings.mixed_precision]
    with as_on_a_gpu(), count, torch.no_grad():
        with META:
            model = fake_sdxl(settings, part, size)
            elements = 0
            if what == "sample":
                network = make_network(settings, model, META)
                model.unet.eval()
                elements = sum(flat.numel() for flat in network.parameters)
                del network.average
            before = count.bytes
            count.restart()
            latents = torch.empty(2 if what == "sample" else 1, 4, height // 8, width // 8, dtype=dtype)
        with count.phase(what):
            if what == "vae encode":
                model.vae.encode(torch.empty(1, 3, height, width, device=META))
            elif what == "vae decode":
                model.vae.decode(latents.float()).sample.float().clamp(-1, 1).add(1).mul(127.5).round()
            elif what == "sample":
                context, width = _widths(model.unet)
                texts = torch.empty(2, CHUNK + 2, context, dtype=dtype, device=META)
                pooled, ids = torch.empty(2, width, dtype=dtype, device=META), torch.empty(2, 6, device=META)
                with torch.autocast("cpu", dtype, cache_enabled=False, enabled=settings.mixed_precision != "no"):
                    added = {"text_embeds": pooled, "time_ids": ids}
                    model.unet(latents, torch.zeros((), device=META), texts, added_cond_kwargs=added, return_dict=False)
            else:
                chunks = settings.max_token_length // CHUNK
                rows = torch.zeros(chunks, CHUNK + 2, dtype=torch.int64, device=META)
                model.encode_ids(TokenIds(rows, rows.clone(), chunks))
        stays = {"all": before}
    return Counted(stays, dict(count.phases), count.peak, elements, round(time.monotonic() - began, 1))
