"""Companions, one kind a file: modules that losses train beside the student and that are never shipped.

The losses' tables name them. A companion's builder names signals as positional parameters and gets their
shapes; the module it returns is called with the tensors of the same names, in that order, and gives signals
that the loss then reads (instead of those that the scheme gave, or beside them). The builder's keyword-only
parameters are knobs, save those that its table entry lists as `supplied`: ``samples`` (how many there are to
learn from), ``classes``.
"""
