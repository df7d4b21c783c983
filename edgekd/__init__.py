"""edgekd: a large PyTorch model becomes a small one that is proven on its device."""

__version__ = "0.1.0"
