"""A map moves as its image does; its classes are never mixed on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import cast

import numpy as np

from edgekd.learn.views.motion import crop_places
from edgekd.learn.views.motion import shift_pixels
from edgekd.learn.views.motion import warp_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Field
    from edgekd.field import Rows
    from edgekd.fields.map import Map
    from edgekd.learn.view import View

    Classes = NDArray[np.int64]


def apply_view(field: Field, rows: Rows, view: View) -> Classes:
    """The maps int64 [B, H, W] of a view: what a crop brings in at the edges is ignored, an affine or a part that is scaled takes
    the nearest pixel, and erasing hides a place from the image alone.

    Args:
        field: a map.
        rows: of the whole training split, uint8 or int64 [N, H, W].
        view: which.
    """
    there = cast("Map", field)
    chosen = np.asarray(cast("NDArray[np.int64]", rows)[view.indices], np.int64)
    words, place = view.words, (view.seed, view.indices, view.number)
    maps = shift_pixels(chosen[..., None], words, *place, padding=there.ignored)[..., 0]
    moves = []
    if words.random_resized_crop is not None:
        moves.append(crop_places(maps.shape[1:], words.random_resized_crop, *place))
    if words.affine is not None:
        moves.append(warp_places(maps.shape[1:], words.affine, *place))
    for places in moves:
        maps = np.stack([take_nearest(m, y, x) for m, (y, x) in zip(maps, places, strict=True)])
    return maps


def take_nearest(classes: Classes, y: NDArray[np.float64], x: NDArray[np.float64]) -> Classes:
    """The classes [H', W'] of one map [H, W] at the pixels nearest to the places y, x [H', W'], edges repeated."""
    height, width = classes.shape
    rows = np.rint(y.clip(0, height - 1)).astype(np.intp)
    columns = np.rint(x.clip(0, width - 1)).astype(np.intp)
    return classes[rows, columns]
