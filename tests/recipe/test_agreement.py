from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from edgekd import recipe as recipes
from edgekd.bench.budget import Budget
from edgekd.errors import InputError
from edgekd.fields import FIELDS
from edgekd.fields.tokens import Tokens
from edgekd.interface import Tensor
from edgekd.learn import task_fit
from edgekd.learn.data import SOURCES
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.losses import LOSSES
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Term
from edgekd.learn.task_fit import TaskEnds
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.recipe import agreement
from edgekd.recipe import quantization
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.target import Target
from edgekd.table import Member
from edgekd.task import Scale
from tests import bundle_example
from tests.bundle import numbers_example
from tests.steps_example import learn
from tests.steps_example import resolve


def fault(steps: tuple[LearningStep, ...], *targets: Target) -> tuple[str, str] | None:
    found = agreement.find_fault(steps, targets or (Target(runtime="onnxruntime"),), Views())
    return None if found is None else (".".join(map(str, found[0])), found[1])


INT8 = learn("distil", "quantize")


@pytest.mark.parametrize(
    "names",
    [
        ("distil",),
        ("distil", "distil", "factorize", "prune", "factorize", "quantize"),
        ("distil", "prune"),
        ("distil", "quantize"),
    ],
)
def test_the_order_of_learning(names: tuple[str, ...]) -> None:
    assert fault(learn(*names)) is None


@pytest.mark.parametrize(
    ("names", "key", "message"),
    [
        (("prune", "distil"), "learn.1.step", "got 'distil' after 'prune'"),
        (
            ("distil", "quantize", "prune"),
            "learn.2.step",
            "got 'prune' after 'quantize', want dist",
        ),
        (("distil", "factorize", "distil"), "learn.2.step", "got 'distil' after 'factorize'"),
        (("distil", "quantize", "quantize"), "learn.2.step", "got 'quantize' twice"),
    ],
)
def test_another_order_is_refused(names: tuple[str, ...], key: str, message: str) -> None:
    found = fault(learn(*names))
    assert found is not None and found[0] == key and found[1].startswith(message)


def test_int8_needs_a_quantized_student() -> None:
    asked = Target(runtime="openvino", precision=("fp32", "int8"))
    found = fault(learn("distil"), Target(runtime="onnxruntime"), asked)
    want = "got 'int8', want a `quantize` step at the end of learn"
    assert found == ("targets.1.precision", want)
    assert fault(INT8, asked) is None
    assert fault(learn("distil"), Target(runtime="openvino", profile="x86")) is not None


def test_a_profile_no_named_target_runs() -> None:
    steps = learn("distil", "quantize", profiles=("x86", "tensorrt"))
    assert fault(steps) == (
        "learn.1.profiles.1",
        "got 'tensorrt', which no target runs (onnxruntime), want arm or x86 or x86-no-vnni",
    )
    assert fault(steps, Target(runtime="onnxruntime"), Target(runtime="tensorrt")) is None


def test_a_target_whose_profile_does_not_fit() -> None:
    other = Target(runtime="onnxruntime", profile="tensorrt")
    key, message = fault(INT8, other) or ("", "")
    assert key == "targets.0.profile"
    assert message == (
        "got 'tensorrt', which onnxruntime does not run, want auto or x86 or x86-no-vnni or arm"
    )
    x86 = Target(runtime="onnxruntime", profile="x86")
    _, message = fault(learn("distil", "quantize", profiles=("arm",)), x86) or ("", "")
    assert message == "got 'x86', for which nothing is quantized, want auto or arm"


def test_int8_asked_of_an_engine_for_which_nothing_is_quantized() -> None:
    steps = learn("distil", "quantize", profiles=("arm",))
    asked = Target(runtime="openvino", precision=("int8",))
    key, message = fault(steps, Target(runtime="onnxruntime"), asked) or ("", "")
    assert key == "targets.1.precision" and "'int8' for openvino" in message
    assert fault(steps, Target(runtime="onnxruntime"), Target(runtime="openvino")) is None


