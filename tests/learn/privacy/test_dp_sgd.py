"""A private step: the plain gradient where nothing is clipped, of a sample no more than allowed, then noise."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.edits import group_norm
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.privacy import dp_sgd
from edgekd.learn.privacy.dp_sgd import Privacy
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember
from tests.learn.schemes import online_example as example

PLAIN = Privacy(noise=0.0, max_norm=math.inf, batch_size=example.BATCH)


def convolutional() -> nn.Module:
    model = group_norm.apply(example.network(), {}, torch.zeros(2, 1, 8, 8))
    return model.to(memory_format=torch.channels_last).train()


def tokens() -> nn.Module:
    return example.network(0, "tokens").train()


networks = pytest.mark.parametrize("make", [convolutional, tokens])
Make = Callable[[], nn.Module]


def terms(*names: str) -> tuple[Term, ...]:
    return tuple(Term(loss=NamedMember.parse(name, LOSSES, "loss"), weight=0.7) for name in names)


def teach(seen: TensorBatch) -> Tensor:
    return torch.randn(len(seen.targets["labels"]), example.CLASSES, generator=torch.manual_seed(2))


def plain(model: nn.Module, seen: TensorBatch) -> dict[str, Tensor]:
    """The gradient as the loop has it without privacy."""
    model.zero_grad()
    loss, _ = compute_lessons(
        bind_terms(terms("kd", "cross-entropy")), offline(teach).lessons(model, seen), 0.0
    )
    loss.backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def step(model: nn.Module, seen: TensorBatch, mechanism: Privacy) -> dict[str, Tensor]:
    """The same with privacy, as the loop would call it."""
    asked = dp_sgd.PrivateStudent(model, mechanism, len(seen.targets["labels"]))
    loss, _ = compute_lessons(
        bind_terms(terms("kd", "cross-entropy")), offline(teach).lessons(asked, seen), 0.0
    )
    model.zero_grad()
    asked.backward(loss)
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_half_precision_around_it_changes_nothing() -> None:
    model, seen = convolutional(), example.first()
    want = step(model, seen, PLAIN)
    with torch.autocast("cpu", torch.bfloat16):
        found = step(model, seen, PLAIN)
    assert all(torch.equal(found[name], gradient) for name, gradient in want.items())


def norm(gradients: dict[str, Tensor]) -> float:
    return math.sqrt(sum(float(g.double().square().sum()) for g in gradients.values()))


@networks
def test_without_clipping_and_noise_it_is_the_plain_gradient(make: Make) -> None:
    model, seen = make(), example.first()
    want, found = plain(model, seen), step(model, seen, PLAIN)
    assert want.keys() == found.keys()
    for name, gradient in want.items():
        assert torch.allclose(found[name], gradient, rtol=1e-5, atol=1e-6), name


@networks
def test_clipping_by_a_loop_over_the_samples(make: Make) -> None:
    """One backward pass for each sample alone, and its gradient shortened."""
    model, told = make(), teach(example.first())
    each = [
        plain_with(model, example.first([number]), told[number : number + 1])
        for number in range(example.BATCH)
    ]
    lengths = [norm(gradient) for gradient in each]
    bound = sorted(lengths)[example.BATCH // 2]
    total = {
        name: sum(
            one[name] * min(1.0, bound / length) / 10
            for one, length in zip(each, lengths, strict=True)
        )
        for name in each[0]
    }
    found = step(model, example.first(), Privacy(0.0, bound, batch_size=10))  # not the true size
    for name, gradient in total.items():
        assert torch.allclose(found[name], gradient, rtol=1e-4, atol=1e-6), name


def plain_with(model: nn.Module, seen: TensorBatch, told: Tensor) -> dict[str, Tensor]:
    scheme = offline(lambda _: told)
    model.zero_grad()
    loss, _ = compute_lessons(
        bind_terms(terms("kd", "cross-entropy")), scheme.lessons(model, seen), 0.0
    )
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("max_norm", [1e-3, 0.1, 1.0, 1e4])
def test_no_sample_weighs_more_than_allowed(max_norm: float) -> None:
    model = convolutional()
    for number in range(6):
        x, pull = example.first([number]).inputs[0], 10.0**number * torch.randn(1, example.CLASSES)
        found = dp_sgd.private_gradients(model, x, pull, Privacy(0.0, max_norm, 1))
        assert norm(found) <= max_norm * (1 + 1e-5)
        whole = dp_sgd.private_gradients(model, x, pull, Privacy(0.0, math.inf, 1))
        assert norm(found) == pytest.approx(min(norm(whole), max_norm), rel=1e-4)


def test_one_sample_more_changes_the_sum_by_no_more_than_allowed() -> None:
    """What the guarantee rests on, whatever the sample says; also where it says no number."""
    model, mechanism = convolutional(), Privacy(0.0, 0.3, 1)
    x, pulls = example.first().inputs[0].clone(), torch.randn(example.BATCH, example.CLASSES)
    x[0] *= 1e4
    pulls[1] *= 1e30
    pulls[2, 0] = math.nan
    x[3, 0, 0, 0] = math.inf
    everyone = dp_sgd.private_gradients(model, x, pulls, mechanism)
    assert all(bool(g.isfinite().all()) for g in everyone.values())
    for left_out in range(6):
        kept = [n for n in range(example.BATCH) if n != left_out]
        fewer = dp_sgd.private_gradients(model, x[kept], pulls[kept], mechanism)
        change = norm({name: everyone[name] - fewer[name] for name in everyone})
        assert change <= 0.3 * (1 + 1e-4)
        assert change > 0.01 or left_out in (1, 2, 3)


def test_large_batches_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = tokens(), example.first()
    whole = step(model, seen, Privacy(0.0, 0.5, 16))
    monkeypatch.setattr(dp_sgd, "CHUNK", 5)
    parts = step(model, seen, Privacy(0.0, 0.5, 16))
    for name, gradient in whole.items():
        assert torch.allclose(parts[name], gradient, atol=1e-7), name


def test_noise_is_as_wide_as_told_and_is_there_without_samples() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 500))
    nobody, pulls = torch.zeros(0, 1, 8, 8), torch.zeros(0, 500)
    found = dp_sgd.private_gradients(model, nobody, pulls, Privacy(1.5, 0.2, 50))
    drawn = torch.cat([g.flatten() for g in found.values()])  # 32,500 of them
    assert drawn.std().item() == pytest.approx(1.5 * 0.2 / 50, rel=0.02)
    assert abs(drawn.mean().item()) < 4 * 1.5 * 0.2 / 50 / math.sqrt(len(drawn))
    quiet = dp_sgd.private_gradients(model, nobody, pulls, Privacy(0.0, 0.2, 50))
    assert not any(bool(g.any()) for g in quiet.values())


@networks
def test_the_same_seed_the_same_bytes(make: Make) -> None:
    model, found = make(), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        scheme = offline(lambda seen: torch.ones(len(seen.targets["labels"]), example.CLASSES))
        asked = dp_sgd.PrivateStudent(model, Privacy(1.0, 0.5, 16), example.BATCH)
        lessons = scheme.lessons(asked, example.first())
        asked.backward(compute_lessons(bind_terms(terms("kd")), lessons, 0.0)[0])
        found.append(b"".join(p.grad.numpy().tobytes() for p in model.parameters()))
    assert found[0] == found[1] != found[2]


def test_frozen_parameters_take_no_part() -> None:
    model, seen = tokens(), example.first()
    first = next(iter(model.parameters())).requires_grad_(False)
    found = step(model, seen, PLAIN)
    assert first.grad is None and len(found) == len(list(model.parameters())) - 1
    for name, gradient in plain(model, seen).items():
        assert torch.allclose(found[name], gradient, rtol=1e-5, atol=1e-6), name


@pytest.mark.trains
def test_a_student_learns_in_private() -> None:
    torch.manual_seed(0)
    model, samples = convolutional(), example.samples()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    losses = []
    for epoch in range(12):
        for batch in dp_sgd.private_batches(
            samples, epoch=epoch, batch_size=64, seed=0, start=0, workers=0
        ):
            seen = example.seen(batch)
            asked = dp_sgd.PrivateStudent(model, Privacy(0.3, 1.0, 64), len(seen.targets["labels"]))
            loss, _ = compute_lessons(
                bind_terms(terms("cross-entropy")), learn_from_labels().lessons(asked, seen), 0.0
            )
            optimizer.zero_grad()
            asked.backward(loss)
            optimizer.step()
            losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])


def test_every_sample_comes_by_itself_with_one_probability() -> None:
    steps, samples, rate = 3000, 40, 0.3
    drawn = [dp_sgd.draw_samples(samples, rate, 7, number) for number in range(steps)]
    share = np.bincount(np.concatenate(drawn), minlength=samples) / steps
    sizes = np.array([len(rows) for rows in drawn])
    assert np.abs(share - rate).max() < 4.5 * math.sqrt(rate * (1 - rate) / steps)
    assert sizes.var() == pytest.approx(samples * rate * (1 - rate), rel=0.12)  # as a binomial
    both = np.mean([0 in rows and 1 in rows for rows in drawn])
    assert both == pytest.approx(rate**2, abs=0.025)
    assert all(len(rows) for rows in (dp_sgd.draw_samples(3, 0.05, 0, n) for n in range(50)))


def test_batches_of_a_run_that_goes_on_are_the_same() -> None:
    samples = example.samples()

    def batches(epoch: int, start: int, workers: int, size: int = 64) -> list[tuple[int, bytes]]:
        made = dp_sgd.private_batches(
            samples, epoch=epoch, batch_size=size, seed=1, start=start, workers=workers
        )
        return [(batch.view, batch.indices.tobytes()) for batch in made]

    samples = dataclasses.replace(
        samples, rows={name: np.repeat(each, 4, 0) for name, each in samples.rows.items()}
    )
    whole = batches(0, 0, 0)
    assert len(whole) == 384 // 64
    assert batches(0, 4, 2) == whole[4:]
    later = batches(1, 0, 0)
    assert Counter(view for view, _ in later) == {1: 6} and not set(whole) & set(later)
    assert len({rows for _, rows in whole + later}) == 12
    with pytest.raises(ValueError, match="batch_size: got 63, want 64 to 384 for privacy"):
        batches(0, 0, 0, size=63)
    samples = example.samples(cutmix=1.0)
    with pytest.raises(ValueError, match="want one class each"):
        batches(0, 0, 0)


SINGLE = [
    "kd",
    "cross-entropy",
    "dkd",
    "nkd",
    "wsld",
    "ofa",
    "ttm",
    "logit-mse",
    "deit-hard",
    "bkd",
]


@pytest.mark.parametrize("name", SINGLE)
def test_losses_of_single_samples_are_let_in(name: str) -> None:
    dp_sgd.require_private(convolutional(), learn_from_labels(), bind_terms(terms(name)), 4)


@pytest.mark.parametrize("name", ["dist", "mlkd", "ctkd", "rkd", "sp", "fitnet"])
def test_losses_that_compare_samples_or_layers_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"loss {name} compares samples or layers"):
        dp_sgd.require_private(convolutional(), learn_from_labels(), bind_terms(terms(name)), 4)


def test_a_sum_over_samples_is_refused_since_it_is_no_mean() -> None:
    (bound,) = bind_terms(terms("cross-entropy"))
    summed = dataclasses.replace(
        bound, function=lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum")
    )
    with pytest.raises(ValueError, match="compares samples"):
        dp_sgd.require_private(convolutional(), learn_from_labels(), [summed], 4)


def test_layers_that_mix_samples_are_named() -> None:
    some = bind_terms(terms("kd"))
    with pytest.raises(
        ValueError, match=r"^bn1: batch norm mixes the samples .* want student.norm: group"
    ):
        dp_sgd.require_private(example.network(), learn_from_labels(), some, 4)
    tracked = nn.Sequential(nn.InstanceNorm2d(4, track_running_stats=True))
    with pytest.raises(ValueError, match="^0: batch norm"):
        dp_sgd.require_private(tracked, learn_from_labels(), some, 4)
    dropped = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))
    with pytest.raises(ValueError, match="^1: got dropout"):
        dp_sgd.require_private(dropped, learn_from_labels(), some, 4)
    dp_sgd.require_private(
        nn.Sequential(nn.InstanceNorm2d(4), nn.Dropout(0.0)), learn_from_labels(), some, 4
    )
    beside = Scheme(learn_from_labels().lessons, nn.ModuleDict({"projector": nn.Linear(2, 2)}))
    with pytest.raises(ValueError, match="trains something beside the student"):
        dp_sgd.require_private(convolutional(), beside, some, 4)


def test_a_student_is_asked_once_for_each_sample() -> None:
    model, seen = tokens(), example.first()

    def lessons(again: int, rows: int) -> Callable[[], list[Lesson]]:
        asked = dp_sgd.PrivateStudent(model, PLAIN, example.BATCH)
        return lambda: [Lesson({"x": asked(seen.inputs[0][:rows])}) for _ in range(again)]

    with pytest.raises(ValueError, match="asks the student twice"):
        lessons(2, 16)()
    with pytest.raises(ValueError, match="asks 8 images of 16 samples"):
        lessons(1, 8)()
    with pytest.raises(ValueError, match="asks the student nothing"):
        dp_sgd.PrivateStudent(model, PLAIN, 16).backward(torch.zeros(()))


@pytest.mark.parametrize(
    "wrong", [(-1.0, 1.0, 8), (1.0, 0.0, 8), (1.0, math.inf, 8), (1.0, 1.0, 0)]
)
def test_a_mechanism_that_protects_nothing_is_refused(wrong: tuple[float, float, int]) -> None:
    x, pulls = example.first().inputs[0], torch.zeros(example.BATCH, example.CLASSES)
    with pytest.raises(ValueError, match="want noise >= 0, a finite max_norm"):
        dp_sgd.private_gradients(tokens(), x, pulls, Privacy(*wrong))
