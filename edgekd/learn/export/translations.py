"""torch's exporter reads its translations of operators anew for each model; once a process is enough."""

from __future__ import annotations

import contextlib
import functools


@functools.cache
def cache_translations() -> None:
    """Let every export use the table of translations that the first one of its operator set made.

    An export reads the table and does not write into it. Where another version of torch keeps it under another name,
    it is made anew each time, as torch does by itself (0.4 of the 1.5 CPU-seconds of a ResNet-8).
    """
    with contextlib.suppress(ImportError, AttributeError):
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        made_once = functools.cache(ONNXRegistry.from_torchlib)
        ONNXRegistry.from_torchlib = staticmethod(made_once)
