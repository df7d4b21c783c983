"""A package that is a public function, too: ``edgekd.bench(model)``, ``edgekd.sweep(recipe, over)``."""

from __future__ import annotations

import types
from typing import Any

import edgekd


class CallablePackage(types.ModuleType):
    """Called like the public function of its name, whether or not somebody has imported the package before."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What that function gives."""
        name = self.__name__.rpartition(".")[2]
        return edgekd.load_public(name)(*arguments, **options)
