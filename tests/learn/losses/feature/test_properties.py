"""What holds of feature losses by their formulas, and what they do with input that is not well-behaved."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.losses.feature import LOSSES
from edgekd.table import find_signature

Given = dict[str, Any]


def drawn(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def given() -> Given:
    maps = [drawn(4, 6, side, side, seed=side) for side in (5, 4, 4, 3, 3)]
    return {
        "student_features": drawn(4, 6, 3, 5, seed=1),
        "teacher_features": drawn(4, 6, 3, 5, seed=2),
        "student_stages": (maps[0], maps[1], maps[3]),
        "teacher_stages": (maps[0].flip(0), maps[2].flip(1), maps[4].flip(2)),
        "student_embedding": drawn(4, 7, seed=3),
        "teacher_embedding": drawn(4, 7, seed=4),
        "reconstruction": torch.tensor(0.0, dtype=torch.float64),
        "margin": -drawn(6, 1, 1, seed=5).abs(),
        "variance": drawn(6, 1, 1, seed=6).square() + 0.1,
        "log_variance": drawn(4, 7, seed=7),
    }


def each(change: Any, signals: Given) -> Given:
    return {
        name: tuple(map(change, value)) if isinstance(value, tuple) else change(value)
        for name, value in signals.items()
    }


def call(name: str, signals: Given, **knobs: Any) -> Tensor:
    member = LOSSES[name]
    return member.load()(*(signals.get(key) for key in find_signature(member).positional), **knobs)


def leaves(signals: Given, side: str) -> list[Tensor]:
    found = [value for name, value in signals.items() if name.startswith(side)]
    return [leaf for value in found for leaf in (value if isinstance(value, tuple) else (value,))]


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_student_is_moved_and_the_teacher_is_not(name: str) -> None:
    signals = each(lambda value: value.clone().requires_grad_(), given())
    call(name, signals).backward()
    assert all(leaf.grad is None for leaf in leaves(signals, "teacher"))
    moved = [leaf.grad for leaf in leaves(signals, "student") if leaf.grad is not None]
    assert moved and all(bool(gradient.abs().sum() > 0) for gradient in moved)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_half_precision_is_computed_in_single(name: str) -> None:
    wide = each(lambda value: value.half().double(), given())
    narrow = each(lambda value: value.half(), wide) | {
        key: wide[key].float() for key in ("reconstruction", "margin", "variance", "log_variance")
    }
    value = call(name, narrow)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(call(name, wide).item(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("size", [0.0, 1e-4, 1e4])
def test_finite_at_nothing_and_at_extremes(name: str, size: float) -> None:
    apart = ("reconstruction", "margin", "variance", "log_variance")
    signals: Given = {key: value for key, value in given().items() if key in apart}
    others = {key: value for key, value in given().items() if key not in apart}
    signals |= each(lambda value: (value * size).to(torch.bfloat16).requires_grad_(), others)
    value = call(name, signals)
    value.backward()
    assert bool(value.isfinite())
    gradients = [leaf.grad for leaf in leaves(signals, "student") if leaf.grad is not None]
    assert gradients and all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_order_of_the_batch_does_not_matter(name: str) -> None:
    order = torch.tensor([2, 0, 3, 1])
    turned = each(
        lambda value: value[order] if len(value.shape) and len(value) == 4 else value, given()
    )
    assert call(name, turned).item() == pytest.approx(call(name, given()).item(), rel=1e-10)


@pytest.mark.parametrize(
    "name",
    ["fitnet", "simkd", "cosine", "patient", "at", "nst", "fsp", "ft", "reviewkd", "cwd", "pkd"],
)
def test_zero_at_a_copy_and_more_elsewhere(name: str) -> None:
    signals = given()
    assert call(name, signals).item() > 1e-4
    copied = {key: signals[key.replace("student", "teacher")] for key in signals}
    assert call(name, copied).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["at", "nst", "cosine", "patient", "ft", "pkd"])
def test_the_student_s_scale_does_not_matter(name: str) -> None:
    signals = given()
    want = call(name, signals).item()
    signals["student_features"] = 7 * signals["student_features"]
    assert call(name, signals).item() == pytest.approx(want, rel=1e-5)


def test_nst_asks_for_the_channels_in_any_order_and_number() -> None:
    signals = given()
    signals["student_features"] = signals["teacher_features"].flip(1).repeat(1, 2, 1, 1)
    assert call("nst", signals).item() == pytest.approx(0, abs=1e-12)


def test_pkd_is_one_less_the_correlation() -> None:
    signals = given()
    s, t = (signals[f"{who}_features"].transpose(0, 1).flatten(1) for who in ("student", "teacher"))
    correlations = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(s, t, strict=True)]
    elements = s.shape[1]  # the deviation is that of a sample, the mean that of all
    want = (elements - 1) / elements * (1 - torch.stack(correlations).mean().item())
    assert call("pkd", signals).item() == pytest.approx(want, rel=1e-5)


def test_cwd_does_not_see_a_number_added_to_a_channel() -> None:
    signals = given()
    want = call("cwd", signals, temperature=3.0).item()
    signals["student_features"] = signals["student_features"] + drawn(4, 6, 1, 1, seed=9)
    assert call("cwd", signals, temperature=3.0).item() == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize("name", ["fitnet", "cosine", "at", "nst", "cwd", "pkd", "ab"])
def test_tokens_are_compared_as_the_map_they_make(name: str) -> None:
    signals = given()
    tokens = each(
        lambda value: value.flatten(2).transpose(1, 2) if value.ndim == 4 else value, signals
    )
    assert call(name, tokens).item() == pytest.approx(call(name, signals).item(), rel=1e-10)


def test_patient_reads_the_class_token_alone() -> None:
    signals = given() | {"student_features": drawn(4, 5, 6, seed=1)}
    signals["teacher_features"] = drawn(4, 5, 6, seed=2)
    signals["teacher_features"][:, 0] = 2 * signals["student_features"][:, 0]
    assert call("patient", signals).item() == pytest.approx(0, abs=1e-12)
    means = {key: signals[key].mean(1) for key in ("student_features", "teacher_features")}
    want = call("patient", means).item()
    assert want > 0.1
    assert call("patient", signals, class_token=False).item() == pytest.approx(want, rel=1e-12)


def test_ab_by_hand() -> None:
    """Only the sign of the teacher counts; the student is short of it by margin less its own value."""
    signals = {
        "student_features": torch.tensor([[0.5, -2.0, 3.0, -0.25]]),
        "teacher_features": torch.tensor([[9.0, 0.1, 0.2, -7.0]]),
    }
    want = (1 - 0.5) ** 2 + (1 + 2.0) ** 2 + 0 + (1 - 0.25) ** 2
    assert call("ab", signals).item() == pytest.approx(want)
    signals["teacher_features"][0, 3] = 0.0  # after a ReLU, off is 0
    assert call("ab", signals).item() == pytest.approx(want)
    assert call("ab", signals, margin=0.0).item() == pytest.approx(2.0**2)


def test_ofd_by_hand() -> None:
    """A teacher below the margin is raised to it; a student below both is left alone."""
    signals = {
        "student_features": torch.tensor([[0.5, -2.0, 0.0, -0.25]]),
        "teacher_features": torch.tensor([[1.0, -1.0, -9.0, -9.0]]),
        "margin": torch.tensor([-0.5, -0.5, -0.5, -0.1]),
    }
    want = (0.5 - 1.0) ** 2 + 0 + (0.0 + 0.5) ** 2 + 0
    assert call("ofd", signals).item() == pytest.approx(want)


def test_vid_is_the_normal_likelihood() -> None:
    signals = given()
    s, t, v = (signals[k] for k in ("student_features", "teacher_features", "variance"))
    likelihood = torch.distributions.Normal(s, v.sqrt().expand_as(s)).log_prob(t).mean().item()
    want = -likelihood - math.log(2 * math.pi) / 2
    assert call("vid", signals).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("sides", [(3, 3), (5, 5), (8, 8), (2, 2), (1, 1), (7, 5)])
def test_reviewkd_at_every_size(sides: tuple[int, int]) -> None:
    s, t = drawn(2, 3, *sides, seed=1), drawn(2, 3, *sides, seed=2)
    parts, weights = [((s - t) ** 2).mean()], [1.0]
    for side in (side for side in (4, 2, 1) if side < min(sides)):
        small = [F.adaptive_avg_pool2d(one, side) for one in (s, t)]
        parts.append(((small[0] - small[1]) ** 2).mean())
        weights.append(weights[-1] / 2)
    want = sum(w * p.item() for w, p in zip(weights, parts, strict=True)) / sum(weights)
    two = {"student_stages": (s, s), "teacher_stages": (t, t)}
    assert call("reviewkd", two).item() == pytest.approx(2 * want, rel=1e-10)


def test_fsp_pools_and_sums_over_consecutive_stages() -> None:
    signals = given()
    want = 0.0
    flows = {}
    for who in ("student", "teacher"):
        stages = signals[f"{who}_stages"]
        for number, (a, b) in enumerate(itertools.pairwise(stages)):
            small = F.adaptive_avg_pool2d(a, b.shape[2:])
            flows[who, number] = torch.einsum("bixy,bjxy->bij", small, b) / b[0, 0].numel()
    for number in (0, 1):
        want += ((flows["student", number] - flows["teacher", number]) ** 2).mean().item()
    assert call("fsp", signals).item() == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize("name", ["srd", "srd-correlation"])
def test_srd_does_not_see_scale_and_shift_of_a_feature(name: str) -> None:
    signals = given()
    want = call(name, signals, epsilon=1e-12).item()
    moved = signals["student_embedding"] * torch.arange(1.0, 8.0) + torch.arange(7.0)
    signals["student_embedding"] = moved
    assert call(name, signals, epsilon=1e-12).item() == pytest.approx(want, rel=1e-8)


def test_srd_is_held_where_both_agree() -> None:
    signals = given()
    signals["student_embedding"] = signals["teacher_embedding"]
    assert call("srd", signals).item() == pytest.approx(math.log(1e-12))
    assert call("srd-correlation", signals, epsilon=1e-30).item() == pytest.approx(math.log(1e-5))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_shapes_that_do_not_fit_are_refused(name: str) -> None:
    signals = given()
    changed = each(lambda value: value[:3] if value.ndim else value, signals)
    for key in ("student_features", "student_embedding", "student_stages"):
        signals[key] = changed[key]
    signals["student_stages"] = signals["student_stages"][:1]
    with pytest.raises(ValueError, match="want"):
        call(name, signals)


@pytest.mark.parametrize(
    ("name", "signal", "shape"),
    [
        ("at", "student_features", (4, 6, 3, 4)),
        ("nst", "student_features", (4, 7)),
        ("cwd", "student_features", (4, 7)),
        ("ofd", "margin", (2, 4, 6, 3, 5)),
        ("vid", "variance", (2, 4, 6, 3, 5)),
        ("pad-l2", "log_variance", (4, 1)),
    ],
)
def test_one_that_does_not_fit_is_refused(name: str, signal: str, shape: tuple[int, ...]) -> None:
    signals = given() | {signal: torch.ones(shape, dtype=torch.float64)}
    if name == "cwd":
        signals["teacher_features"] = signals["student_features"]
    with pytest.raises(ValueError, match="want"):
        call(name, signals)


@pytest.mark.parametrize("name", ["srd", "srd-correlation"])
def test_one_sample_has_no_batch_to_be_normalized_by(name: str) -> None:
    with pytest.raises(ValueError, match="batch of 1"):
        call(name, each(lambda value: value[:1] if value.ndim else value, given()))


@pytest.mark.parametrize("name", ["at", "srd", "srd-correlation"])
def test_a_power_below_one_has_no_gradient_at_zero(name: str) -> None:
    with pytest.raises(ValueError, match=r"got exponent 0\.5"):
        call(name, given(), exponent=0.5)


def test_stages_that_no_gram_fits_are_refused() -> None:
    signals = given()
    signals["student_stages"] = tuple(stage[:, :5] for stage in signals["student_stages"])
    with pytest.raises(ValueError, match="want stages with as many channels"):
        call("fsp", signals)
