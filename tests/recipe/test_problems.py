from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

import pytest
from pydantic import Field
from pydantic import ValidationError

from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.recipe.problems import _WANTS
from edgekd.recipe.problems import describe_error
from edgekd.recipe.text import ParsedRecipe
from edgekd.settings import Settings


class Inner(Settings):
    count: Annotated[int, Field(ge=1)] = 1
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5


class Asking(Settings):
    wanted: int


class Outer(Settings):
    inner: Inner = Inner()
    many: Annotated[tuple[Inner, ...], Field(strict=False, max_length=2)] = ()
    some: Annotated[tuple[Asking, ...], Field(strict=False, min_length=1)] = (Asking(wanted=1),)
    mode: Literal["auto"] | bool | None = None
    text: Annotated[str, Field(pattern="^a+$", max_length=5)] = "a"


def said(value: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(value)
    return str(describe_error(caught.value, ParsedRecipe(value, {(): "r.yaml"}), Outer))


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ({"inner": {"count": 0}}, "inner.count: got 0, want an integer >= 1"),
        ({"inner": {"count": True}}, "inner.count: got true, want an integer"),
        ({"inner": {"share": 1}}, "inner.share: got 1, want a number < 1"),
        ({"inner": {"share": "x" * 99}}, f"inner.share: got {'x' * 99!r:.47}..., want a number"),
        ({"inner": None}, "inner: got nothing, want a mapping"),
        ({"inner": {"cuont": 3}}, "inner.cuont: got unknown key, did you mean 'count'?"),
        ({"many": [{}, {"shar": 1}]}, "many.1.shar: got unknown key, did you mean 'share'?"),
        ({"many": [{}, {}, {}]}, "many: got a list of 3, want at most 2 of them"),
        ({"some": []}, "some: got a list of 0, want at least 1 of them"),
        ({"some": [{}]}, "some.0.wanted: got nothing, want a value"),
        ({"some": [{"wanted": "x"}]}, "some.0.wanted: got 'x', want an integer"),
        ({"some": [{}, {"wantd": 1}]}, "some.1.wantd: got unknown key, did you mean 'wanted'?"),
        ({"many": {}}, "many: got a mapping, want a list"),
        ({"mode": "manual"}, "mode: got 'manual', want 'auto' or true or false"),
        ({"text": "b"}, "text: got 'b', want text like ^a+$"),
        ({"text": "aaaaaa"}, "text: got 'aaaaaa', want at most 5 characters"),
        ({"text": "b", "inner": {"count": 0}, "tetx": "a"}, "tetx: got unknown key, did you"),
    ],
)
def test_plain_words(value: dict[str, Any], want: str) -> None:
    assert said(value).startswith(f"r.yaml: {want}")


def test_no_words_of_pydantic_are_left() -> None:
    assert all("Input" not in want and "valid" not in want for want in _WANTS.values())


@pytest.mark.parametrize(
    ("learn", "want"),
    [
        ({"losses": "KD"}, "learn.0: got no step, want step: distil beside losses"),
        ([{"speedup": 2}], "learn.0: got no step, want step: factorize beside speedup"),
        ([{}], "learn.0: got no step, want step: distil, factorize, prune or quantize"),
        ([{"x": 1}], "learn.0: got no step, want step: distil, factorize, prune or quantize"),
    ],
)
def test_a_step_without_its_name_is_answered_with_the_line_to_write(
    learn: object, want: str
) -> None:
    said = {"name": "a", "student": {"model": "resnet8"}, "learn": learn}
    said |= {"data": {"source": "digits"}, "targets": [{"runtime": "onnxruntime"}]}
    with pytest.raises(InputError, match=f"{want}$"):
        recipes.load_mapping(said)
