"""What a companion is: a module that a loss trains beside the student and that is never shipped.

Its builder names signals as positional parameters and gets their shapes; the module it returns is
called with the tensors of the same names, in that order, and gives signals that the loss then reads
(instead of those that the scheme gave, or beside them). The builder's keyword-only parameters are
knobs, save those that its table entry lists as `supplied`: ``samples`` (how many there are to learn
from), ``classes``.
"""

from __future__ import annotations

Shape = tuple[int, ...]
"""Of one signal, the batch first."""
Stages = tuple[Shape, ...]
"""Of a signal that is several tensors, shallow to deep."""
