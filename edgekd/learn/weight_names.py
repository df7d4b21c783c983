"""Finds a model's names among those of a file of weights, which wrappers may have put prefixes before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from collections.abc import Mapping

from torch import Tensor
from torch import nn

PREFIXES = ("module.", "model.", "net.", "network.")
"""What wrappers put before every name, such as data-parallel training and Lightning."""
_MOST = 4
"""Prefixes before one another."""
_COMPILED = re.compile(r"(^|\.)_orig_mod\.")
"""What torch.compile puts into the names of a module that it compiled."""


def fit_names(model: nn.Module, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """`tensors` under the names that `model` has for them, and what was taken off, empty if nothing was.

    Prefixes of `PREFIXES`, one after another, are taken off where more of the model's names are then there, or any
    other behind which alone most of the model's names stand; so is ``_orig_mod.`` inside a name. What has no such prefix
    stays as it is.
    """
    own = set(model.state_dict())
    plain = {n if n in own else _COMPILED.sub(r"\1", n): tensor for n, tensor in tensors.items()}
    if len(plain) < len(tensors):
        plain = dict(tensors)
    compiled = plain.keys() != tensors.keys()
    prefixes = {""}.union(*map(_prefixes_of, plain))
    best = max(prefixes, key=lambda p: (sum(p + name in plain for name in own), -len(p)))
    best = _find_owner(own, plain) or best
    # What the prefix stands before comes last: it counts where both names are there.
    ordered = sorted(plain, key=lambda name: name.startswith(best))
    fitted = {name.removeprefix(best): plain[name] for name in ordered}
    return fitted, " and ".join(filter(None, (best, "_orig_mod." if compiled else "")))


def _find_owner(own: Collection[str], names: Collection[str]) -> str:
    """The one prefix, of any name, behind which most of the model's `own` names stand, more than without; else empty."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        inner = (".".join(parts[start:]) for start in range(1, len(parts)))
        counts.update(name.removesuffix(each) for each in inner if each in own)
    first, second = (*counts.most_common(2), ("", 0), ("", 0))[:2]
    plain = sum(name in names for name in own)
    others = max(plain, second[1], len(own) // 2)
    return first[0] if first[1] > others else ""


def _prefixes_of(name: str) -> set[str]:
    found, rest = set(), name
    for _ in range(_MOST):
        rest = rest.removeprefix(next((each for each in PREFIXES if rest.startswith(each)), ""))
        found.add(name[: len(name) - len(rest)])
    return found
