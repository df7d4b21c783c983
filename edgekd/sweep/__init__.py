"""Many students of one recipe: settings and seeds on one store, searched within the budget, to a frontier and a winner;
``edgekd.sweep(recipe, over)`` does it.
"""

from __future__ import annotations

import sys

from edgekd.callable_package import CallablePackage

sys.modules[__name__].__class__ = CallablePackage
