"""Text models of transformers as the data and the task want them; the package's own call of a model is the oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.learn import blueprint as blueprints
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.export import to_onnx
from edgekd.learn.method.inheritance import AS_BUILT
from edgekd.learn.method.inheritance import inherit_layers
from edgekd.learn.text_network import TEXT_TYPES
from tests.learn.text_network_example import CLASSES
from tests.learn.text_network_example import ENCODERS
from tests.learn.text_network_example import LONGEST
from tests.learn.text_network_example import MASKED
from tests.learn.text_network_example import NEXT
from tests.learn.text_network_example import PAIRS
from tests.learn.text_network_example import TAGS
from tests.learn.text_network_example import VECTOR
from tests.learn.text_network_example import VOCABULARY
from tests.learn.text_network_example import WIDTH
from tests.learn.text_network_example import build
from tests.learn.text_network_example import describe
from tests.learn.text_network_example import texts

onnxruntime = pytest.importorskip("onnxruntime")
transformers = pytest.importorskip("transformers")


def line(fields: dict[str, Any], interface: Interface, **knobs: Any) -> str:
    with pytest.raises(InputError) as caught:
        build(fields, interface, **knobs)
    assert "\n" not in caught.value.line()
    return caught.value.line()


@pytest.mark.parametrize("kind", ENCODERS)
def test_of_two_texts_types_are_the_packages_own_and_the_file_takes_them(
    kind: str, tmp_path: Path
) -> None:
    fields = (
        describe(kind, type_vocab_size=2) if TEXT_TYPES[kind].has_token_types else describe(kind)
    )
    model = build(fields, PAIRS)
    tokens, mask = texts()
    types = torch.zeros_like(tokens)
    types[0, 5:] = types[1, 2:4] = 1
    named = {"token_type_ids": types} if TEXT_TYPES[kind].has_token_types else {}
    tokens[1, 4:] = 1 if TEXT_TYPES[kind].skips_padding else 0
    with torch.no_grad():
        given, plain = model(tokens, mask, types), model(tokens, mask)
        want = model.network(input_ids=tokens, attention_mask=mask, **named).logits
    torch.testing.assert_close(given, want, atol=1e-5, rtol=0)
    assert torch.equal(given, plain) is not TEXT_TYPES[kind].has_token_types
    to_onnx.write(model, tmp_path / "model.onnx", PAIRS, opset=18)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    feeds = {"text": tokens.numpy(), "text_mask": mask.numpy(), "text_types": types.numpy()}
    (answered,) = session.run(None, feeds)
    np.testing.assert_allclose(answered, given.numpy(), atol=1e-5)


def test_a_model_without_so_many_types_is_refused() -> None:
    assert "want the tokenizer of the model" in line(describe("bert", type_vocab_size=1), PAIRS)


@pytest.mark.parametrize("kind", TEXT_TYPES)
def test_answers_are_the_packages_own_and_neighbours_change_nothing(kind: str) -> None:
    interface = NEXT if TEXT_TYPES[kind].is_causal else MASKED
    model = build(describe(kind), interface)
    tokens, mask = texts()
    tokens[1, 4:] = 1 if TEXT_TYPES[kind].skips_padding else 0  # what the package takes for padding
    with torch.no_grad():
        given = model(tokens, mask)
        alone = model(tokens[1:, :4], mask[1:, :4])
        want = model.network(input_ids=tokens, attention_mask=mask).logits
        tokens[1, 4:] = 7
        other = model(tokens, mask)
    assert given.shape == (2, 9, VOCABULARY)
    torch.testing.assert_close(given[0], want[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(given[1, :4], want[1, :4], atol=1e-5, rtol=0)
    torch.testing.assert_close(given[1, :4], alone[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(given[1, :4], other[1, :4], atol=1e-5, rtol=0)
    if TEXT_TYPES[kind].is_causal:  # what follows is not seen
        with torch.no_grad():
            torch.testing.assert_close(model(tokens[:1, :5], mask[:1, :5])[0], given[0, :5])


def export(model: nn.Module, interface: Interface, path: Path) -> float:
    """Largest difference of ONNX Runtime's answers at another number of texts and another length."""
    import onnx
    import onnxruntime

    written = to_onnx.write(model, path, interface)
    proto = onnx.load(written)
    assert not [node.op_type for node in proto.graph.node if node.op_type == "IsNaN"]
    sizes = [dim.dim_param for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == ["batch", "text_length"]
    session = onnxruntime.InferenceSession(str(written), providers=["CPUExecutionProvider"])
    tokens, mask = texts()
    tokens, mask = tokens.repeat(2, 1)[:3], mask.repeat(2, 1)[:3]
    (given,) = session.run(None, {"text": tokens.numpy(), "text_mask": mask.numpy()})
    with torch.no_grad():
        return float(np.abs(given - model(tokens, mask).numpy()).max())


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_file_answers_alike(kind: str, tmp_path: Path) -> None:
    interface = NEXT if kind == "llama" else VECTOR
    assert export(build(describe(kind), interface), interface, tmp_path / "m.onnx") < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", TEXT_TYPES)
def test_files_of_every_type_answer_alike(kind: str, tmp_path: Path) -> None:
    uses = [NEXT] if TEXT_TYPES[kind].is_causal else [CLASSES, TAGS, VECTOR, MASKED]
    for interface in uses:
        assert export(build(describe(kind), interface), interface, tmp_path / "m.onnx") < 1e-5


@pytest.mark.parametrize("kind", ENCODERS)
def test_encoders_do_what_the_task_wants(kind: str) -> None:
    tokens, mask = texts()
    for interface, want in ((CLASSES, (2, 3)), (TAGS, (2, 9, 3)), (VECTOR, (2, WIDTH))):
        model = build(describe(kind), interface)
        with torch.no_grad():
            given = model(tokens, mask)
        assert given.shape == want
    torch.testing.assert_close(given.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_a_vector_is_pooled_as_the_folder_says(pooling: str, tmp_path: Path) -> None:
    mode = {"mean": "mean_tokens", "cls": "cls_token", "last": "lasttoken"}[pooling]
    (tmp_path / "config.json").write_text(json.dumps(describe("bert")))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))
    torch.manual_seed(0)
    arguments = {"reference": str(tmp_path)}
    made = Blueprint(builder="transformers", arguments=arguments, interface=VECTOR)
    model = blueprints.build(made).eval()
    tokens, mask = texts()
    with torch.no_grad():
        states = model.network(input_ids=tokens, attention_mask=mask).last_hidden_state
        given = model(tokens, mask)
    want = {"mean": states[1, :4].mean(0), "cls": states[1, 0], "last": states[1, 3]}[pooling]
    torch.testing.assert_close(given[1], want / want.norm(), atol=1e-5, rtol=1e-5)
    files = blueprints.save(model, made, tmp_path / "1_Pooling")  # the folder is not needed again
    assert str(tmp_path) not in files["blueprint.json"].read_text()
    with torch.no_grad():
        assert torch.equal(blueprints.load(*files.values())(tokens, mask), given)


