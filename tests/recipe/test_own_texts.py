"""A teacher with another tokenizer teaches what it can; all else is one line that says what and where."""

from __future__ import annotations

from typing import Any

import pytest

from edgekd import recipe
from edgekd.errors import InputError

CORPUS = {"name": "text-corpus", "reference": "texts"}
OWN = {"tokenizer": "own"}


def load(
    *learn: dict[str, Any],
    task: str = "language-modelling",
    source: Any = CORPUS,
    texts: Any = OWN,
    model: str = "text-decoder",
    **more: Any,
) -> recipe.Recipe:
    value = {
        "name": "small",
        "task": task,
        "data": {"source": source},
        "teacher": {"model": model, "texts": texts},
        "student": {"model": model},
        "learn": list(learn),
        "targets": [{"runtime": "onnxruntime"}],
        **more,
    }
    return recipe.load_mapping(value)


ULD = {"step": "distil", "losses": ["uld", "cross-entropy"]}


def test_a_language_model_is_heard_live_and_what_is_quantized_hears_itself() -> None:
    made = load(ULD, {"step": "quantize"}, knowledge=None)
    distil, quantize = made.steps
    assert (distil.answers, distil.teachers) == ("online", ("teacher",))
    assert (quantize.answers, quantize.teachers) == ("none", ())
    assert quantize.words.teachers == ("student",)  # type: ignore[union-attr]


def test_a_classifier_is_heard_as_any_other() -> None:
    made = load(
        {"step": "distil", "losses": ["kd"]},
        {"step": "quantize"},
        task="classification",
        source="jsonl:texts.jsonl",
        model="text-encoder",
        texts={"tokenizer": "bytes", "longest": 64},
    )
    assert [step.answers for step in made.steps] == ["stored", "stored"]


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "forward-kl": (
        {"learn": ({"step": "distil", "losses": ["forward-kl"]},)},
        r"losses\.0: got 'forward-kl', which compares token with token, want uld \(edgekd methods uld\)",
    ),
    "z-scores": (
        {"learn": ({"step": "distil", "losses": [{"name": "uld", "standardize": True}]},)},
        "want it without standardize",
    ),
    "usual losses": ({"learn": ({"step": "distil"},)}, "want uld"),
    "layers": (
        {"learn": ({"step": "distil", "losses": ["uld", {"name": "fitnet", "layers": "hidden"}]},)},
        "got 'fitnet', which reads its layers",
    ),
    "scheme": (
        {"learn": ({**ULD, "scheme": {"name": "on-policy", "prompt_tokens": 4}},)},
        "got 'on-policy', want 'offline'",
    ),
    "stored": (
        {"learn": ({**ULD, "knowledge": "stored"},), "knowledge": {"top_k": 4}},
        "got 'stored', want 'online': it answers to the tokens of its own tokenizer",
    ),
    "quantize": (
        {"learn": (ULD, {"step": "quantize", "teachers": ["student", "teacher"]})},
        "want it to teach alone",
    ),
    "several": (
        {
            "learn": ({**ULD, "teachers": ["teacher", "wide"]},),
            "teachers": {"wide": {"model": "text-decoder"}},
        },
        "want it to teach alone",
    ),
    "inherit": (
        {"learn": ({**ULD, "inherit": {"rule": "spread"}},)},
        "inherit.teacher: got 'teacher', want another: its embeddings are of other tokens",
    ),
    "synthesis": (
        {
            "learn": (ULD,),
            "synthesis": {"method": {"name": "prompted-texts", "prompt_tokens": 4}, "count": 10},
        },
        "got it beside synthesis",
    ),
    "longest": (
        {"learn": (ULD,), "texts": {"tokenizer": "own", "longest": 64}},
        r"texts\.longest: got 64, want it left out",
    ),
    "speedup": (
        {
            "learn": (ULD,),
            "budget": {"speedup": 2.0},
            "measure": {"sizes": {"text_length": [16]}},
        },
        "sizes are counted in the student's tokens",
    ),
    "tags": (
        {
            "learn": ({"step": "distil", "losses": ["kd"]},),
            "task": "token-classification",
            "source": "tagged-text:texts.jsonl",
            "model": "text-tagger",
        },
        "answers to its tokens are no answers to the student's",
    ),
    "images": (
        {
            "learn": ({"step": "distil", "losses": ["kd"]},),
            "task": "classification",
            "source": "digits",
            "model": "resnet8",
        },
        "'digits', which takes no tokenizer",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_it_cannot_is_refused(name: str) -> None:
    words, told = FAULTS[name]
    learn = words.pop("learn")
    with pytest.raises(InputError, match=told):
        load(*learn, **words)


def test_the_student_s_own_tokenizer_needs_no_word() -> None:
    with pytest.raises(InputError, match="texts.tokenizer"):
        load(ULD, texts={})
