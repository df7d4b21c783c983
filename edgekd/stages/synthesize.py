"""Stage `synthesize`: training samples made by the teacher: images or texts from it alone, for where its own are not at
hand, or its own continuations of training texts."""

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
from edgekd.learn.settings import Arithmetic
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.named_member import NamedMember
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.table import find_signature
from edgekd.tokenizer import FILE as TOKENIZER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from torch import nn

    from edgekd.fields.image import Image

TABLE = "synthesis.json"
PROMPTS = "prompts"
"""Parameter of a method that begins with texts of the training split."""
BATCH = 256
"""Stored images that the teacher is asked about at a time."""


def _method(value: Any) -> NamedMember:
    return NamedMember.parse(value, SYNTHESIZERS, "synthesizer")


MethodName = Annotated[NamedMember, BeforeValidator(_method)]
"""A member of `edgekd.learn.synthesis`, by name or with its knobs (``steps`` among them)."""


class SynthesizeConfig(Settings):
    """The method that makes images, and their number."""

    method: MethodName = _method("deepinversion")
    """``deepinversion``, ``dafl``, ``cmi`` of images, ``begin-token-texts``, ``prompted-texts`` of texts, or a mapping with
    `name` and knobs."""
    count: Annotated[int, Field(ge=1, le=10**7)] = 10_000
    """Images, or texts."""


def run(config: SynthesizeConfig, given: Given, context: Context) -> Made:
    """Give train (a split: the images, uint8 [N, H, W, C], and the classes that the teacher names on them as
    they are stored, int64 [N]) and synthesis.json (how sure the teacher is of them, how the
    classes are spread, how far they are from the training data as its batch norms remember them).

    Takes data (data.json: the classes and the image's preprocessing, no sample), blueprint, weights and
    resolved. Of running text the split has the teacher's texts, and synthesis.json says how sure it was of them;
    takes tokenizer.json, too, where the data have one, and train where a method begins with texts of it.

    Raises:
        InputError: if the data are neither labelled images nor running text, the teacher answers other classes or takes other images
            than the data have, lacks what the method needs, or the images diverge.
    """
    import numpy as np

    from edgekd import dataset
    from edgekd import splits
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint
    from edgekd.learn import heap
    from edgekd.learn.data import kinds

    if SYNTHESIZERS[config.method.name].inputs == ("tokens",):
        return _run_texts(config, given, context)
    try:
        found = dataset.read(given["data"])
        (image_name, image), (label_name, label) = kinds.find_image(found), kinds.find_label(found)
    except ValueError as error:
        raise InputError(f"synthesize: {error}") from error
    classes = len(label.names)
    _want_same(blueprint.read(given["blueprint"]), image, classes)
    teacher = blueprint.load(given["blueprint"], given["weights"], allow_code=context.allow_code)
    resolved = Arithmetic.model_validate_json(given["resolved"].read_bytes())
    made = {name: context.folder / name for name in ("train", TABLE)}
    shape = (config.count, image.height, image.width, image.channels)
    scratch = context.folder / "images.npy"
    images = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.uint8, shape=shape)
    with arithmetic.deterministic_torch(context.seed, resolved.threads), heap.keep_freed_memory():
        _fill(images, _batches(teacher, image, classes, config, context), image)
        labels, about = _label(teacher, images, image, classes, context.seed)
    rows = {image_name: images, label_name: labels}
    splits.write(made["train"], rows, np.arange(config.count))
    scratch.unlink()
    table = {"method": str(config.method), "count": config.count, **about}
    made[TABLE].write_bytes(files.pretty_json(table))
    sure = units.percent_text(about["mean_confidence"])
    context.progress.note(
        f"{config.method}: {config.count} images, the teacher is {sure} sure on average and names "
        f"{about['classes_named']} of {classes} classes"
    )
    return made


