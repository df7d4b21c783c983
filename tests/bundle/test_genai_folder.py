"""ONNX Runtime GenAI loads what is written, and writes the trained model's own text."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgekd import graph
from edgekd.bundle.genai_folder import describe_decoder
from edgekd.bundle.genai_folder import write_genai_folder
from edgekd.bundle.manifest import FUSED
from edgekd.errors import InputError
from edgekd.fields.tokens import Tokens
from edgekd.files import digest_bytes
from edgekd.learn.export import to_onnx
from edgekd.learn.export.fused_decoder import FusedDecoder
from edgekd.learn.greedy import write_greedy
from tests import decoder_example as example
from tests.tokenizer_example import pieces

PROMPT = [3, 1, 4, 1, 5]


def bundle(folder: Path) -> Any:
    """What is read of a bundle in `folder`."""
    ends = example.interface()
    outputs = (ends.outputs[0]._replace(target="next_tokens"),)
    manifest = SimpleNamespace(files={path.name: None for path in folder.iterdir()}, name="tiny")
    dataset = SimpleNamespace(inputs={"text": Tokens(vocabulary=40, usual=8, longest=24)})
    interface = ends._replace(outputs=outputs)
    return SimpleNamespace(folder=folder, manifest=manifest, dataset=dataset, interface=interface)


def test_the_configuration_tells_names_and_sizes(tmp_path: Path) -> None:
    path = example.write(tmp_path / FUSED, FusedDecoder(example.decoder()))
    config = describe_decoder(bundle(tmp_path), graph.read(path), is_fused=True)
    decoder = config["model"]["decoder"]
    assert (decoder["num_hidden_layers"], decoder["num_key_value_heads"]) == (2, 2)
    assert decoder["head_size"] == 8
    assert decoder["inputs"]["past_key_names"] == "past_key_values.%d.key"
    assert config["model"]["vocab_size"] == example.VOCABULARY
    assert config["search"]["past_present_share_buffer"]
    assert config["model"]["eos_token_id"] == config["model"]["pad_token_id"] == 0
    file = pieces()
    said = {"vocabulary": 40, "usual": 8, "longest": 24, "padding": 1, "encoding": "tokenizer"}
    field = Tokens(**said, tokenizer=digest_bytes(file), tokenizer_file=file)  # type: ignore[arg-type]
    named = bundle(tmp_path)
    named.dataset.inputs["text"] = field
    config = describe_decoder(named, graph.read(path), is_fused=True)
    assert (config["model"]["eos_token_id"], config["model"]["pad_token_id"]) == (3, 1)


def test_a_file_without_states_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    to_onnx.write(example.decoder(), path, example.interface())
    with pytest.raises(InputError, match="tiny: got a file that keeps no states between calls"):
        write_genai_folder(bundle(tmp_path), tmp_path / "folder")
    classifier = bundle(tmp_path)
    classifier.interface = example.interface()
    with pytest.raises(InputError, match="tiny: got a model that writes no text"):
        write_genai_folder(classifier, tmp_path / "folder")


@pytest.mark.slow
@pytest.mark.parametrize("fused", [True, False])
def test_the_package_writes_the_trained_models_own_text(tmp_path: Path, fused: bool) -> None:
    genai = pytest.importorskip("onnxruntime_genai", reason="onnxruntime-genai is not installed")
    held, goal = tmp_path / "bundle", tmp_path / "folder"
    held.mkdir()
    example.write(held / "model.onnx", example.decoder())
    if fused:
        example.write(held / FUSED, FusedDecoder(example.decoder()))
    written = write_genai_folder(bundle(held), goal)
    assert json.loads((goal / "genai_config.json").read_bytes())["model"]["type"]
    assert {path.name for path in written} == {"model.onnx", "genai_config.json"}
    model = genai.Model(str(goal))
    params = genai.GeneratorParams(model)
    params.set_search_options(max_length=example.LONGEST)
    generator = genai.Generator(model, params)
    generator.append_tokens(np.array(PROMPT, np.int32))
    tokens = []
    for _ in range(12):
        generator.generate_next_token()
        tokens.append(int(generator.get_next_tokens()[0]))
    assert tokens == write_greedy(example.decoder(), PROMPT, 12)[0]
