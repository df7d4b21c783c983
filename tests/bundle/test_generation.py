"""A golden text is kept, or missed only where two tokens were as likely."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tokenizers

from edgekd import runtimes
from edgekd.bench.engine import Engine
from edgekd.bench.generation import TokenChoice
from edgekd.bundle import generation
from edgekd.bundle.manifest import GENERATION
from edgekd.bundle.manifest import Tolerance
from edgekd.bundle.user_inputs import Question
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.fields.tokens import Tokens
from edgekd.files import digest_bytes
from edgekd.learn.export.fused_decoder import FusedDecoder
from edgekd.learn.greedy import write_greedy
from tests import decoder_example as example

PROMPT = [3, 1, 4]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("engine")
    path = example.write(folder / "a.onnx", example.decoder())
    built = runtimes.find_runtime("onnxruntime").build(path, folder, "fp32")
    return Engine("onnxruntime", "fp32", 1, built)


def check(folder: Path, engine: Engine, changed: dict[str, Any]) -> tuple[str, str]:
    """Verdict and text of a golden text that was changed."""
    tokens, margins = write_greedy(example.decoder(), PROMPT, 6)
    golden = {"longest": example.LONGEST, "prompt": PROMPT, "tokens": tokens, "margins": margins}
    (folder / GENERATION).write_text(json.dumps({**golden, **changed}))
    ends = example.interface()
    logits = ends.outputs[0]._replace(target="next_tokens")
    bundle: Any = SimpleNamespace(
        folder=folder,
        manifest=SimpleNamespace(files={GENERATION: None}),
        interface=ends._replace(outputs=(logits,)),
    )
    tolerance = Tolerance(max_abs=0.01, agreement=1.0)
    (found,) = generation.check_golden_text(
        bundle, engine, tolerance, timeout_s=60.0, device=local.DEVICE
    )
    return found.verdict, found.text


def test_the_trained_models_own_text(tmp_path: Path, engine: Engine) -> None:
    assert check(tmp_path, engine, {}) == (
        "ok",
        "the first 6 of 6 tokens are the trained model's own",
    )


@pytest.mark.parametrize(("margin", "verdict"), [(0.5, "failed"), (0.015, "ok")])
def test_another_token(tmp_path: Path, engine: Engine, margin: float, verdict: str) -> None:
    tokens, margins = write_greedy(example.decoder(), PROMPT, 6)
    tokens[2], margins[2] = (tokens[2] + 1) % example.VOCABULARY, margin
    got, text = check(tmp_path, engine, {"tokens": tokens, "margins": margins})
    assert got == verdict
    assert text.startswith("the first 2 of 6 tokens")


def test_a_text_that_is_too_long_is_refused_in_one_line(engine: Engine) -> None:
    with pytest.raises(InputError, match="want at least 1 and at most 24 together"):
        generation.write_text(engine, PROMPT, 40, example.LONGEST)


@pytest.mark.parametrize("form", ["plain", "fused"])
def test_what_the_engine_refuses_while_it_writes_is_the_inputs_fault(
    tmp_path: Path, form: str
) -> None:
    model = FusedDecoder(example.decoder()) if form == "fused" else example.decoder()
    path = example.write(tmp_path / "a.onnx", model)
    (tmp_path / "built").mkdir()
    built = runtimes.find_runtime("onnxruntime").build(path, tmp_path / "built", "fp32")
    engine = Engine("onnxruntime", "fp32", 1, built)
    with pytest.raises(
        InputError, match="got 2 tokens behind 0, which the engine refuses: "
    ) as one:
        generation.write_text(engine, [3, example.VOCABULARY + 3], 1, example.LONGEST)
    assert "out of data bounds" in str(one.value)


def test_a_text_ends_with_its_token_and_shows_what_stands_before(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what the model writes without an end one token is made the one that ends a text."""
    drawn = TokenChoice(3.0, seed=1)
    tokens = generation.write_text(engine, PROMPT, 6, example.LONGEST, drawn).tokens
    end = next(token for token in tokens if token not in (*PROMPT, tokens[0]))
    words = {f"w{number} ": number for number in range(example.VOCABULARY) if number != end}
    library = tokenizers.Tokenizer(tokenizers.models.WordLevel({**words, "</s>": end}, "w0 "))
    file = library.to_str().encode()
    field = Tokens(
        vocabulary=example.VOCABULARY,
        usual=8,
        longest=example.LONGEST,
        encoding="tokenizer",
        tokenizer=digest_bytes(file),
        tokenizer_file=file,
    )
    ends = example.interface()
    found: Any = SimpleNamespace(
        manifest=SimpleNamespace(name="tiny"),
        interface=ends._replace(outputs=(ends.outputs[0]._replace(target="next_tokens"),)),
        dataset=SimpleNamespace(inputs={"text": field}),
    )
    monkeypatch.setattr(generation, "usual_model", lambda found: found)
    monkeypatch.setattr(generation, "prepare_engine", lambda *_, **__: engine)
    rows = RaggedRows(np.array(PROMPT, np.int64), np.array([0, len(PROMPT)]))
    (told,) = generation.continue_texts(found, [Question("a", {"text": rows}, "")], 6, drawn)
    length = tokens.index(end) + 1
    assert told.written.tokens == tokens[:length] and len(told.written.margins) == length
    assert "</s>" not in told.text
    assert told.text.split() == [f"w{token}" for token in (*PROMPT, *tokens[: length - 1])]


def test_a_drawn_text_is_the_same_again(engine: Engine) -> None:
    texts = [
        generation.write_text(
            engine, PROMPT, 12, example.LONGEST, TokenChoice(2.0, seed=seed)
        ).tokens
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    "changed", [{"tokens": []}, {"margins": [1.0]}, {"longest": 0}, {"prompt": "x"}, {"more": 1}]
)
def test_what_is_no_golden_text_is_refused_in_one_line(
    tmp_path: Path, engine: Engine, changed: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="generation.json: ") as caught:
        check(tmp_path, engine, changed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changed, want",
    [
        ({"longest": 25}, "longest: got 25, want 24"),
        ({"prompt": [3, 40]}, "got token 40, want less than 40"),
    ],
)
def test_a_golden_text_of_another_model_is_refused(
    tmp_path: Path, engine: Engine, changed: dict[str, Any], want: str
) -> None:
    with pytest.raises(InputError, match=want):
        check(tmp_path, engine, changed)


def test_a_text_without_room_is_refused_before_any_is_written() -> None:
    rows = RaggedRows(np.zeros((10, 1), np.int64), np.array([0, 3, 10]))
    assert rows.lengths.tolist() == [3, 7]
    questions = [Question("b.txt", {"text": rows}, "")]
    generation._require_room(questions, "text", 5, 12)
    with pytest.raises(
        InputError, match="b.txt: got 7 tokens and 6 to write, want at most 12"
    ) as refused:
        generation._require_room(questions, "text", 6, 12)
    assert refused.value.hint == "--tokens 5 fits"
    cut = [questions[0]._replace(prepared="cut to 7 of 90 tokens")]
    with pytest.raises(InputError, match=r"got 7 tokens \(cut to 7 of 90 tokens\) and 6 to write"):
        generation._require_room(cut, "text", 6, 12)
