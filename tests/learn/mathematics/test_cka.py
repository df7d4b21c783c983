"""Similarity of layers: its invariances, and the formulas written out slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.mathematics import cka


class Fixed(nn.Module):
    """Gives out linear maps of the flattened image, each from a layer of its own."""

    def __init__(self, *weights: Tensor) -> None:
        super().__init__()
        self.maps = nn.ModuleList()
        for weight in weights:
            layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            layer.weight = nn.Parameter(weight)
            self.maps.append(layer)

    def forward(self, images: Tensor) -> Tensor:
        return [layer(images.flatten(1)) for layer in self.maps][-1]


def images(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 1, 3, 4, generator=torch.Generator().manual_seed(seed))


def weight(rows: int, seed: int) -> Tensor:
    return torch.randn(rows, 12, generator=torch.Generator().manual_seed(seed))


def orthogonal(size: int) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    found: Tensor = torch.linalg.qr(torch.randn(size, size, generator=generator)).Q
    return found


def compared(one: Tensor, other: Tensor, batches: list[Tensor]) -> float:
    models = Fixed(one), Fixed(other)
    return cka.similarity(*models, (["maps.0"], ["maps.0"]), [(each,) for each in batches]).item()


def slow_independence(one: np.ndarray, other: np.ndarray) -> float:
    """The unbiased estimator as sums over different samples i, j, q, r: what it estimates."""
    n = len(one)
    pairs = sum(one[i, j] * other[i, j] for i in range(n) for j in range(n) if i != j)
    triples = sum(
        one[i, j] * other[i, q]
        for i in range(n)
        for j in range(n)
        for q in range(n)
        if len({i, j, q}) == 3
    )
    fours = sum(
        one[i, j] * other[q, r]
        for i in range(n)
        for j in range(n)
        for q in range(n)
        for r in range(n)
        if len({i, j, q, r}) == 4
    )
    return pairs / math.perm(n, 2) - 2 * triples / math.perm(n, 3) + fours / math.perm(n, 4)


def test_independence_is_the_mean_over_different_samples() -> None:
    generator = np.random.default_rng(0)
    ones, others = generator.normal(size=(2, 7, 3)), generator.normal(size=(3, 7, 4))
    one, other = (torch.from_numpy(x @ x.transpose(0, 2, 1)) for x in (ones, others))
    found = cka.independence(one, other)
    want = [[slow_independence(a.numpy(), b.numpy()) for b in other] for a in one]
    np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-12)


def test_of_dependent_samples_it_is_unbiased() -> None:
    """One feature each, y = x: the criterion is the variance squared, on average over few samples."""
    x = torch.randn(40_000, 5, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gram = x @ x.transpose(1, 2) * 4.0
    mean = np.mean([cka.independence(g[None], g[None]).item() for g in gram[:8000]])
    assert mean == pytest.approx(16.0, rel=0.1)


def test_the_same_is_1_and_independent_layers_are_about_0() -> None:
    batches = [images(64, seed) for seed in range(6)]
    one = weight(5, 1)
    assert compared(one, one, batches) == pytest.approx(1, abs=1e-9)
    left, right = torch.eye(12)[:6], torch.eye(12)[6:]
    assert abs(compared(left, right, batches)) < 0.05


def test_rotations_scales_and_shifts_change_nothing_else_does() -> None:
    batches = [images(20, seed) + 3.0 for seed in range(3)]
    one, other = weight(6, 1), weight(8, 2)
    want = compared(one, other, batches)
    assert 0 < want < 0.95
    assert compared(orthogonal(6) @ one, other, batches) == pytest.approx(want, abs=1e-6)
    assert compared(-37.0 * one, 0.01 * other, batches) == pytest.approx(want, abs=1e-6)
    assert compared(one, other, [x + 2.0 for x in batches]) == pytest.approx(want, abs=1e-5)
    stretched = torch.diag(torch.tensor([30.0, 1, 1, 1, 1, 1])) @ one
    assert compared(stretched, other, batches) != pytest.approx(want, abs=0.02)


def test_one_batch_by_hand() -> None:
    x = images(9)
    one, other = weight(3, 1), weight(4, 2)
    rows = x.flatten(1).double()
    grams = [(rows @ w.T.double()) @ (rows @ w.T.double()).T for w in (one, other)]
    k, m = (gram.numpy() for gram in grams)
    want = slow_independence(k, m) / math.sqrt(slow_independence(k, k) * slow_independence(m, m))
    assert compared(one, other, [x]) == pytest.approx(want, rel=1e-5)


def test_many_samples_agree_with_kornblith() -> None:
    """On one large batch the biased formula, |Y'X|^2 / (|X'X| |Y'Y|) of centred rows, is the same."""
    x = images(1500)
    one, other = weight(3, 1), weight(4, 2)
    a, b = (x.flatten(1).double() @ w.T.double() for w in (one, other))
    a, b = a - a.mean(0), b - b.mean(0)
    want = (b.T @ a).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm())
    assert compared(one, other, [x]) == pytest.approx(want.item(), abs=0.005)
    assert compared(one, other, list(x.split(100))) == pytest.approx(want.item(), abs=0.02)


