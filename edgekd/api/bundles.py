"""A bundle checked, and asked, from Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekd import bundle as bundles
from edgekd import devices
from edgekd import runtimes
from edgekd.bundle import archive
from edgekd.bundle import predict as prediction
from edgekd.bundle import signature
from edgekd.bundle import user_inputs
from edgekd.bundle import verify as verification
from edgekd.device import TIMEOUT_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.bundle.predict import Prediction
    from edgekd.bundle.verify import Report


def verify(
    bundle: str | os.PathLike[str],
    *,
    runtime: str | None = None,
    key: str | os.PathLike[str] | None = None,
    device: str = "local",
    timeout_s: float = TIMEOUT_S,
) -> Report:
    """Check a bundle, as ``edgekd verify`` does: its digests, its signature, its golden answers.

    Args:
        bundle: a folder, or one file.
        runtime: the engine that answers; the chosen one, or one that is installed, if left out.
        key: public key, PEM, that must have signed it.
        device: where the engine runs.
        timeout_s: after so many seconds the engine is given up.

    Returns:
        Its checks, all of which passed.

    Raises:
        BudgetMissed: if a file has changed, or the answers differ.
        InputError: if it is no bundle.
        MachineError: if no engine is there, or a check could not be made.

    >>> import edgekd
    >>> for check in edgekd.verify("runs/quickstart/bundle").checks:
    ...     print(check.what, check.verdict)
    """
    with archive.open_bundle(Path(bundle)) as folder:
        report = verification.verify(
            folder,
            runtime,
            key=None if key is None else Path(key),
            timeout_s=timeout_s,
            device=devices.find_device(device),
        )
    verification.require_sound(report)
    return report


def predict(
    bundle: str | os.PathLike[str],
    inputs: str | os.PathLike[str] | NDArray[np.generic] | Sequence[str | os.PathLike[str]],
    *,
    top: int = 3,
    runtime: str | None = None,
    key: str | os.PathLike[str] | None = None,
    device: str = "local",
    allow_code: bool = False,
    timeout_s: float = TIMEOUT_S,
) -> list[Prediction]:
    """Ask the model of a bundle, as ``edgekd predict`` does.

    Args:
        bundle: a folder, or one file.
        inputs: files or texts, one a sample; or an array of samples as the data hold them before they are prepared:
            images uint8 [N, H, W, C] in the model's own size.
        top: lines of each answer.
        runtime: the engine; the chosen one, or one that is installed, if left out.
        key: public key, PEM, that must have signed it.
        device: where the engine runs.
        allow_code: whether the author's own task may run.
        timeout_s: after so many seconds the engine is given up.

    Returns:
        An answer a sample: texts with their probabilities, the likeliest first.

    Raises:
        InputError: if it is no bundle, or an input cannot be read.
        BudgetMissed: if a file of it has changed.
        MachineError: if no engine is there, or it crashes.

    >>> import edgekd
    >>> edgekd.predict("runs/quickstart/bundle", ["seven.png"])[0].answers
    """
    if runtime is not None:
        runtimes.find_entry(runtime)
    with archive.open_bundle(Path(bundle)) as folder:
        found = bundles.load_bundle(folder)
        signature.require_signature(
            folder, found.manifest.digest, None if key is None else Path(key)
        )
        if isinstance(inputs, np.ndarray):
            questions = user_inputs.read_rows(inputs, found.dataset)
        else:
            listed = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
            questions = user_inputs.read_questions(
                [os.fspath(each) for each in listed], found.dataset
            )
        return prediction.predict(
            found,
            questions,
            top=top,
            runtime=runtime,
            timeout_s=timeout_s,
            device=devices.find_device(device),
            allow_code=allow_code,
        )