def test_a_capability_is_for_an_engine_that_takes_one() -> None:
    assert fault(learn("distil"), Target(runtime="tensorrt", capability="sm89")) is None
    key, message = fault(learn("distil"), Target(runtime="openvino", capability="sm89")) or ("", "")
    assert key == "targets.0.capability" and "openvino does not take" in message


LOGITS = Tensor("logits", "float32", ("batch", "classes"), "logits", 0, 1, "labels")
ANGLE = Tensor("angle", "float32", ("batch", 1), target="angle")


@pytest.mark.parametrize(
    ("top_k", "output", "key"),
    [(3, LOGITS, ()), (None, ANGLE, ()), (3, ANGLE, ("knowledge", "top_k"))],
)
def test_the_likeliest_are_stored_of_classes_alone(
    top_k: int | None, output: Tensor, key: tuple[str, ...]
) -> None:
    ends = TaskEnds((output,), (), ())
    words = KnowledgeSettings(top_k=top_k)
    found = agreement.find_knowledge_fault(words, learn("distil"), ends)
    assert (found or ((), ""))[0] == key


def test_answers_that_nobody_reads_are_not_stored() -> None:
    live = resolve({"step": "distil", "knowledge": "online"})
    key, message = agreement.find_knowledge_fault(KnowledgeSettings(), live, None) or ((), "")
    assert key == ("knowledge",) and "no step of learning reads stored answers" in message
    assert agreement.find_knowledge_fault(None, live, None) is None


def test_4_bits_need_an_operator_set_that_has_them() -> None:
    targets = (Target(runtime="onnxruntime"),)
    int4 = learn("distil", "quantize", fc=4)
    found = agreement.find_fault(int4, targets, Views(), 20)
    assert found == (("export", "opset"), "got 20, want 21 for weights of 4 bits")
    assert (
        agreement.find_fault(int4, targets, Views(), 21)
        is agreement.find_fault(int4, targets, Views())
        is None
    )
    assert agreement.find_fault(INT8, targets, Views(), 18) is None
    assert (quantization.least_opset(int4), quantization.least_opset(INT8)) == (21, 0)


@pytest.mark.parametrize("views", [Views(mixup=0.2), Views(cutmix=1.0)])
def test_a_loss_of_single_classes_does_not_go_with_mixed_samples(views: Views) -> None:
    steps = resolve(
        {"step": "distil", "losses": ["kd", "cross-entropy"]},
        {"step": "prune", "macs": 0.5, "recover": {"losses": ["kd", "dkd"]}},
    )
    found = agreement.find_fault(steps, (Target(runtime="onnxruntime"),), views)
    mix = "mixup" if views.mixup else "cutmix"
    want = f"got 'dkd', want it without views.{mix}: it needs one class a sample"
    assert found == (("learn", 1, "recover", "losses", 1), want)
    assert agreement.find_fault(steps, (Target(runtime="onnxruntime"),), Views()) is None


@pytest.mark.parametrize("views", [Views(mixup=0.2), Views(cutmix=1.0)])
def test_a_scheme_of_single_classes_does_not_go_with_mixed_samples(views: Views) -> None:
    targets = (Target(runtime="onnxruntime"),)
    steps = resolve({"step": "distil", "losses": ["kd"], "scheme": "tf-kd"})
    mix = "mixup" if views.mixup else "cutmix"
    want = f"got 'tf-kd', want it without views.{mix}: it needs one class a sample"
    assert agreement.find_fault(steps, targets, views) == (("learn", 0, "scheme"), want)
    assert agreement.find_fault(steps, targets, Views()) is None
    for rule, refused in (("min-logit", True), ("mean", False), ("naive", False)):
        scheme = {"name": "kdcl", "rule": rule}
        steps = resolve({"step": "distil", "losses": ["kd"], "scheme": scheme})
        assert (agreement.find_fault(steps, targets, views) is not None) is refused


