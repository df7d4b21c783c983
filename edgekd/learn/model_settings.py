"""What a recipe may say of a model: its builder, whether it is pretrained, the images it takes. Imports no torch."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import BeforeValidator
from pydantic import Field

from edgekd.learn.models import MODELS
from edgekd.named_member import NamedMember
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default

Size = Annotated[int, Field(ge=1, le=16_384)]


class Input(Settings):
    """The images a model takes, where they are not the data's; what is None is as there."""

    height: Size | None = None
    """In pixels."""
    width: Size | None = None
    """In pixels."""
    channels: Size | None = None
    """One from three is luma, three from one the same thrice."""
    select: Annotated[tuple[Whole, ...], Field(min_length=1, strict=False)] | None = None
    """The data's channels that it sees; its teacher may see more."""


class ModelChoice(NamedMember):
    """A builder with its knobs, and whether its published weights are loaded: ``{name: timm:resnet18, pretrained: true}``."""

    pretrained: bool = omit_default(False)
    """Whether it begins with the weights that were published under its name, or that lie in its folder."""
    expects: Input | None = omit_default(None)
    """The images its weights were trained with; a plan fills it in, and it counts where the data's are others and the
    recipe says none."""


def _model(value: Any) -> ModelChoice:
    if isinstance(value, ModelChoice):
        return value
    if isinstance(value, NamedMember):
        return ModelChoice(**dict(value))
    extra = {}
    if isinstance(value, dict):
        extra = {name: value[name] for name in ("pretrained", "expects") if name in value}
        value = {name: each for name, each in value.items() if name not in extra}
    named = NamedMember.parse(value, MODELS, "model")
    if not isinstance(extra.get("pretrained", False), bool):
        raise ValueError(f"pretrained: got {extra['pretrained']!r}, want true or false")
    if extra.get("pretrained") and not MODELS[named.name].package:
        raise ValueError(
            f"pretrained: got it for {named}, want a model of timm or transformers, whose weights are published; "
            "`weights` beside the model loads a file"
        )
    return ModelChoice(**dict(named), **extra)


ModelName = Annotated[ModelChoice, BeforeValidator(_model)]
"""A builder of `edgekd.learn.models`, by name or with its arguments."""


class Network(Settings):
    """A model as a recipe says it."""

    model: ModelName
    input: Input | None
    norm: Literal["batch", "group"] = "batch"
    reads: str = omit_default("")
    """Of a teacher that reads texts by its own tokenizer its name, under which its data lie."""
    classes: Annotated[tuple[str, ...], Field(strict=False)] = ()
