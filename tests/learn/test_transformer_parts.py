"""Parts of transformers by name: edgekd's own, those of transformers, and those that do not show theirs."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from edgekd.learn.layer_settings import LayerPair
from edgekd.learn.method import taps
from edgekd.learn.method.pairing import find_stages
from edgekd.learn.method.pairing import pair_layers
from edgekd.learn.models.text_decoder import text_decoder
from edgekd.learn.models.text_encoder import text_encoder
from edgekd.learn.models.vit import vit
from edgekd.learn.transformer_parts import find_parts

SIZES = {"vocabulary": 30, "longest": 8, "width": 8, "heads": 2}
TOKENS = torch.arange(12).reshape(2, 6)
ONES = torch.ones(2, 6, dtype=torch.int64)
TINY: dict[str, dict[str, Any]] = {
    "bert": {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16},
    "distilbert": {"dim": 8, "n_heads": 2, "hidden_dim": 16, "n_layers": 3},
    "llama": {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16},
    "gpt2": {"n_embd": 8, "n_head": 2, "n_layer": 3},
}


def of_transformers(kind: str, attention: str = "sdpa") -> nn.Module:
    transformers = pytest.importorskip("transformers")
    words = {"num_hidden_layers": 3, "vocab_size": 30, **TINY[kind]}
    config = transformers.AutoConfig.for_model(kind, **words)
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config, attn_implementation=attention).eval()
    assert isinstance(model, nn.Module)
    return model


def test_stages_of_a_text_network_are_its_blocks_however_few() -> None:
    for layers in (1, 2, 6):
        model = text_encoder(classes=3, layers=layers, **SIZES)
        found = find_stages(model, TOKENS, ONES)
        assert all(re.fullmatch(r"layers\.\d+", place) for place in found.stages)
        assert found.stages[-1] == f"layers.{layers - 1}"


def test_parts_of_edgekd_s_own() -> None:
    for model in (
        text_decoder(layers=2, **SIZES),
        vit(classes=3, channels=1, height=8, width=8, dim=8, depth=2, heads=2),
    ):
        parts = find_parts(model)
        assert parts is not None
        assert parts.blocks == ("layers.0", "layers.1")
        assert parts.keys == ("layers.0.attention.key", "layers.1.attention.key")
        assert parts.scores == ("layers.0.attention.scores", "layers.1.attention.scores")
    assert parts.embeddings == ""
    assert find_parts(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())) is None


@pytest.mark.parametrize(
    ("kind", "block", "query", "embeddings"),
    [
        ("bert", "encoder.layer.2", "encoder.layer.2.attention.self.query", "embeddings"),
        ("distilbert", "transformer.layer.2", "transformer.layer.2.attention.q_lin", "embeddings"),
        ("llama", "layers.2", "layers.2.self_attn.q_proj", "embed_tokens"),
        ("gpt2", "h.2", "", "wte"),
    ],
)
def test_parts_of_transformers(kind: str, block: str, query: str, embeddings: str) -> None:
    parts = find_parts(of_transformers(kind))
    assert parts is not None
    assert (len(parts.blocks), parts.blocks[-1], parts.embeddings) == (3, block, embeddings)
    assert (parts.queries[-1] if parts.queries else "") == query
    assert bool(parts.scores) == (kind in ("bert", "distilbert"))  # rotary positions, one layer


def test_scores_are_those_whose_softmax_the_eager_kernel_gives() -> None:
    """Also where a fused kernel runs, which gives none."""
    for kind in ("bert", "distilbert"):
        eager, fused = of_transformers(kind, "eager"), of_transformers(kind, "sdpa")
        fused.load_state_dict(eager.state_dict())
        want = eager(input_ids=TOKENS, attention_mask=ONES, output_attentions=True).attentions
        parts = find_parts(fused)
        assert parts is not None
        with taps.Taps(fused, parts.scores) as values:
            fused(input_ids=TOKENS, attention_mask=ONES)
        for place, each in zip(parts.scores, want, strict=True):
            torch.testing.assert_close(values[place].softmax(3), each, rtol=1e-4, atol=1e-6)


def test_scores_of_edgekd_s_own_are_the_same_by_queries_and_keys() -> None:
    model = text_encoder(classes=3, layers=1, **SIZES)
    places = ["layers.0.attention.scores", "layers.0.attention:scores"]
    with taps.Taps(model, places) as values:
        model(TOKENS, ONES)
    torch.testing.assert_close(values[places[0]], values[places[1]])
    scores = taps.Taps(model, ["layers.0.mlp:scores"])
    with pytest.raises(ValueError, match="no layers of its own for queries and keys"), scores:
        pass


def stages(layers: int) -> Any:
    return find_stages(text_encoder(classes=3, layers=layers, **SIZES), TOKENS, ONES)


def test_layers_by_word() -> None:
    student, teacher = stages(3), stages(8)
    pairs = pair_layers("hidden", student, teacher)
    assert [p.student for p in pairs] == ["layers.0", "layers.1", "layers.2"]
    assert [p.teacher for p in pairs] == ["layers.2", "layers.4", "layers.7"]  # 8/3, 16/3, 8
    (last,) = pair_layers("hidden:last", student, teacher)
    assert (last.student, last.teacher) == ("layers.2", "layers.7")
    assert [p.teacher.rpartition(".")[2] for p in pair_layers("relations", student, teacher)] == [
        "query",
        "key",
        "value",
    ]
    (words,) = pair_layers("embeddings", student, teacher)
    assert words.student == words.teacher == "words"
    (own,) = pair_layers(LayerPair(student="queries:2", teacher="hidden:last"), student, teacher)
    assert (own.student, own.teacher) == ("layers.1.attention.query", "layers.7")


def test_what_a_network_does_not_show_is_said() -> None:
    student = stages(2)
    plain = find_stages(
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)), torch.zeros(2, 4)
    )
    with pytest.raises(ValueError, match="the teacher is no transformer whose layers"):
        pair_layers("hidden", student, plain)
    with pytest.raises(ValueError, match="want queries:1 to 2 of the student"):
        pair_layers((LayerPair(student="queries:3", teacher="queries:1"),), student, student)
    gpt2 = student._replace(parts=find_parts(of_transformers("gpt2")))
    with pytest.raises(ValueError, match="queries, keys and values in one layer, want hidden"):
        pair_layers("relations", student, gpt2)
    llama = student._replace(parts=find_parts(of_transformers("llama")))
    with pytest.raises(ValueError, match="its positions change them on their way, want hidden"):
        pair_layers("scores", student, llama)
