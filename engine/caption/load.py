"""The captioner that the options ask for, loaded onto the device they ask for."""

from __future__ import annotations

import torch

from engine import device as devices
from engine.caption.captioner import Captioner
from engine.caption.names import ClassOnly, FileNames
from engine.out_of_memory import is_out_of_memory
from engine.plan.captioners import MICRO_FOLDER
from engine.plan.captioners import Captioner as Found
from engine.plan.captioning import CaptioningOptions
from engine.plan.errors import UserError


def device_for(found: Found, options: CaptioningOptions) -> torch.device:
    """Where it computes; with "auto" the processor where there is no card: slow, but a matter of minutes.

    Raises UserError as `device.choose` does.
    """
    if found.path is None:
        return torch.device("cpu")
    threads = torch.get_num_threads()
    device = devices.choose(options.device, full_size=False)
    if found.path != MICRO_FOLDER:  # a large one is worth all of them
        torch.set_num_threads(threads)
    return device


def load(found: Found, options: CaptioningOptions, device: torch.device) -> Captioner:
    """Raises UserError: what the captioners raise, `damaged` for weights that cannot be read."""
    # In half precision half of the card's memory, and the same words; processors are slower with it than without.
    dtype = torch.float16 if device.type in ("cuda", "mps") else torch.float32
    if found.kind == "filename":
        return FileNames()
    if found.kind == "class" or found.path is None:
        return ClassOnly()
    try:
        if found.kind == "tagger":
            from engine.caption.tagger import Tagger

            return Tagger(found.path, options, cuda=device.type == "cuda")
        if found.kind == "blip":
            from engine.caption.blip import Blip

            return Blip(found.path, device, dtype, options)
        if found.kind == "florence2":
            from engine.caption.florence import Florence

            return Florence(found.path, device, dtype, options)
        from engine.caption.any_model import AnyModel

        return AnyModel(found.path, found.name, device, dtype, options)
    except UserError:
        raise
    except Exception as error:  # a stranger's files may hold anything
        if is_out_of_memory(error):
            raise UserError(
                "out-of-memory",
                f"The captioner {found.name} does not fit into the memory of {device}.",
                "Choose a smaller one, or compute on the processor: device = cpu.",
            ) from None
        why = str(error).strip().splitlines()[:1]
        raise UserError(
            "damaged",
            f"The captioner {found.name} cannot be loaded: {why[0] if why else type(error).__name__}",
            "Download it again, or choose another one.",
        ) from error
