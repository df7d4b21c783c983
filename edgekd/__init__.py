"""edgekd: a large PyTorch model becomes a small one that is proven on its device.

    compress(recipe)              a recipe, as a file or a dict, becomes a finished run: `Result`
    load(run)                     the student of a run as a torch module
    distil(student, teacher, ...) one's own modules and batches, without a recipe
    Distiller(student, ...)       one step of that, for a training loop of one's own
    quantize(model, batches)      one's own module in int8, as ONNX for each engine
    sweep(recipe, over)           many settings of a recipe, their frontier and the winner: `SweepResult`
    bench(model, ...)             how fast files are
    verify(bundle)                whether a bundle is as it was written, and answers as it should here
    predict(bundle, inputs)       what its model answers
    losses, schemes, taps, knowledge    what a step is made of, each by its name

Importing edgekd imports none of that; each name is loaded when it is asked for. What can go wrong is an
`EdgekdError` (`edgekd.errors`), never an exit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from edgekd import knowledge
    from edgekd import losses
    from edgekd import schemes
    from edgekd import taps
    from edgekd.api.bundles import predict
    from edgekd.api.bundles import verify
    from edgekd.api.measuring import bench
    from edgekd.api.quantization import quantize
    from edgekd.api.run import RunResult as Result
    from edgekd.api.run import compress
    from edgekd.api.sweeping import SweepResult
    from edgekd.api.sweeping import sweep
    from edgekd.api.weights import load
    from edgekd.errors import EdgekdError
    from edgekd.learn.standalone.distillation import distil
    from edgekd.learn.standalone.distiller import Distiller

__version__ = "0.1.0"

_PLACES = {
    "Distiller": "edgekd.learn.standalone.distiller:Distiller",
    "EdgekdError": "edgekd.errors:EdgekdError",
    "Result": "edgekd.api.run:RunResult",
    "SweepResult": "edgekd.api.sweeping:SweepResult",
    "bench": "edgekd.api.measuring:bench",
    "compress": "edgekd.api.run:compress",
    "distil": "edgekd.learn.standalone.distillation:distil",
    "knowledge": "edgekd.knowledge",
    "load": "edgekd.api.weights:load",
    "losses": "edgekd.losses",
    "predict": "edgekd.api.bundles:predict",
    "quantize": "edgekd.api.quantization:quantize",
    "schemes": "edgekd.schemes",
    "sweep": "edgekd.api.sweeping:sweep",
    "taps": "edgekd.taps",
    "verify": "edgekd.api.bundles:verify",
}
"""Public name to ``module:name``, or to the module that it is."""
__all__ = [
    "Distiller",
    "EdgekdError",
    "Result",
    "SweepResult",
    "bench",
    "compress",
    "distil",
    "knowledge",
    "load",
    "losses",
    "predict",
    "quantize",
    "schemes",
    "sweep",
    "taps",
    "verify",
]


def load_public(name: str) -> Any:
    """What the public name stands for; its module is imported."""
    module, _, member = _PLACES[name].partition(":")
    found = importlib.import_module(module)
    return getattr(found, member) if member else found


if not TYPE_CHECKING:  # to a type checker what is not imported above is not there

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'edgekd' has no attribute {name!r}")
        value = globals()[name] = load_public(name)
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