def test_the_schemes_of_single_classes_are_those_that_refuse_mixed_samples() -> None:
    refusing = {name for name, member in SCHEMES.items() if "require_unmixed(" in source(member)}
    usual = {"lwf": {"old": 2}, "lwf-mc": {"old": 2}, "less-forgetting": {"old": 2}}
    found = {
        name
        for name in SCHEMES
        if agreement.needs_one_class(
            NamedMember.parse({"name": name, **usual.get(name, {})}, SCHEMES, "scheme")
        )
    }
    assert found == refusing


def source(member: Member) -> str:
    """The text of a member's function, which is not imported."""
    spec = importlib.util.find_spec(member.module)
    assert spec is not None and spec.origin is not None
    text = Path(spec.origin).read_text()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == member.function:
            return ast.get_source_segment(text, node) or ""
    raise AssertionError(member)


def term(name: str, **words: Any) -> Term:
    return Term(loss=NamedMember.parse(name, LOSSES, "loss"), **words)


def test_what_cannot_serve_a_task_is_named_by_its_key() -> None:
    dense = Tensor("logits", "float32", ("batch", 4, 8, 8), "logits", 0, 1, "maps")
    ends = TaskEnds((dense,), ("maps",), ("image",))
    labels = (term("cross-entropy"),)
    alone = {("teacher", "losses"): labels}

    def misfit(alone: Any = alone, **words: Any) -> tuple[Any, str]:
        steps = resolve({"step": "distil", "losses": ["kd", "cross-entropy"], **words})
        return agreement.find_misfit(steps, alone, ends) or ((), "")

    assert misfit() == ((), "")
    assert misfit(losses=["kd", "mlkd"])[0] == ("learn", 0, "losses", 1)
    of_teacher = {("teacher", "losses"): (term("binary-cross-entropy"),)}
    assert misfit(of_teacher)[0] == ("teacher", "losses", 0)
    assert misfit(scheme="cs-kd")[0] == ("learn", 0, "scheme")
    assert misfit(combine={"rule": "entropy"})[0] == ("learn", 0, "combine", "rule")
    assert misfit(private={"epsilon": 3.0}) == (
        ("learn", 0, "private"),
        "got it for a task that is not one class a sample",
    )


def test_a_budget_names_metrics_of_the_task_where_they_are_known() -> None:
    known = TaskEnds((), (), metrics=(Scale("F1"), Scale("RMSE", "number", "lower")))
    for metrics in ({"F1": 0.9}, {"F1": 1.0, "RMSE": 90.0}):
        assert agreement.find_budget_fault(Budget(score=0.5, metrics=metrics), known) is None
    found = agreement.find_budget_fault(Budget(metrics={"F1": 0.9, "F2": 0.9}), known)
    assert found == (("budget", "metrics", "F2"), "got 'F2', want one of: F1, RMSE")
    assert agreement.find_budget_fault(Budget(metrics={"F2": 90.0}), TaskEnds((), ())) is None


def test_a_fraction_in_percent_is_refused() -> None:
    known = TaskEnds((), (), metrics=(Scale("F1"),))
    want = "got 90, want a fraction of 0 to 1 (F1)"
    for budget, key in (
        (Budget(score=90.0), ("score",)),
        (Budget(metrics={"F1": 90.0}), ("metrics", "F1")),
    ):
        assert agreement.find_budget_fault(budget, known) == (("budget", *key), want)


def test_sizes_are_named_by_the_free_axes_that_the_data_will_have() -> None:
    ends = TaskEnds((), ("labels",))
    lines = NamedMember.parse("jsonl:texts.jsonl", SOURCES, "data source")
    short = NamedMember.parse(
        {"name": "jsonl", "reference": "x", "longest": 64}, SOURCES, "data source"
    )
    own = NamedMember.parse("python:mine:read", SOURCES, "data source")
    digits = NamedMember.parse("digits", SOURCES, "data source")
    wrong, key = {"text_lenght": (1,)}, ("measure", "sizes", "text_lenght")
    assert agreement.find_size_fault({}, digits, ends) is None
    assert agreement.find_size_fault({"text_length": (1, 64)}, short, ends) is None
    assert agreement.find_size_fault({"text_length": (1, 256)}, lines, ends) is None
    assert agreement.find_size_fault(wrong, own, ends) is None  # its code says, before training
    found = agreement.find_size_fault(wrong, lines, ends)
    assert found == (
        key,
        f"got {key[-1]!r}, want a free axis of the data; did you mean 'text_length'?",
    )
    found = agreement.find_size_fault(wrong, digits, ends)
    assert found == (key, "got a size, want none: no input of this data has a free one")
    for source, size, most in ((short, 65, 64), (lines, 300, 256)):
        found = agreement.find_size_fault({"text_length": (1, size)}, source, ends)
        want = f"got {size}, want 1 to {most}, the longest sample"
        assert found == (("measure", "sizes", "text_length", 1), want)
    assert agreement.find_size_fault({"batch": (2,)}, lines, ends) is not None


