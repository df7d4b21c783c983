"""Whether weights fit a model for images, before anything is known of the data but that they are images of classes."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping

import torch
from torch import Tensor

from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn import weights
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.model_settings import Input
from edgekd.learn.weight_names import fit_names
from edgekd.named_member import NamedMember

SUPPOSED = ({"channels": 3, "side": 64, "classes": 7}, {"channels": 1, "side": 96, "classes": 11})
"""Two kinds of data; a tensor of a model that has another shape for each depends on the data."""


def require_fit_without_data(
    model: NamedMember,
    tensors: Mapping[str, Tensor],
    where: str,
    *,
    allow: Collection[weights.Allowed],
    seen: Input,
    classes: int,
    allow_code: bool,
) -> None:
    """Require that weights fit a model in all that does not depend on the data; nothing is required of a model that
    cannot be built for made-up data.

    Args:
        model: a builder.
        tensors: of the file, by name.
        where: the file, for the message.
        allow: what the file may have beside the model's tensors, or lack of them.
        seen: the images that the model takes, as far as they are not the data's.
        classes: how many the weights tell apart; 0 where that is as many as the data have.
        allow_code: whether a ``python:`` reference may run.

    Raises:
        InputError: naming the tensors that are missing, too many or of another shape.
        MachineError: if the model needs a package that is not installed.
    """
    models = []
    for supposed in SUPPOSED:
        interface = image_classifier(
            classes=classes or supposed["classes"],
            channels=seen.channels or len(seen.select or ()) or supposed["channels"],
            height=seen.height or supposed["side"],
            width=seen.width or supposed["side"],
        )
        plan = Blueprint(builder=model.name, arguments=model.arguments, interface=interface)
        try:
            with torch.random.fork_rng(devices=[]):
                models.append(blueprint.build(plan, allow_code=allow_code))
        except InputError:  # it is for other data than were made up
            return
    first, second = (each.state_dict() for each in models)
    if first.keys() != second.keys():
        return
    fitted, _ = fit_names(models[0], tensors)
    free = {name for name, tensor in first.items() if second[name].shape != tensor.shape}
    alike = {name for name in fitted if name in free and fitted[name].ndim == first[name].ndim}
    weights.require_fit(first, {**fitted, **{name: first[name] for name in alike}}, where, allow)
