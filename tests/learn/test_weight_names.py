"""A model's names are found whatever wrappers put before them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn.weight_names import fit_names


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.model = nn.Linear(2, 2)


OWN = Net().state_dict()


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "net.", "_orig_mod.", "module._orig_mod.", "model.module."]
)
def test_a_prefix_is_taken_off_and_said(prefix: str) -> None:
    fitted, taken_off = fit_names(Net(), {prefix + name: value for name, value in OWN.items()})
    assert fitted.keys() == OWN.keys()
    assert taken_off.replace(" and ", "") in (prefix, "module._orig_mod.")
    assert bool(taken_off) == bool(prefix)


def test_torch_s_own_wrappers() -> None:
    compiled = torch.compile(Net())
    assert isinstance(compiled, nn.Module)
    inside = Net()
    inside.conv = torch.compile(inside.conv)  # type: ignore[assignment]
    averaged = torch.optim.swa_utils.AveragedModel(Net())
    for model in (compiled, inside, averaged, nn.DataParallel(Net())):
        fitted, taken_off = fit_names(Net(), model.state_dict())
        assert fitted.keys() - {"n_averaged"} == OWN.keys() and taken_off


def test_what_has_no_prefix_stays_as_it_is() -> None:
    beside = {"criterion.weight": torch.ones(1), "conv.weight": torch.full((1, 1, 1, 1), 9.0)}
    given = {f"model.{name}": value for name, value in OWN.items()} | beside
    fitted, taken_off = fit_names(Net(), given)
    assert fitted.keys() == {*OWN, "criterion.weight"} and taken_off == "model."
    assert torch.equal(fitted["conv.weight"], OWN["conv.weight"])


def test_a_name_of_the_model_s_own_is_no_prefix() -> None:
    fitted, taken_off = fit_names(Net(), OWN)
    assert fitted.keys() == OWN.keys() and taken_off == ""
    compiled = torch.compile(Net())
    assert isinstance(compiled, nn.Module)
    assert fit_names(compiled, compiled.state_dict())[1] == ""


def test_the_one_owner_of_most_of_a_model_s_names_is_found_whatever_it_is_called() -> None:
    beside = {"criterion.weight": torch.ones(1), "head.conv.weight": torch.ones(1)}
    given = {f"backbone.encoder.{name}": value for name, value in OWN.items()}
    fitted, taken_off = fit_names(Net(), given | beside)
    assert fitted.keys() == {*OWN, *beside} and taken_off == "backbone.encoder."
    both = given | {f"teacher.{name}": value for name, value in OWN.items()}
    assert fit_names(Net(), both) == (both, "")  # whose are meant?
    few = {"block.conv.weight": torch.ones(1)}
    assert fit_names(Net(), few) == (few, "")


def test_another_model_s_names_stay() -> None:
    given = {"module.x": torch.ones(1), "my_orig_mod.y": torch.ones(1)}
    assert fit_names(Net(), given) == (given, "")
