"""Every test runs offline, quietly and on one thread; the libraries read these when they are first imported.

Two threads on a busy machine mostly wait for each other.
"""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import hypothesis
import pytest

# The same examples each time, so that a change is judged by what it changed; others with FUZZ in the environment.
hypothesis.settings.register_profile("same", derandomize="FUZZ" not in os.environ, deadline=None)
hypothesis.settings.load_profile("same")

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_DATASETS_OFFLINE="1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# What `nohup` and a shell's `&` have had ignored stays ignored in every program that a test starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What was imported stays: not looked through again whenever something asks for garbage to be collected, which with
    torch takes half a second."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """State, configuration and cache of these tests alone: nothing of a real user's is read or written."""
    home = tmp_path_factory.mktemp("home")
    for name in ("STATE", "CONFIG", "CACHE"):
        os.environ[f"XDG_{name}_HOME"] = str(home / name.lower())


@pytest.fixture(scope="session")
def micro_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A micro SDXL model with random weights, as a diffusers folder."""
    from tests.micro_model import write_micro_folder  # torch, which most tests do without

    return write_micro_folder(tmp_path_factory.mktemp("base") / "micro")
