"""Stage `synthesize`: training images made from the teacher alone, for where its own are not at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

from pydantic import BeforeValidator
from pydantic import Field

from edgekd import files
from edgekd import units
from edgekd.errors import InputError
from edgekd.learn.settings import Resolved
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.table import Named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from torch import nn

    from edgekd.learn.arrays import Described

TABLE = "synthesis.json"
BATCH = 256
"""Stored images that the teacher is asked about at a time."""


def _method(value: Any) -> Named:
    return Named.parse(value, SYNTHESIZERS, "synthesizer")


MethodName = Annotated[Named, BeforeValidator(_method)]
"""A member of `edgekd.learn.synthesis`, by name or with its knobs (``steps`` among them)."""


class Config(Settings):
    """How images are made, and how many."""

    method: MethodName = _method("deepinversion")
    """``deepinversion``, ``dafl``, ``cmi``, or a mapping with `name` and knobs."""
    count: Annotated[int, Field(ge=1, le=10**7)] = 10_000
    """Images."""


def run(config: Config, given: Given, context: Context) -> Made:
    """Give train_images (uint8 [N, H, W, C]), train_labels (int64 [N], the classes that the teacher names
    on the stored images) and synthesis.json (how sure the teacher is of them, how the
    classes are spread, how far they are from the training data as its batch norms remember them).

    Takes data (data.json: the classes and the preprocessing, not the images), blueprint, weights and
    resolved.

    Raises:
        InputError: if the teacher answers other classes or takes other images than the data have, lacks
            what the method needs, or the images diverge.
    """
    import numpy as np

    from edgekd.learn import arithmetic
    from edgekd.learn import arrays
    from edgekd.learn import blueprint

    about = arrays.described(given["data"])
    _want_same(blueprint.read(given["blueprint"]), about)
    teacher = blueprint.load(given["blueprint"], given["weights"], allow_code=context.allow_code)
    resolved = Resolved.model_validate_json(given["resolved"].read_bytes())
    made = {name: context.folder / f"{name}.npy" for name in ("train_images", "train_labels")}
    made[TABLE] = context.folder / TABLE
    size = about.preprocessing
    shape = (config.count, size.height, size.width, size.channels)
    images = np.lib.format.open_memmap(made["train_images"], mode="w+", dtype=np.uint8, shape=shape)
    with arithmetic.deterministic(context.seed, resolved.threads):
        _fill(images, _batches(teacher, about, config, context), about)
        labels, told = _looked_at(teacher, images, about, context.seed)
    images.flush()
    np.save(made["train_labels"], labels)
    table = {"method": str(config.method), "count": config.count, **told}
    made[TABLE].write_bytes(files.pretty_json(table))
    sure = units.percent_text(told["mean_confidence"])
    context.progress.note(
        f"{config.method}: {config.count} images, the teacher is {sure} sure on average and names "
        f"{told['classes_named']} of {len(about.classes)} classes"
    )
    return made


def _want_same(plan: Any, about: Described) -> None:
    size = about.preprocessing
    got = tuple(plan.interface.sizes[name] for name in ("classes", "channels", "height", "width"))
    want = (len(about.classes), size.channels, size.height, size.width)
    if got != want:
        raise InputError(
            f"synthesize: got a teacher of (classes, channels, height, width) {got}, "
            f"want the data's {want}"
        )


def _batches(
    teacher: nn.Module, about: Described, config: Config, context: Context
) -> Iterator[Tensor]:
    from edgekd.learn import arithmetic
    from edgekd.learn.synthesis.request import SynthesisRequest

    wanted = SynthesisRequest(
        classes=len(about.classes),
        preprocessing=about.preprocessing,
        number=config.count,
        seed=context.seed,
        device=arithmetic.device(),
        progress=context.progress,
    )
    make = SYNTHESIZERS[config.method.name].load()
    try:
        yield from make(teacher, wanted, **config.method.arguments)
    except ValueError as error:
        raise InputError(f"synthesize: {error}") from error


def _fill(images: NDArray[np.uint8], batches: Iterator[Tensor], about: Described) -> None:
    from edgekd.learn.synthesis.pixel_range import as_pixels

    at = 0
    for batch in batches:
        images[at : at + len(batch)] = as_pixels(batch.cpu().numpy(), about.preprocessing)
        at += len(batch)


def _looked_at(
    teacher: nn.Module, images: NDArray[np.uint8], about: Described, seed: int
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """The teacher's labels [N] of the stored images, and what synthesis.json says of them.

    The distances are a batch's, mean over the batches, beside those of as many images of random pixels;
    None without batch norms.
    """
    import numpy as np

    from edgekd.learn.synthesis import hooks

    random = np.random.default_rng(seed)
    labels, sure, distance, of_noise, count = [], 0.0, 0.0, 0.0, len(images)
    for at in range(0, count, BATCH):
        part = images[at : at + BATCH]
        named, confidence, apart = _asked(teacher, part, about)
        noise = random.integers(0, 256, part.shape, dtype=np.uint8)
        labels.append(named)
        sure += confidence * len(part) / count
        distance += apart * len(part) / count
        of_noise += _asked(teacher, noise, about)[2] * len(part) / count
    every, known = np.concatenate(labels), bool(hooks.find_batch_norms(teacher))
    counts = np.bincount(every, minlength=len(about.classes))
    return every, {
        "mean_confidence": sure,
        "classes_named": int((counts > 0).sum()),
        "rarest_class_images": int(counts.min()),
        "commonest_class_images": int(counts.max()),
        "batch_norm_distance": distance if known else None,
        "batch_norm_distance_of_noise": of_noise if known else None,
    }


def _asked(
    teacher: nn.Module, pixels: NDArray[np.uint8], about: Described
) -> tuple[NDArray[np.int64], float, float]:
    """Classes named, the mean of their probabilities, the batch norms' distance (0 without any)."""
    import torch

    from edgekd.learn.synthesis import hooks
    from edgekd.learn.synthesis import losses

    images = torch.from_numpy(about.preprocessing.apply(pixels))
    with torch.no_grad():
        seen = hooks.record_teacher(teacher, images.to(next(teacher.parameters()).device))
        best, named = seen.logits.softmax(1).max(1)
        apart = losses.batch_norm_statistics(seen.moments) if seen.moments else torch.zeros(())
    return named.cpu().numpy(), float(best.mean()), float(apart)


STAGE = Stage("synthesize", Config, run, packages=("torch", "numpy", "safetensors"))
