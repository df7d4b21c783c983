"""The on-device benchmark: fresh worker processes, honest intervals. Imports nothing heavy; ``edgekd.bench(model)``
measures a model.
"""

from __future__ import annotations

import sys

from edgekd.callable_package import CallablePackage

sys.modules[__name__].__class__ = CallablePackage