@pytest.mark.parametrize(
    ("source", "model", "want"),
    [
        ("table:a.csv", "resnet8", "wants channels, height, width; the data give columns"),
        ("table:a.csv", "mlp", ""),
        ("digits", "mlp", ""),
        ("digits", "text-encoder", "wants vocabulary, longest; the data give channels, height"),
        ("jsonl:a.jsonl", "resnet8", "wants channels, height, width; the data give vocabulary"),
        ("python:a:f", "resnet8", ""),
    ],
)
def test_a_model_must_take_what_the_data_give(source: str, model: str, want: str) -> None:
    said = {"name": "a", "student": {"model": model}, "data": {"source": source}}
    said |= {"learn": [{"step": "distil", "scheme": "tf-kd", "losses": ["kd"]}]}
    said |= {"targets": [{"runtime": "onnxruntime"}]}
    if not want:
        recipes.load_mapping(said)
        return
    with pytest.raises(InputError, match=f"student.model: got {model}, which {want}"):
        recipes.load_mapping(said)


@pytest.mark.parametrize(
    ("source", "model", "want"),
    [
        ("jsonl:a.jsonl", {"name": "text-encoder", "width": 8, "heads": 3}, "divisor of width 8"),
        ("jsonl:a.jsonl", {"name": "text-encoder", "width": 6}, "heads: got 4, want a divisor"),
        ("digits", {"name": "vit-tiny", "heads": 5}, "want a divisor of dim"),
        ("jsonl:a.jsonl", {"name": "text-encoder", "layers": 100_000}, "integer <= 10000"),
    ],
)
def test_heads_and_depths_that_no_network_has(
    source: str, model: dict[str, object], want: str
) -> None:
    said = {"name": "a", "student": {"model": model}, "data": {"source": source}}
    said |= {"learn": [{"step": "distil", "scheme": "tf-kd", "losses": ["kd"]}]}
    said |= {"targets": [{"runtime": "onnxruntime"}]}
    with pytest.raises(InputError, match=want):
        recipes.load_mapping(said)


@pytest.mark.parametrize(
    ("task", "source", "want"),
    [
        ("token-classification", "jsonl:a.jsonl", "gives text, labels; the task wants tags"),
        ("classification", "text-corpus:a", "the task wants labels"),
        ("language-modelling", "text-csv:a.csv", "the task wants next_tokens, text_bytes"),
        ("classification", "jsonl:a.jsonl", ""),
        ("classification", "table:a.csv", ""),
        ("classification", "python:a:f", ""),
    ],
)
def test_a_source_gives_what_the_task_compares_with(task: str, source: str, want: str) -> None:
    ends = task_fit.read_ends(task)
    assert ends is not None
    found = agreement.find_source_misfit(NamedMember.parse(source, SOURCES, "data source"), ends)
    assert (found is None) == (not want)
    assert found is None or (found[0] == ("data", "source") and found[1].endswith(want))


def test_kinds_of_fields_say_the_sizes_that_their_fields_have() -> None:
    for field in (
        bundle_example.IMAGE,
        numbers_example.FACTS,
        Tokens(vocabulary=3, usual=1, longest=2),
    ):
        assert FIELDS[field.kind].sizes == tuple(field.sizes())