def test_pooling_that_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(describe("bert")))
    made = Blueprint(
        builder="transformers", arguments={"reference": str(tmp_path)}, interface=VECTOR
    )
    (tmp_path / "1_Pooling").mkdir()
    for name, text, want in (
        ("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}', "pooling_mode_max_tokens"),
        ("1_Pooling/config.json", "[", "got no JSON"),
        ("modules.json", '[{"type": "sentence_transformers.models.Dense"}]', "got 'Dense'"),
        ("modules.json", "{}", "got dict, want a list"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=want):
            blueprints.build(made)


@pytest.mark.parametrize(
    "fields, interface, want",
    [
        (describe("bert"), NEXT, "a token sees what follows, want one of gemma"),
        (describe("llama"), MASKED, "sees only what stands before, want one of albert"),
        (describe("bert", vocab_size=22), MASKED, "the data have 23 tokens and the model 22"),
        (describe("bert", max_position_embeddings=11), CLASSES, "want `longest: 11` beside"),
        (describe("roberta", max_position_embeddings=13), TAGS, "want `longest: 11` beside"),
        (describe("mistral", sliding_window=8), NEXT, "want `longest: 8` beside"),
        (describe("bert", num_hidden_layers=10**6), CLASSES, "num_hidden_layers: got 1000000"),
        (describe("bert", hidden_size=2**40), CLASSES, "hidden_size: got 1099511627776"),
        (describe("bert", vocab_size=2**24, hidden_size=2**16), CLASSES, "half of the free memory"),
        (describe("bert", layer_norm_eps=float("nan")), CLASSES, "layer_norm_eps: got nan"),
        (describe("bert", layer_norm_eps=-1e-5), CLASSES, "layer_norm_eps: got -1e-05, want a"),
        (describe("gpt2", layer_norm_epsilon=0), NEXT, "layer_norm_epsilon: got 0, want a number"),
        (
            describe("llama", rms_norm_eps=-1.0),
            NEXT,
            "rms_norm_eps: got -1.0, want a number above 0",
        ),
        (describe("llama", rope_theta=0), NEXT, "rope_theta: got 0, want a number above 0"),
        (describe("llama", rope_theta=10**400), NEXT, "rope_theta: got 1000"),
        (
            describe("llama", rope_scaling={"rope_type": "linear", "factor": -2.0}),
            NEXT,
            "rope_scaling.factor: got -2.0, want a number above 0",
        ),
        (
            describe("qwen3", rope_parameters={"rope_type": "default", "rope_theta": -1.0}),
            NEXT,
            "rope_parameters.rope_theta: got -1.0, want a number above 0",
        ),
        (describe("bert", num_hidden_layers=-1), CLASSES, "num_hidden_layers: got -1, want 1"),
        (describe("bert", num_hidden_layers="two"), CLASSES, "expected int, got str"),
        (describe("bert", max_position_embeddings=0), CLASSES, "got a model of 0 positions"),
        (describe("bert", hidden_size=18), CLASSES, "want a divisor of width 18"),
        (describe("bert", hidden_act="os.system"), CLASSES, "want a number or a single word"),
        (describe("bert", position_embedding_type="relative_key"), CLASSES, "want 'absolute'"),
        ({"model_type": "t5"}, CLASSES, "want a text model that is known to work"),
    ],
)
def test_what_does_not_fit(fields: dict[str, Any], interface: Interface, want: str) -> None:
    assert want in line(fields, interface)


def test_a_configuration_that_is_far_larger_than_its_weights_is_refused(tmp_path: Path) -> None:
    """Free memory alone would let a kilobyte of JSON claim half of it."""
    arguments = {"reference": str(tmp_path)}
    (tmp_path / "model.safetensors").write_bytes(bytes(2000))
    for size, want in (
        (2**10, ""),
        (2**21, "134 MB beside weights of 2 kB, want at most 67.1 MB"),
    ):
        fields = describe("bert", vocab_size=size)
        (tmp_path / "config.json").write_text(json.dumps(fields))
        made = Blueprint(builder="transformers", arguments=arguments, interface=CLASSES)
        if not want:
            blueprints.build(made)
            continue
        with pytest.raises(InputError, match=f"got a configuration of {want}"):
            blueprints.build(made)
        resized = {**arguments, "width": 8}  # begins with weights of its own
        blueprints.build(made.model_copy(update={"arguments": resized}))


@pytest.mark.parametrize(
    "knobs, want",
    [
        ({"layers": 3}, "layers: got 3, want 1 to 2"),
        ({"layers": 1, "keep_layers": "0"}, "want one of them"),
        ({"keep_layers": "1,0"}, "want ascending numbers of 0 to 1"),
        ({"keep_layers": "0,2"}, "want ascending numbers of 0 to 1"),
        ({"keep_layers": "all"}, "want numbers such as"),
        ({"heads": 3}, "want a divisor of width 16"),
        ({"pooling": "max"}, "want mean, cls, last"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], want: str) -> None:
    assert want in line(describe("bert"), VECTOR, **knobs)


def test_a_larger_vocabulary_is_cut_to_that_of_the_data() -> None:
    model = build(describe("llama", vocab_size=40), NEXT)
    tokens, mask = texts()
    with torch.no_grad():
        want = model.network(input_ids=tokens).logits[0, :, :VOCABULARY]
        torch.testing.assert_close(model(tokens, mask)[0], want)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "gpt2", "smollm3"])
def test_other_sizes(kind: str) -> None:
    interface = NEXT if TEXT_TYPES[kind].is_causal else CLASSES
    model = build(describe(kind), interface, layers=1, width=8, heads=2, inside=12)
    config = model.network.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (1, 8, 2)
    shapes = {tuple(value.shape) for value in model.state_dict().values()}
    assert {(12, 8), (8, 12)} & shapes


def test_a_bare_type_has_the_tokens_of_the_data() -> None:
    arguments = {"reference": "bert", "layers": 1, "width": 8, "heads": 2, "inside": 8}
    made = Blueprint(builder="transformers", arguments=arguments, interface=CLASSES)
    config = blueprints.build(made).network.config
    assert (config.vocab_size, config.max_position_embeddings) == (VOCABULARY, LONGEST)


@pytest.mark.parametrize(
    "kind, said",
    [
        ("llama", {"rope_theta": 5e5, "rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
        ("gpt_neox", {"rotary_pct": 0.5, "rotary_emb_base": 500}),
        ("phi", {"rope_theta": 5e3, "partial_rotary_factor": 0.25}),
        ("gemma3_text", {"rope_theta": 5e4, "rope_local_base_freq": 2e3}),
    ],
)
def test_what_older_files_say_of_rotations_counts(kind: str, said: dict[str, Any]) -> None:
    fields = describe(kind, **said)
    built = build(fields, NEXT).network.config
    want = transformers.AutoConfig.for_model(**fields)
    plain = transformers.AutoConfig.for_model(**describe(kind))
    assert built.rope_parameters == want.rope_parameters != plain.rope_parameters


def test_what_differs_by_layer_is_chosen_with_it() -> None:
    fields = describe("smollm3", num_hidden_layers=8)
    whole = transformers.AutoConfig.for_model(**fields)
    model = build(fields, NEXT, keep_layers="0,3,7")
    want = [whole.no_rope_layers[number] for number in (0, 3, 7)]
    assert model.network.config.no_rope_layers == want and 0 in want


def test_a_trained_teacher_gives_the_layers_that_the_student_names() -> None:
    fields = describe("bert", num_hidden_layers=6)
    teacher, student = build(fields, VECTOR), build(fields, VECTOR, keep_layers="0,2,4,5")
    inherited = inherit_layers(student, teacher, "spread")
    assert set(inherited) == set(student.state_dict()) and AS_BUILT not in inherited.values()
    for new, old in enumerate((0, 2, 4, 5)):
        stacks = [each.network.encoder.layer for each in (student, teacher)]
        assert torch.equal(stacks[0][new].output.dense.weight, stacks[1][old].output.dense.weight)