def _run_texts(config: SynthesizeConfig, given: Given, context: Context) -> Made:
    """The same of running text."""
    import numpy as np

    from edgekd import dataset
    from edgekd import splits
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint
    from edgekd.learn import heap
    from edgekd.learn.synthesis.text_rows import collect_texts
    from edgekd.learn.synthesis.text_rows import make_request
    from edgekd.learn.synthesis.text_rows import read_prompts

    held = {TOKENIZER: given[TOKENIZER].read_bytes()} if TOKENIZER in given else {}
    found = dataset.read(given["data"])
    teacher = blueprint.load(given["blueprint"], given["weights"], allow_code=context.allow_code)
    resolved = Arithmetic.model_validate_json(given["resolved"].read_bytes())
    device = arithmetic.choose_device()
    teacher = teacher.eval().requires_grad_(False).to(device)
    member = SYNTHESIZERS[config.method.name]
    is_prompted = PROMPTS in find_signature(member).positional
    make = member.load()
    try:
        wanted = make_request(found, held, config.count, device, context)
        prompts = [read_prompts(splits.read(given["train"]), wanted)] if is_prompted else []
        with (
            arithmetic.deterministic_torch(context.seed, resolved.threads),
            heap.keep_freed_memory(),
        ):
            texts = make(teacher, wanted, *prompts, **config.method.arguments)
            rows, about = collect_texts(teacher, texts, wanted)
    except ValueError as error:
        raise InputError(f"synthesize: {config.method}: {error}") from error
    made = {name: context.folder / name for name in ("train", TABLE)}
    splits.write(made["train"], rows, np.arange(config.count))
    table = {
        "method": str(config.method),
        "count": config.count,
        "prompted": is_prompted,
        **about,
    }
    made[TABLE].write_bytes(files.pretty_json(table))
    whence = "from training texts" if is_prompted else "from the teacher alone"
    context.progress.note(
        f"{config.method}: {config.count} texts {whence}, {about['distinct_share']:.1%} of them different"
    )
    return made


def _want_same(plan: Any, image: Image, classes: int) -> None:
    got = tuple(plan.interface.sizes[name] for name in ("classes", "channels", "height", "width"))
    want = (classes, image.channels, image.height, image.width)
    if got != want:
        raise InputError(
            f"synthesize: got a teacher of (classes, channels, height, width) {got}, "
            f"want the data's {want}"
        )


def _batches(
    teacher: nn.Module, image: Image, classes: int, config: SynthesizeConfig, context: Context
) -> Iterator[Tensor]:
    from edgekd.learn import arithmetic
    from edgekd.learn.synthesis.request import SynthesisRequest

    wanted = SynthesisRequest(
        classes=classes,
        image=image,
        number=config.count,
        seed=context.seed,
        device=arithmetic.choose_device(),
        progress=context.progress,
    )
    make = SYNTHESIZERS[config.method.name].load()
    try:
        yield from make(teacher, wanted, **config.method.arguments)
    except ValueError as error:
        raise InputError(f"synthesize: {error}") from error


def _fill(images: NDArray[np.uint8], batches: Iterator[Tensor], image: Image) -> None:
    from edgekd.learn.synthesis.pixel_range import as_pixels

    at = 0
    for batch in batches:
        images[at : at + len(batch)] = as_pixels(batch.cpu().numpy(), image)
        at += len(batch)


def _label(
    teacher: nn.Module, images: NDArray[np.uint8], image: Image, classes: int, seed: int
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
        named, confidence, apart = _ask(teacher, part, image)
        noise = random.integers(0, 256, part.shape, dtype=np.uint8)
        labels.append(named)
        sure += confidence * len(part) / count
        distance += apart * len(part) / count
        of_noise += _ask(teacher, noise, image)[2] * len(part) / count
    every, known = np.concatenate(labels), bool(hooks.find_batch_norms(teacher))
    counts = np.bincount(every, minlength=classes)
    return every, {
        "mean_confidence": sure,
        "classes_named": int((counts > 0).sum()),
        "rarest_class_images": int(counts.min()),
        "commonest_class_images": int(counts.max()),
        "batch_norm_distance": distance if known else None,
        "batch_norm_distance_of_noise": of_noise if known else None,
    }


def _ask(
    teacher: nn.Module, pixels: NDArray[np.uint8], image: Image
) -> tuple[NDArray[np.int64], float, float]:
    """Classes named, the mean of their probabilities, the batch norms' distance (0 without any)."""
    import torch

    from edgekd.learn.synthesis import hooks
    from edgekd.learn.synthesis import losses

    images = torch.from_numpy(image.apply(pixels))
    with torch.no_grad():
        seen = hooks.record_teacher(teacher, images.to(next(teacher.parameters()).device))
        best, named = seen.logits.softmax(1).max(1)
        apart = losses.batch_norm_statistics(seen.moments) if seen.moments else torch.zeros(())
    return named.cpu().numpy(), float(best.mean()), float(apart)


STAGE = Stage("synthesize", SynthesizeConfig, run, packages=("torch", "numpy", "safetensors"))
