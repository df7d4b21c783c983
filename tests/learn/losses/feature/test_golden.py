"""Feature losses against values of the public reference functions named in golden.json, in float64.

Inputs, k row-major from 0: fs = sin(.37 k) and ft = cos(.23 k) + .5 sin(.11 k), both (4, 6, 4, 4); es and et
are their means over the places; zs and zt as for the response losses. The gradient is compared by its norm
and along cos(.37 k + .2) over each tensor it is taken of.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from edgekd.learn.companions.resizing import resizer
from edgekd.learn.losses.feature.boundary import ab
from edgekd.learn.losses.feature.boundary import ofd
from edgekd.learn.losses.feature.channels import cwd
from edgekd.learn.losses.feature.channels import pkd
from edgekd.learn.losses.feature.factors import ft
from edgekd.learn.losses.feature.flow import fsp
from edgekd.learn.losses.feature.likelihood import pad_l2
from edgekd.learn.losses.feature.likelihood import vid
from edgekd.learn.losses.feature.normalization import log_power_sum
from edgekd.learn.losses.feature.normalization import srd
from edgekd.learn.losses.feature.normalization import srd_correlation
from edgekd.learn.losses.feature.places import at
from edgekd.learn.losses.feature.places import nst
from edgekd.learn.losses.feature.regression import cosine
from edgekd.learn.losses.feature.regression import fitnet
from edgekd.learn.losses.feature.regression import patient
from edgekd.learn.losses.feature.review import reviewkd
from edgekd.learn.losses.response.soft_targets import kd

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())
Given = dict[str, Tensor]


def count(shape: tuple[int, ...]) -> Tensor:
    return torch.arange(math.prod(shape), dtype=torch.float64).reshape(shape)


def signals() -> Given:
    k, logits = count((4, 6, 4, 4)), count((4, 10))
    given = {"fs": torch.sin(0.37 * k), "ft": torch.cos(0.23 * k) + 0.5 * torch.sin(0.11 * k)}
    given |= {"es": given["fs"].mean((2, 3)), "et": given["ft"].mean((2, 3))}
    given |= {"zs": 2 * torch.sin(1 + logits), "zt": 3 * torch.cos(logits / 2)}
    return {name: value.detach().requires_grad_() for name, value in given.items()}


def pooled_at(g: Given, p: float, crop: int) -> Tensor:
    beside = resizer((4, 6, 4, 4), (4, 6, crop, crop))
    return at(*beside(g["fs"], g["ft"][:, :, :crop, :crop]).values(), exponent=p)


def halves(maps: Tensor, crop: int = 4) -> tuple[Tensor, Tensor]:
    return maps[:, :3], maps[:, 3:, :crop, :crop]


def batch_norm_margin() -> Tensor:
    """E[x | x < 0] of a normal with mean .2 sin c and deviation 1 + .1 c."""
    c = torch.arange(6, dtype=torch.float64)
    mean, deviation = 0.2 * torch.sin(c), 1 + 0.1 * c
    below = torch.distributions.Normal(0.0, 1.0).cdf(-mean / deviation)
    density = torch.exp(-((mean / deviation) ** 2) / 2) / math.sqrt(2 * math.pi)
    return (mean - deviation * density / below).reshape(6, 1, 1)


def activity(maps: Tensor) -> Tensor:
    return maps.square().mean(1, keepdim=True)


NOTHING = torch.zeros(())
CASES: dict[str, Callable[..., Tensor]] = {
    "fitnet": lambda g: fitnet(g["fs"], g["ft"]),
    "attention_transfer": lambda g, p: at(g["fs"], g["ft"], exponent=p),
    "attention_transfer_l2": lambda g: at(g["fs"], g["ft"], squared=False),
    "attention_transfer_pooled": pooled_at,
    "nst": lambda g: nst(g["fs"], g["ft"]),
    "fsp": lambda g, crop=4: fsp(halves(g["fs"], crop), halves(g["ft"], crop)),
    "fsp_column_norm": lambda g: fsp(halves(g["fs"]), halves(g["ft"]), column_norm=True),
    "factor_transfer": lambda g, p1, p2: ft(activity(g["fs"]), activity(g["ft"]), NOTHING),
    "factor_transfer_l1": lambda g: ft(g["fs"], g["ft"], NOTHING),
    "activation_boundary": lambda g, margin: 3e-3 * ab(g["fs"], g["ft"], margin=margin),
    "activation_boundary_mean": lambda g, margin: ab(g["fs"], g["ft"], margin=margin) / 96,
    "overhaul": lambda g: 4 * ofd(g["fs"], g["ft"], batch_norm_margin()),
    "overhaul_no_margin": lambda g, mul: ofd(g["fs"], g["ft"], torch.tensor(-1e9)) / mul,
    "vid": lambda g, var, eps: vid(g["fs"], g["ft"], torch.tensor(var, dtype=torch.float64)),
    "review_hcl": lambda g: reviewkd((g["fs"],), (g["ft"],)),
    "srd": lambda g, bn_eps: srd_correlation(g["es"], g["et"], epsilon=bn_eps),
    "srd_log_difference": lambda g, bn_eps: srd(g["es"], g["et"], epsilon=bn_eps),
    "srd_log_power_plus_kl": lambda g, exponent, T: (
        2 * log_power_sum(g["es"] - g["et"].detach(), exponent)
        + kd(g["zs"], g["zt"], temperature=T)
    ),
    "channel_wise_kd": lambda g, tau: cwd(g["fs"], g["ft"], temperature=tau),
    "pearson_kd": lambda g: pkd(g["fs"], g["ft"]),
    "cosine": lambda g: cosine(g["fs"], g["ft"]),
    "cosine_embedding": lambda g: cosine(g["es"], g["et"]),
    "patient_kd": lambda g: patient(g["es"], g["et"]),
    "prime_aware_l2": lambda g, eps: pad_l2(g["es"], g["et"], 0.3 * torch.sin(count((4, 6)))),
}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['case']} {c['at']}")
def test_value_and_gradient_are_the_reference_s(case: dict[str, Any]) -> None:
    given = signals()
    value = CASES[case["case"]](given, **case["at"])
    value.backward()
    assert value.item() == pytest.approx(case["value"], rel=1e-9)
    gradients = [given[name].grad for name in case["with_respect_to"]]
    flat = torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])
    k = torch.cat([count((len(g.flatten()),)) for g in gradients if g is not None])
    assert flat.norm().item() == pytest.approx(case["l2"], rel=1e-6)
    along = (flat * torch.cos(0.37 * k + 0.2)).sum().item()
    assert along == pytest.approx(case["directional"], rel=1e-6)
    assert all(given[name].grad is None for name in ("ft", "et", "zt"))
