"""What passes inside a network, read by module path; the network needs nothing for it.

>>> from edgekd import taps
>>> with taps.Taps(model, ["layer1", "fc:input"]) as read:
...     logits = model(images)
>>> read["layer1"].shape
"""

from __future__ import annotations

from edgekd.learn.method.pairing import find_stages
from edgekd.learn.method.taps import Taps
from edgekd.learn.method.taps import find_points

__all__ = ["Taps", "find_points", "find_stages"]
