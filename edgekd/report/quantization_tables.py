"""What the page says of a quantized student layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from edgekd.task import Scale
from edgekd.task import value_text
from edgekd.units import count_text

NONE = "–"
Content = Mapping[str, Any]
Rows = list[tuple[str, ...]]


def describe_quantized(content: Content) -> Iterator[str]:
    """Sentences on a student with activations in int8."""
    yield (
        f"Ranges by {content['calibration']}, {content['equalized']} layers equalized, biases "
        f"{'corrected' if content['bias_corrected'] else 'as they were'}."
    )
    kinds = [
        f"{count} {name.replace('-', ' ')} in {form}"
        for name, (form, count) in content["blocks"].items()
    ]
    yield f"Kinds of block: {', '.join(kinds)}."
    yield from _rounds(content)
    if content["layers"]:
        yield "A layer's cost is how far the outputs move when it alone is rounded: nats of logits, a share of the spread of other numbers."


def _rounds(content: Content) -> Iterator[str]:
    scale = Scale(**content["metric"])
    for tried in content["rounds"]:
        apart = (
            f" with {', '.join(tried['float_layers'])} in float" if tried["float_layers"] else ""
        )
        yield (
            f"Validation {scale.name}{apart}: {value_text(scale, tried['learned'])}; calibrated alone "
            f"{value_text(scale, tried['post_training'])}, float {value_text(scale, content['float_score'])}."
        )


def describe_blocks(content: Content) -> Iterator[str]:
    """Sentences on a student with weights in blocks."""
    tried = sorted(content["tried"].items(), key=lambda item: float(item[1]))
    yield "Distance from the float model before learning: " + ", ".join(
        f"{name} {number_or_none(distance)}" for name, distance in tried
    )
    yield from _rounds(content)


def list_blocks(content: Content) -> Rows:
    """A row a layer: how its weights are stored."""
    return [
        (
            row["layer"],
            str(row["bits"] or 32),
            str(row["group"] or NONE),
            count_or_none(row["parameters"]),
            row["why"],
        )
        for row in content["layers"]
    ]


def list_costs(content: Content) -> Rows:
    """A row a layer: what its rounding costs."""
    return [
        (
            row["layer"],
            str(row["weight_bits"]),
            count_or_none(row["parameters"]),
            f"{row['weight_distance']:.1e}",
            f"{row['input_distance']:.1e}",
        )
        for row in content["layers"]
    ]


def count_or_none(value: int | None) -> str:
    """A count, or a dash where there is none."""
    return NONE if value is None else count_text(value)


def number_or_none(value: float | None) -> str:
    """A number of three digits, or a dash."""
    return NONE if value is None else f"{value:.3g}"
