"""What moves into weights changes nothing in float, and is chosen by the answers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import nn

from edgekd import interface
from edgekd.learn.edits import quantize as edit
from edgekd.learn.quant import blocks
from edgekd.learn.quant import equalization
from edgekd.learn.quant import insertion
from edgekd.learn.quant import operators
from edgekd.learn.quant import post_training
from edgekd.learn.quant import rewriting
from edgekd.profile import NUMERICS

WIDTH, HEADS = 16, 2
ENDS = interface.Interface(
    (interface.Tensor("x", "float32", (interface.BATCH, 5, WIDTH)),),
    (interface.Tensor("y", "float32", (interface.BATCH, 5, WIDTH)),),
)


class PostNorm(nn.Module):
    """A block as BERT's: what a norm gives is read by linear layers and by an addition."""

    def __init__(self, spike: float = 40.0) -> None:
        super().__init__()
        self.norm, self.after = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.inner, self.outer = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        with torch.no_grad():  # one channel much larger than the rest, which weights even out
            self.norm.weight[3] *= spike
            self.value.weight[5] *= spike
            self.out.weight[:, 5] /= spike
            self.inner.bias[7] += spike
            for layer in (self.query, self.key, self.value):
                layer.weight[:, 3] /= spike
            self.outer.weight[:, 7] /= spike

    def forward(self, x: Tensor) -> Tensor:
        read = self.norm(x)
        query, key, value = (
            layer(read).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        weights = torch.softmax(query @ key.transpose(2, 3) / 3, -1)
        mixed = self.out((weights @ value).transpose(1, 2).flatten(2))
        read = self.after(read / 40 + mixed)
        return read + self.outer(nn.functional.gelu(self.inner(read)))


def inputs(count: int = 24, seed: int = 1) -> tuple[Tensor]:
    return (torch.randn(count, 5, WIDTH, generator=torch.Generator().manual_seed(seed)),)


def made(spike: float = 40.0) -> nn.Module:
    torch.manual_seed(0)
    return PostNorm(spike).eval()


def traced() -> torch.fx.GraphModule:
    return rewriting.trace_and_rewrite(made(), ENDS, [inputs()])[0]


def test_each_place_is_found() -> None:
    module = traced()
    assert [place.kind for place in equalization.find_places(module)] == [equalization.VALUES]
    scalable = equalization.find_scalable(module)
    assert sorted(scalable.values()) == [equalization.GELUS, *[equalization.NORMS] * 2]
    equalization.insert_scales(module, scalable)
    places = equalization.find_places(module)
    assert sorted(place.kind for place in places) == ["gelus", "norms", "norms", "values"]


def test_nothing_changes_in_float_and_channels_become_alike() -> None:
    module = traced()
    with torch.no_grad():
        want = module(*inputs())
    equalization.insert_scales(module, equalization.find_scalable(module))
    places = equalization.find_places(module)
    before = equalization.observe_channels(module, places, lambda: [inputs()])
    changes = equalization.find_changes(module, lambda: [inputs()], 0.8)
    assert len(changes) == 4
    for change in changes:
        change.apply()
    with torch.no_grad():
        torch.testing.assert_close(module(*inputs()), want, rtol=1e-3, atol=1e-4)
    after = equalization.observe_channels(module, places, lambda: [inputs()])
    for place in places:
        one, other = (seen[place.source].largest() for seen in (before, after))
        assert other.max() / other.median() < one.max() / one.median()


def quantized(spike: float, equalize: object) -> post_training.QuantizedStart:
    return post_training.quantize(
        made(spike),
        ENDS,
        NUMERICS["asymmetric"],
        lambda: [inputs()],
        method="min-max",
        equalize=equalize,  # type: ignore[arg-type]
        correct=False,
    )


def test_what_is_chosen_answers_better_than_none_and_than_norms_alone() -> None:
    chosen, plain = quantized(40.0, "auto"), quantized(40.0, 0.0)
    assert chosen.tried["min-max"] < plain.tried["min-max"] / 2
    assert {"norms", "gelus"} <= set(chosen.smoothing.strengths) and len(
        chosen.smoothing.scaled
    ) == 3
    assert chosen.not_equalized == ()


def test_an_operator_that_does_not_pay_is_not_put_in() -> None:
    chosen = quantized(1.0, "auto")
    scales = [
        node
        for node in chosen.model.graph.nodes
        if node.target is operators.MULTIPLY and equalization.SCALE in str(node.args[1])
    ]
    assert len(scales) == len(chosen.smoothing.scaled) < 3


def test_the_edit_puts_the_operators_in_again() -> None:
    chosen = quantized(40.0, "auto")
    words = {
        "scheme": "asymmetric",
        "scaled": list(chosen.smoothing.scaled),
        "blocks": blocks.resolve_forms({}),
    }
    again = edit.apply(made(40.0), words, ENDS)
    again.load_state_dict(chosen.model.state_dict())
    assert torch.equal(again(*inputs(4, 7)), chosen.model(*inputs(4, 7)))
    assert insertion.find_weight_quantizers(again)


def test_the_model_that_was_given_is_left_as_it_is() -> None:
    model = made()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    post_training.quantize(model, ENDS, NUMERICS["asymmetric"], lambda: [inputs()])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
