"""What views do to each kind of field; see `edgekd.learn.view` for what one is. A kind without a line is only prepared."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Field
    from edgekd.field import Rows
    from edgekd.learn.view import View
    from edgekd.learn.view_settings import Views

_HERE = "edgekd.learn.views"
MODULES = {"image": f"{_HERE}.image", "map": f"{_HERE}.map"}
"""By kind of field: a module with ``apply_view(field, rows, view)`` and, where samples can be mixed,
``mix_share(field, view)``."""
BEGUN = {"image": f"{_HERE}.image_tensors"}
"""By kind of field: a module with ``begin_view(field, rows, view)``, of which an accelerator finishes the rest."""
WORDS = {
    "image": (
        *("flip", "crop", "random_resized_crop", "color", "rand_augment", "affine", "erase"),
        *("mixup", "cutmix"),
    )
}
"""By kind of field: the words of `Views` that change it."""
PLACES = ("map", "boxes")
"""Kinds of targets that say where something is in an image."""


def find_misfit(
    words: Views, kinds: Collection[str], targets: Collection[str] = ()
) -> tuple[str, str] | None:
    """Find the first word of a recipe's views that changes none of a model's inputs, or moves one away from its
    target: the word and a sentence.

    Args:
        words: what the recipe says.
        kinds: of the inputs.
        targets: their kinds, where they are known.
    """
    for kind, names in WORDS.items():
        said = [name for name in names if getattr(words, name)]
        if said and kind not in kinds:
            return said[0], f"got it for inputs of kind {', '.join(kinds)}, want it for {kind}"
    left_behind = [kind for kind in targets if kind in PLACES]
    if words.rand_augment is not None and left_behind:
        return (
            "rand_augment",
            f"got it for targets of kind {left_behind[0]}, which it would not move",
        )
    return None


def view_field(
    name: str, field: Field, rows: Rows, view: View, *, is_pending: bool = False
) -> dict[str, Any]:
    """A field of the samples of a view, prepared, by the names of its tensors.

    Args:
        name: of the field.
        field: what it is.
        rows: of the whole training split.
        view: which.
        is_pending: whether what an accelerator can do is left to it, where there is such a part.
    """
    if is_pending and field.kind in BEGUN:
        return {name: importlib.import_module(BEGUN[field.kind]).begin_view(field, rows, view)}
    if field.kind in MODULES:
        return {name: _module(field).apply_view(field, rows, view)}
    return field.prepare(name, rows[view.indices])


def find_mix_share(inputs: dict[str, Field], view: View) -> NDArray[np.float32]:
    """Return how much of each sample is its own in views that mix, [B, 1].

    Raises:
        ValueError: if an input cannot be mixed.
    """
    for name, field in inputs.items():
        if not hasattr(_module(field) if field.kind in MODULES else None, "mix_share"):
            raise ValueError(
                f"{name}: got views that mix samples, which {field.kind!r} inputs cannot be"
            )
    first = next(iter(inputs.values()))
    share: NDArray[np.float32] = _module(first).mix_share(first, view)
    return share


def _module(field: Field) -> Any:
    return importlib.import_module(MODULES[field.kind])