def test_batches_are_averaged_before_the_ratio() -> None:
    first, second = images(8, 1), 5 * images(8, 2)
    one, other = weight(3, 1), weight(4, 2)
    sums = np.zeros(3)
    for x in (first, second):
        k, m = (
            (rows @ rows.T)[None]
            for w in (one, other)
            for rows in [x.flatten(1).double() @ w.T.double()]
        )
        pairs = ((k, m), (k, k), (m, m))
        sums += [cka.independence(p, q).item() for p, q in pairs]
    want = sums[0] / math.sqrt(sums[1] * sums[2])
    found = compared(one, other, [first, images(3), second])  # 3 samples are left out
    assert found == pytest.approx(want, rel=1e-5)


def test_every_pair_stands_in_its_place() -> None:
    one, other = Fixed(weight(3, 1), weight(5, 2)), Fixed(weight(4, 3), weight(3, 1), weight(6, 4))
    rows, columns = ["maps.0", "maps.1"], ["maps.0", "maps.1", "maps.2"]
    found = cka.similarity(one, other, (rows, columns), [(images(30),)])
    assert found.shape == (2, 3) and found[0, 1].item() == pytest.approx(1, abs=1e-9)
    assert found[1, 2].item() == pytest.approx(
        cka.similarity(one, other, (["maps.1"], ["maps.2"]), [(images(30),)]).item()
    )


def test_pooled_takes_means_over_places_or_tokens() -> None:
    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 2)
            self.tokens = nn.Linear(3, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.tokens(self.conv(x).flatten(2).transpose(1, 2)).mean(1)

    torch.manual_seed(0)
    model, x = Maps(), images(12)
    with torch.no_grad():
        maps = model.conv(x)
        tokens = model.tokens(maps.flatten(2).transpose(1, 2))
    flat = [maps.flatten(1), tokens.flatten(1)]
    means = [maps.mean((2, 3)), tokens.mean(1)]
    paths = ["conv", "tokens"]
    for pooled, features in ((False, flat), (True, means)):
        found = cka.similarity(model, model, (paths, paths), [(x,)], pooled=pooled)
        gram = [(f.double() @ f.double().T)[None] for f in features]
        between, first, second = (
            cka.independence(gram[i], gram[j]).item() for i, j in ((0, 1), (0, 0), (1, 1))
        )
        assert found[0, 1].item() == pytest.approx(between / math.sqrt(first * second), rel=1e-4)


def test_a_layer_that_says_the_same_of_all_has_no_similarity() -> None:
    found = compared(torch.zeros(3, 12), weight(4, 2), [images(10)])
    assert math.isnan(found)


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = cka.similarity(model, model, (["1"], ["2"]), [(images(10),)])
    assert model.training and not any(module._forward_hooks for module in model.modules())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert found.item() == pytest.approx(1, abs=1e-4)  # fresh batch norm: a scale


@pytest.mark.parametrize(
    ("paths", "count", "message"),
    [
        (["nowhere"], 8, "nowhere: is no module"),
        (["idle"], 8, "idle: does not run"),
        (["0"], 3, "at least 4"),
    ],
)
def test_what_cannot_be_compared_is_named(paths: list[str], count: int, message: str) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    model.idle = nn.Linear(1, 1)
    model.forward = lambda x: model[1](model[0](x))
    with pytest.raises(ValueError, match=message):
        cka.similarity(model, model, (paths, paths), [(images(count),)])
    assert not any(module._forward_hooks for module in model.modules())


def test_an_output_that_is_no_tensor_is_named() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    model = nn.Sequential(Pair())
    with pytest.raises(ValueError, match="^0: want a floating-point tensor"):
        cka.similarity(model, model, (["0"], ["0"]), [(images(8),)])


def block(depth: int) -> nn.Module:
    return nn.Sequential(*(nn.Linear(12, 12) for _ in range(depth)))


def test_layers_go_as_deep_as_they_stay_few() -> None:
    model = nn.Sequential(nn.Flatten(), block(3), nn.ReLU(), block(4), nn.Linear(12, 2))
    deep = ("1.0", "1.1", "1.2", "3.0", "3.1", "3.2", "3.3", "4")
    assert cka.choose_layers(model, images(2)) == deep
    assert cka.choose_layers(model, images(2), most=8) == deep
    assert cka.choose_layers(model, images(2), most=7) == ("1", "3", "4")
    assert cka.choose_layers(model, images(2), most=2) == ("1", "4")
    assert cka.choose_layers(model, images(2), most=1) == ("1",)


def test_a_list_that_never_runs_does_not_hide_its_blocks() -> None:
    class Blocks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(block(2) for _ in range(3))
            self.again = nn.Linear(12, 12)
            self.head = nn.Linear(12, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1)
            for each in self.blocks:
                x = self.again(each(x))
            return self.head(x)

    found = cka.choose_layers(Blocks(), images(2), most=5)
    assert found == ("blocks.0", "blocks.1", "blocks.2", "head")  # `again` runs three times


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="no layer"):
        cka.choose_layers(nn.Flatten(), images(2))
