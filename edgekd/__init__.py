"""edgekd: a large PyTorch model becomes a small one that is proven on its device.

    compress(recipe)              a recipe, as a file or a dict, becomes a finished run: `Result`
    load(run)                     the student of a run as a torch module
    bench(model, ...)             how fast files are
    verify(bundle)                whether a bundle is as it was written, and answers as it should here
    predict(bundle, inputs)       what its model answers

Importing edgekd imports none of that; each name is loaded when it is asked for. What can go wrong is an
`EdgekdError` (`edgekd.errors`), never an exit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from edgekd.api.bundles import predict
    from edgekd.api.bundles import verify
    from edgekd.api.run import RunResult as Result
    from edgekd.api.run import compress
    from edgekd.api.weights import load
    from edgekd.errors import EdgekdError

__version__ = "0.1.0"

_PLACES = {
    "EdgekdError": "edgekd.errors:EdgekdError",
    "Result": "edgekd.api.run:RunResult",
    "compress": "edgekd.api.run:compress",
    "load": "edgekd.api.weights:load",
    "predict": "edgekd.api.bundles:predict",
    "verify": "edgekd.api.bundles:verify",
}
"""Public name to ``module:name``."""
__all__ = [
    "EdgekdError",
    "Result",
    "compress",
    "load",
    "predict",
    "verify",
]


if not TYPE_CHECKING:  # to a type checker what is not imported above is not there

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'edgekd' has no attribute {name!r}")
        module, _, member = _PLACES[name].partition(":")
        value = getattr(importlib.import_module(module), member)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
