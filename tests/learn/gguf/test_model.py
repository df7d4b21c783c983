"""A GGUF file as a model of transformers: its configuration, its names, the order of its rows."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.errors import InputError
from edgekd.learn import weights
from edgekd.learn.gguf.model import read_config
from edgekd.learn.gguf.model import read_model
from edgekd.learn.gguf.reading import read_head
from edgekd.learn.pretrained_model import find_pretrained
from edgekd.learn.text_weights import fit_text_weights
from edgekd.named_member import NamedMember
from tests.gguf_example import llama
from tests.gguf_example import pack
from tests.gguf_example import write_model
from tests.learn.text_network_example import NEXT
from tests.learn.text_network_example import VOCABULARY
from tests.learn.text_network_example import describe
from tests.learn.text_network_example import plan
from tests.learn.text_network_example import texts

transformers = pytest.importorskip("transformers")


def test_a_file_gives_the_model_that_was_written(tmp_path: Path) -> None:
    fields = describe("llama", max_position_embeddings=32, rope_theta=5000.0, rms_norm_eps=1e-5)
    fields |= {"tie_word_embeddings": True}
    torch.manual_seed(4)
    config = transformers.AutoConfig.for_model(**fields)
    written = transformers.AutoModelForCausalLM.from_config(config).eval()
    path = write_model(tmp_path / "m", written.state_dict())
    said = read_config(read_head(path))
    assert {name: said[name] for name in ("vocab_size", "tie_word_embeddings", "rope_theta")} == {
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
        "rope_theta": 5000.0,
    }
    from edgekd.learn import blueprint

    arguments = {"reference": str(path.parent), "config": ""}
    model = blueprint.build(plan({}, NEXT, **arguments)).eval()
    fitted = fit_text_weights(model, weights.read(path), begins_head=False)
    weights.load_into(model, fitted.tensors, "tiny")
    tokens, mask = texts()
    with torch.no_grad():
        want = written(input_ids=tokens[:1]).logits
        torch.testing.assert_close(model(tokens[:1], mask[:1]), want, atol=1e-5, rtol=1e-5)
    chosen = NamedMember(name="transformers", arguments={"reference": f"local-dir:{path.parent}"})
    found = find_pretrained(chosen)
    assert (found.weights, found.tokenizer) == (path, path)
    (path.parent / "other.gguf").write_bytes(b"")
    with pytest.raises(InputError, match="want one .gguf file in a folder"):
        find_pretrained(chosen)


@pytest.mark.parametrize(
    "changed, want",
    [
        ({"general.architecture": "mamba"}, "got a model of type 'mamba'"),
        ({"llama.block_count": "two"}, "llama.block_count: got two"),
        ({"llama.rope.scaling.type": "yarn"}, "got scaled rotations"),
        ({}, "got no embedding of tokens"),
    ],
)
def test_other_models(tmp_path: Path, changed: dict[str, Any], want: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(pack(llama() | changed, {"x": (0, (1,), bytes(4))}))
    with pytest.raises(InputError, match=want):
        read_config(read_head(path))


def test_tensors_that_the_model_has_not(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    rows = bytes(4 * 16)
    for name, want in (
        ("blk.0.ssm_a.weight", "which llama has not"),
        ("blk.0.attn_q.weight", "1 rows"),
    ):
        tensors = {"token_embd.weight": (0, (1, 16), rows), name: (0, (1, 16), rows)}
        path.write_bytes(pack(llama(), tensors))
        with pytest.raises(InputError, match=want):
            list(read_model(read_head(path)))


def test_numbers_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    rows = struct.pack("<16f", *[float("nan")] * 16)
    path.write_bytes(pack(llama(), {"token_embd.weight": (0, (1, 16), rows)}))
    with pytest.raises(InputError, match="embed_tokens.weight: got NaN or infinity"):
        weights.read(path)


def test_a_list_is_no_kind_of_model(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(pack({**llama(), "general.architecture": ["llama"]}, {}))
    with pytest.raises(InputError, match="got a model of type"):
        read_config(read_head(tmp_path / "m.gguf"))
