"""Networks are built without their parameters taking up memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils.weak import WeakIdKeyDictionary


@contextmanager
def build_empty() -> Iterator[None]:
    """Inside, every parameter that a module is given goes to the meta device: it has a shape and no values.

    Buffers keep their values. One parameter that is given to several modules stays one.
    """
    seen = WeakIdKeyDictionary()

    def drop(module: nn.Module, name: str, given: nn.Parameter) -> nn.Parameter | None:
        if given.is_meta:
            return None
        if given not in seen:
            seen[given] = nn.Parameter(given.detach().to("meta"), given.requires_grad)
        empty: nn.Parameter = seen[given]
        return empty

    handle = register_module_parameter_registration_hook(drop)
    try:
        yield
    finally:
        handle.remove()
