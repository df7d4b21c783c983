"""The on-device benchmark: fresh worker processes, honest intervals. Imports nothing heavy.

The package is a function, too: ``edgekd.bench(model)`` measures a model, whether or not somebody has imported the
package before.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import edgekd


class CallablePackage(types.ModuleType):
    """A package that is called like the public function of its name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What that function gives."""
        return edgekd.load_public("bench")(*arguments, **options)


sys.modules[__name__].__class__ = CallablePackage
