"""Our own signs spelt in ASCII, for terminals and readers that have no others."""

from __future__ import annotations

# Text from files may hold more; such a terminal shows that as it can.
_ASCII = str.maketrans(
    {
        "·": "-", "…": "...", "–": "-", "×": "x", "●": "*", "○": "o", "◐": "!", "‖": "=", "✓": "+", "✗": "x",
        "▸": ">", "▪": "*", "█": "#", "░": ".", "▁": "_", "▂": "_", "▃": ".", "▄": "-", "▅": "-", "▆": "=", "▇": "*",
        "←": "<", "→": ">", "↑": "^", "↓": "v", "│": "|", "─": ".", "━": "#", "◂": "<", "°": " ", "≈": "~", "÷": "/",
    }
)  # fmt: skip


def in_ascii(text: str) -> str:
    """`text` with our own signs spelt in ASCII."""
    return text.translate(_ASCII)
