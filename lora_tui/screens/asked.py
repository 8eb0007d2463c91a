"""What a run was asked to do, as far as its screens tell: from job.toml, without checking its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.plan.errors import UserError
from engine.runs.folder import RunFolder
from lora_tui.screens.series import Gallery


def names_of(run: RunFolder) -> tuple[str, str]:
    """(the name of what is trained, the run's name), for the header."""
    table = _table(run)
    project = str(table.get("project") or "")
    name = Path(project).name if project else str(table.get("name") or "")
    return name or project_of(run).name, run.name


def project_of(run: RunFolder) -> Path:
    """The folder its fellow runs are found in: the project, or just the folder it lies in."""
    return run.path.parent.parent if run.path.parent.name == "runs" else run.path.parent


def default_prompt(run: RunFolder, gallery: Gallery) -> str:
    """What a sample shows unless one says otherwise: what is looked at, else what the job's samples show."""
    if gallery.current is not None:
        return gallery.current.prompt
    table = _table(run)
    prompts = (table.get("settings") or {}).get("sample_prompts") or []
    named = ", a photo of a ".join(str(table.get(name) or "") for name in ("trigger", "class"))
    return str(prompts[0]) if prompts else named.removesuffix(", a photo of a ")


def _table(run: RunFolder) -> dict[str, Any]:
    try:
        return run.table()
    except UserError:
        return {}
