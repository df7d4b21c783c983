"""What a module takes and gives, read from batches of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import BATCH
from edgekd.interface import DTYPES
from edgekd.interface import NAME
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Kind
from edgekd.interface import Tensor
from edgekd.learn.forward_pass import Outputs
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.forward_pass import run_once
from edgekd.learn.model_inputs import Inputs

LOGITS = "logits"


def infer_interface(
    model: nn.Module,
    examples: Sequence[Inputs],
    names: Sequence[str] = (),
    *,
    targets: Mapping[str, torch.Tensor] | None = None,
    kind: Kind = "logits",
    single: bool = False,
) -> Interface:
    """Infer what `model` takes and gives. An axis is free where its size differs among the examples, else fixed.

    Args:
        model: is left as it is.
        examples: batches of its inputs, each [B, ...].
        names: of the inputs, in order; made up where there are too few.
        targets: of the first example, each [B, ...]: the first output is compared with the first of them.
        kind: of the first output; of logits the axis of the classes is the one that integer targets lack, else the
            second.
        single: whether each class is a probability by itself.

    Raises:
        InputError: if it cannot be run, or gives something else than tensors.
    """
    found = [tuple(each[:2] for each in inputs) for inputs in examples]
    given = [_answer(model, inputs) for inputs in found]
    free: dict[tuple[int, ...], str] = {}
    inputs = [
        _end(_input_name(number, names), [each[number] for each in found], free, make=True)
        for number in range(len(found[0]))
    ]
    outputs = []
    for number in range(len(given[0])):
        name = "output" if kind != LOGITS else LOGITS
        end = _end(f"{name}_{number}" if number else name, [each[number] for each in given], free)
        outputs.append(_first_output(end, targets or {}, kind, single) if not number else end)
    axes = (Axis(BATCH), *(_axis(name, sizes) for sizes, name in free.items()))
    sizes = {}
    if outputs[0].class_axis >= 1:
        sizes["classes"] = given[0][0].shape[outputs[0].class_axis]
    return Interface(tuple(inputs), tuple(outputs), axes, sizes)


def answer_shapes(model: nn.Module, inputs: Inputs) -> list[tuple[int, ...]]:
    """The shapes of what `model`, left as it is, gives for two samples of `inputs`, without the batch.

    Raises:
        InputError: if it cannot be run, or gives something else than tensors.
    """
    answers = _answer(model, tuple(each[:2] for each in inputs))
    return [tuple(each.shape[1:]) for each in answers]


def _answer(model: nn.Module, inputs: Inputs) -> Outputs:
    try:
        outputs = as_tuple(run_once(model, *inputs))
    except Exception as error:  # whatever the user's forward raises
        shapes = ", ".join(str(list(each.shape)) for each in inputs)
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{type(model).__name__}: cannot take {shapes}: {first[:200]}") from error
    for each in outputs:
        if not isinstance(each, torch.Tensor) or not each.ndim or len(each) != len(inputs[0]):
            form = list(each.shape) if isinstance(each, torch.Tensor) else type(each).__name__
            raise InputError(
                f"{type(model).__name__}: got {form} from {len(inputs[0])} samples, want tensors [B, ...]",
                hint="wrap it in a module whose forward returns its logits, or a tuple of tensors",
            )
    return outputs


def _input_name(number: int, names: Sequence[str]) -> str:
    usable = number < len(names) and NAME.fullmatch(names[number])
    return names[number] if usable else f"input_{number}"


def _end(
    name: str,
    values: Sequence[torch.Tensor],
    free: dict[tuple[int, ...], str],
    *,
    make: bool = False,
) -> Tensor:
    """One input or output; with `make` its axes of several sizes become free ones."""
    dtype = str(values[0].dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise InputError(f"{name}: got {dtype}, want one of {', '.join(DTYPES)}")
    if len({each.ndim for each in values}) > 1:
        raise InputError(f"{name}: got another number of axes in some batches, want one")
    shape: list[int | str] = [BATCH]
    for at in range(1, values[0].ndim):
        sizes = tuple(each.shape[at] for each in values)
        if len(set(sizes)) == 1:
            shape.append(sizes[0])
        elif sizes in free or make:
            shape.append(free.setdefault(sizes, f"{name}_{at}"))
        else:
            raise InputError(f"{name}: got sizes {sorted(set(sizes))}, which no input has")
    if dtype.startswith("float"):
        return Tensor(name, dtype, tuple(shape))
    if dtype == "bool":
        return Tensor(name, dtype, tuple(shape), "mask")
    most = max(int(each.max()) if each.numel() else 0 for each in values)
    if most <= 1 and name.endswith("mask"):  # attention_mask, as tokenizers give it
        return Tensor(name, dtype, tuple(shape), "mask")
    return Tensor(name, dtype, tuple(shape), "index", below=most + 1)


def _axis(name: str, sizes: tuple[int, ...]) -> Axis:
    return Axis(name, usual=max(sizes))


def _first_output(
    end: Tensor, targets: Mapping[str, torch.Tensor], kind: Kind, single: bool
) -> Tensor:
    target = next(iter(targets), "")
    if kind != LOGITS:
        return end._replace(target=target)
    return end._replace(
        kind=kind, target=target or "labels", class_axis=_class_axis(end, targets, single)
    )


def _class_axis(end: Tensor, targets: Mapping[str, torch.Tensor], single: bool) -> int:
    if single or len(end.shape) < 2:
        return -1
    first = next(iter(targets.values()), None)
    if first is None or first.is_floating_point():
        return 1
    for at in range(1, len(end.shape)):
        places = (*end.shape[1:at], *end.shape[at + 1 :])
        if len(places) == first.ndim - 1 and all(
            isinstance(want, str) or got == want
            for got, want in zip(first.shape[1:], places, strict=True)
        ):
            return at
    raise InputError(
        f"{end.name}: got {list(end.shape)} and labels {list(first.shape)}, want a class for each place"
    )
