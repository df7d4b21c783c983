"""Blueprints of image classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.interface import Interface
from edgekd.interface import image_classifier
from edgekd.learn.blueprint import Blueprint


def image_blueprint(
    builder: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    inside: Interface | None = None,
    edits: Sequence[Mapping[str, Any]] = (),
    **sizes: int,
) -> Blueprint:
    """What builds a classifier of images; `sizes` are classes, channels, height and width."""
    return Blueprint(
        builder=builder,
        arguments=dict(arguments or {}),
        interface=image_classifier(**sizes),
        inside=inside,
        edits=tuple(dict(edit) for edit in edits),
    )
