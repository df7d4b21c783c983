"""edgekd: a large PyTorch model becomes a small one that is proven on its device."""

from __future__ import annotations

__version__ = "0.1.0"
