"""Comparison sheets: a labelled grid of pictures as one PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from engine.plan.errors import inert
from engine.plan.files import atomic_write

MARGIN = 12
SMALLEST_SHOWN = 192  # the practice model's 96 px pictures are shown twice as large, so that people see something
INK, PAPER, FAINT = (20, 20, 24), (250, 250, 248), (110, 110, 116)


def save_png(image: Image.Image, path: Path) -> None:
    """Write `image` as PNG, atomically."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, buffer.getvalue())


def comparison(
    rows: Sequence[Sequence[Image.Image]], columns: Sequence[str], labels: Sequence[str], title: str
) -> Image.Image:
    """A grid with one row of pictures for each label (a prompt and its seed) and a heading over each column.

    Many rows stand in several blocks side by side, so that the sheet is about as wide as it is high.
    """
    factor = max(1, -(-SMALLEST_SHOWN // max(rows[0][0].size)))
    cells = [[p.resize((p.width * factor, p.height * factor), Image.Resampling.LANCZOS) for p in row] for row in rows]
    cell_width = max(p.width for row in cells for p in row)
    cell_height = max(p.height for row in cells for p in row)
    size = max(14, min(28, cell_width // 16))
    font, small = ImageFont.load_default(size), ImageFont.load_default(max(12, round(size * 0.8)))
    line = round(size * 1.5)
    head = MARGIN + 2 * line

    block_width = len(columns) * (cell_width + MARGIN) + 2 * MARGIN
    row_height = cell_height + line + MARGIN
    blocks = max(1, min(len(cells), round((len(cells) * row_height / block_width) ** 0.5)))
    per_block = -(-len(cells) // blocks)
    blocks = -(-len(cells) // per_block)

    sheet = Image.new("RGB", (blocks * block_width, head + per_block * row_height + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN // 2), _shortened(draw, inert(title), font, sheet.width - 2 * MARGIN), INK, font)
    for block in range(blocks):
        for column, name in enumerate(columns):
            x = MARGIN + block * block_width + column * (cell_width + MARGIN)
            draw.text((x, head - line), _shortened(draw, inert(name), font, cell_width), INK, font)
    for number, (row, label) in enumerate(zip(cells, labels, strict=True)):
        left = MARGIN + number // per_block * block_width
        top = head + number % per_block * row_height
        for column, picture in enumerate(row):
            sheet.paste(picture, (left + column * (cell_width + MARGIN), top))
        text = _shortened(draw, inert(label), small, block_width - 3 * MARGIN)
        draw.text((left, top + cell_height + 2), text, FAINT, small)
    return sheet


def _shortened(
    draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> str:
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(text + "…", font) > width:
        text = text[:-1]
    return text + "…"
