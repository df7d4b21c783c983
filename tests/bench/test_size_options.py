from __future__ import annotations

import pytest

from edgekd.bench import size_options
from edgekd.errors import InputError
from edgekd.value_info import Value


def test_every_combination_is_a_row() -> None:
    assert size_options.list_combinations([]) == [{}]
    assert size_options.list_combinations(["h=1,2", "w=3", "x=4x5"]) == [
        {"h": (1,), "w": (3,), "x": (4, 5)},
        {"h": (2,), "w": (3,), "x": (4, 5)},
    ]
    twice = ["h=2,2", "prompt_length=16,16", "context_length=3", "context_length=3"]
    assert size_options.list_combinations(twice) == [
        {"h": (2,)},
        {"prompt_length": (16,)},
        {"context_length": (3,)},
    ]
    # repeated, and with an equals sign in the name
    assert size_options.list_combinations(["a=b=1", "a=b=2"]) == [{"a=b": (1,)}, {"a=b": (2,)}]


@pytest.mark.parametrize("wrong", ["h", "h=", "=3", "h=x", "h=-1", "h=1.5", "h=1,", "h=9999999999"])
def test_other_forms_are_refused(wrong: str) -> None:
    with pytest.raises(InputError, match="want NAME=N, NAME=N,N or INPUT=NxNxN"):
        size_options.list_combinations([wrong])


def test_a_name_that_no_model_has_is_refused() -> None:
    models = [[Value("x", 1, ("N", "height"))], [Value("y", 1, (None, "?"))]]
    size_options.require_known({"height": (1,), "x.1": (1,), "y.1": (1,), "y": (1, 2)}, models)
    with pytest.raises(InputError, match=r"--size: got 'heigth', did you mean 'height'\?"):
        size_options.require_known({"heigth": (1,)}, models)
    with pytest.raises(InputError, match="did you mean 'prompt_length'"):
        size_options.require_known({"prompt_len": (1,)}, models, ("prompt_length",))
    with pytest.raises(InputError, match=r"got '\?'"):
        size_options.require_known({"?": (1,)}, models)
