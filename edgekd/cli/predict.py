"""``edgekd predict``: what a bundle's model says of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli import options
from edgekd.cli.screen import echo
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.bundle.predict import Prediction


@click.command(epilog="Example: edgekd predict student.edgekd shoe.png --top 5")
@click.argument("path", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.argument(
    "images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--top", type=click.IntRange(1, 1000), default=3, show_default=True, help="Labels to show."
)
@click.option(
    "--runtime",
    metavar="NAME",
    help="Engine to run.  [default: the chosen one, or one that is installed]",
)
@options.key
@options.timeout
@click.option("--json", "as_json", is_flag=True, help="Print labels and probabilities as JSON.")
def command(
    path: Path,
    images: tuple[Path, ...],
    top: int,
    runtime: str | None,
    key: Path | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Classify each IMAGE with the model of BUNDLE, a folder or one file.

    PNG, JPEG, BMP and WebP, or .npy of uint8 [H, W, C] or [N, H, W, C] in the model's own size.
    An image of another size is scaled (bilinear) to cover the model's and its middle cut out; what was
    done stands beside the answer. Probabilities are the softmax of the logits, not calibrated.
    """
    from edgekd import bundle
    from edgekd import runtimes
    from edgekd.bundle import archive
    from edgekd.bundle import images as bundle_images
    from edgekd.bundle import predict as bundle_predict
    from edgekd.bundle import signature
    from edgekd.errors import EdgekdError

    if runtime is not None:
        runtimes.find(runtime)
    with archive.open_bundle(path) as folder:
        found = bundle.check(folder)
        signature.require(folder, found.manifest.digest, key)
        read = [
            one for image in images for one in bundle_images.read_images(image, found.preprocessing)
        ]
        told = bundle_predict.predict(found, read, top=top, runtime=runtime, timeout_s=timeout_s)
    if as_json:
        print_json([_fields(one) for one in told])
        return
    for one in told:
        answers = ", ".join(f"{label} {100 * share:.1f} %" for label, share in one.labels)
        said = f"  ({one.prepared})" if one.prepared else ""
        echo(EdgekdError(f"{one.name}  {answers}{said}").line())


def _fields(told: Prediction) -> dict[str, Any]:
    labels = [{"label": label, "probability": share} for label, share in told.labels]
    return {"image": told.name, "prepared": told.prepared, "labels": labels}
