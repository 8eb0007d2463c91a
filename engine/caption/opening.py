"""Opens a picture for a captioner: as training sees it, with its transparency for those who put it on white."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from engine.plan.pictures import load_with_alpha


def opened(path: Path) -> Image.Image:
    """RGB, or RGBA where the file says how opaque it is; upright. Raises UserError `broken-picture`."""
    rgb, alpha = load_with_alpha(path)
    if alpha is None:
        return rgb
    rgb.putalpha(alpha)
    return rgb
