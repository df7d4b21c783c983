"""What a rewrite changes is compared with the model itself; what breaks it is undone and named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch import fx
from torch import nn

from edgekd.learn import blueprint
from edgekd.learn.quant import calibration
from edgekd.learn.quant import canonical
from edgekd.learn.quant import equalization
from edgekd.learn.quant import folding
from edgekd.learn.quant import operators
from edgekd.learn.quant import post_training
from edgekd.learn.quant import rewriting
from edgekd.learn.quant import tracing
from edgekd.profile import NUMERICS
from tests import quant_example as example
from tests.learn.blueprint_example import image_blueprint


def norms(module: fx.GraphModule) -> list[str]:
    found = [node for node in module.graph.nodes if node.target is operators.BATCH_NORM]
    return [tracing.path_of(node) for node in found]


def spoil(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Folding goes wrong for one batch norm."""
    right = folding.fold

    def wrong(module: fx.GraphModule, node: fx.Node) -> None:
        layer = node.args[0]
        right(module, node)
        if tracing.name_of(node) == name:
            with torch.no_grad():
                tracing.get_parameter(module, layer.args[2]).add_(0.5)  # type: ignore[union-attr]

    one = rewriting.Rewrite(folding.can_fold, wrong)
    pool = rewriting.Rewrite(canonical.averages_image, canonical.pool_whole_image)
    monkeypatch.setattr(rewriting, "REWRITES", (pool, one))


def test_a_wrong_rewrite_is_undone_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, "bn2:batch_norm")
    model = example.made()
    module, undone = rewriting.trace_and_rewrite(model, example.INTERFACE, [example.inputs(8)])
    assert undone == ("bn2:batch_norm",) and norms(module) == ["bn2"]
    (got,) = rewriting.compute_answers(module, [example.inputs(5)])
    (want,) = rewriting.compute_answers(model, [example.inputs(5)])
    torch.testing.assert_close(got, want)


def test_what_was_undone_is_quantized_saved_and_loaded_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spoil(monkeypatch, "layer1.0.bn2:batch_norm")
    torch.manual_seed(0)
    plan = image_blueprint(builder="resnet8", classes=10, channels=1, height=8, width=8)
    model, images = blueprint.build(plan), torch.randn(16, 1, 8, 8)
    model(images)  # statistics of its own
    started = post_training.quantize(
        model, plan.interface, NUMERICS["asymmetric"], lambda: [(images,)]
    )
    assert started.undone == ("layer1.0.bn2:batch_norm",)
    edit = {"name": "quantize", "scheme": "asymmetric", "undone": list(started.undone)}
    plan = plan.model_copy(update={"edits": (edit,)})
    paths = blueprint.save(started.model, plan, tmp_path)
    again = blueprint.load(paths["blueprint.json"], paths["weights.safetensors"])
    with torch.no_grad():
        assert torch.equal(again(images), started.model.eval()(images))


def test_equalization_that_alters_answers_is_undone_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = equalization.find_changes

    def wrong(*given: object) -> list[equalization.Change]:
        first, second = right(*given)  # type: ignore[arg-type]
        return [first, second._replace(multiplied=())]

    monkeypatch.setattr(equalization, "find_changes", wrong)
    started = example.quantized.__wrapped__(example.Tokens)
    assert started.equalized == 1 and started.not_equalized == ("norm2:layer_norm",)
    with calibration.disable_quantizers(started.model):
        got = rewriting.compute_answers(started.model, [example.inputs(4)])
    want = rewriting.compute_answers(example.made(example.Tokens), [example.inputs(4)])
    assert started.corrected or rewriting.compare_answers(got, want) <= 1


