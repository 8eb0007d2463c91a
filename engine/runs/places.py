"""Where lora-tui keeps what belongs to no project: the user's state, configuration and cache folders."""

from __future__ import annotations

from pathlib import Path

_NAME = "lora-tui"


def state_dir() -> Path:
    """Recent projects and the queue. It may not exist yet."""
    import platformdirs  # not at the top: most commands never ask

    return Path(platformdirs.user_state_dir(_NAME))


def config_dir() -> Path:
    """What the user has decided for all projects: `config.toml`. It may not exist."""
    import platformdirs

    return Path(platformdirs.user_config_dir(_NAME))


def presets_dir() -> Path:
    """The user's own presets, a TOML file each. It may not exist."""
    return config_dir() / "presets"


def cache_dir() -> Path:
    """What may be deleted at any time."""
    import platformdirs

    return Path(platformdirs.user_cache_dir(_NAME))