def test_quantizing_is_judged_by_the_model_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that is off by itself must not look like the model it was made from."""
    right = rewriting.trace_and_rewrite

    def wrong(*given: object) -> tuple[fx.GraphModule, tuple[str, ...]]:
        module, undone = right(*given)  # type: ignore[arg-type]
        with torch.no_grad():
            module.get_parameter("fc.bias")[0] += 3
        return module, undone

    monkeypatch.setattr(rewriting, "trace_and_rewrite", wrong)
    with pytest.raises(RuntimeError, match="quantizers that are off change answers"):
        example.quantized.__wrapped__()
    monkeypatch.setattr(post_training, "_require_same", lambda *_: None)
    started = example.quantized.__wrapped__()
    assert min(nats for name, nats in started.tried.items() if "bias" not in name) > 0.1


class Sampled(nn.Module):
    """Answers differently each time."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(example.CHANNELS, 4)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.fc(x.mean((2, 3))), 0.5, training=True)


class Nan(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) * torch.nan


@pytest.mark.parametrize(("kind", "message"), [(Sampled, "differently"), (Nan, "not finite")])
def test_a_model_that_cannot_be_compared_is_refused(kind: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rewriting.trace_and_rewrite(kind().eval(), example.INTERFACE, [example.inputs(8)])


@pytest.mark.parametrize("count", [1, 8])
def test_a_difference_is_measured_in_what_is_allowed(count: int) -> None:
    want = torch.randn(count, 5) + 10
    assert compared(want.clone(), want) == 0
    assert compared(want * (1 + 1e-7), want) < 1
    assert compared(want + 0.1, want) > 1
    assert compared(want * torch.nan, want) == float("inf")


def test_the_output_that_is_furthest_off_counts_in_any_batch() -> None:
    right, off = torch.randn(4, 3), torch.randn(4, 3)
    want = [(right, right), (right, right)]
    assert rewriting.compare_answers(want, want) == 0
    got = [(right, right), (right, off)]
    assert rewriting.compare_answers(got, want) == compared(off, right) > 1


def compared(got: Tensor, want: Tensor) -> float:
    """Of one batch of one output."""
    return rewriting.compare_answers([(got,)], [(want,)])


def test_a_difference_by_hand() -> None:
    """A thousandth of how far answers to one class lie apart, and a hundred-thousandth of the largest."""
    want = torch.tensor([[100.0, 0.0], [101.0, 1.0]])  # half a unit from their means
    allowed = 1e-3 * 0.5 + 1e-5 * 101
    assert compared(want + 0.01, want) == pytest.approx(0.01 / allowed, rel=1e-2)
    alone = torch.tensor([[100.0, 0.0]])  # of one image, from class to class
    allowed = 1e-3 * 50 + 1e-5 * 100
    assert compared(alone + 0.01, alone) == pytest.approx(0.01 / allowed, rel=1e-2)
    zeros = torch.zeros(3, 2)
    assert compared(zeros, zeros) == 0
    assert compared(zeros + 1e-30, zeros) > 1


@pytest.mark.parametrize(("times", "fits"), [(0.7, True), (1.5, False)])
def test_a_trace_that_is_off_by_more_than_is_allowed_is_refused(
    monkeypatch: pytest.MonkeyPatch, times: float, fits: bool
) -> None:
    model, images = example.made(), example.inputs(16)
    want = rewriting.compute_answers(model, [images])[0][0].double()
    spread = float((want - want.mean(0)).abs().max())
    allowed = 1e-3 * spread + 1e-5 * float(want.abs().max())
    real = tracing.trace

    def traced(*given: object) -> fx.GraphModule:
        made = real(*given)  # type: ignore[arg-type]
        with torch.no_grad():
            made.get_parameter("fc.bias")[2] += times * allowed
        return made

    monkeypatch.setattr(tracing, "trace", traced)
    if fits:
        assert rewriting.trace_and_rewrite(model, example.INTERFACE, [images])[1] == ()
        return
    with pytest.raises(ValueError, match="answers differently: 1.5"):
        rewriting.trace_and_rewrite(model, example.INTERFACE, [images])
