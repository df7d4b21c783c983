"""``edgekd predict``: what a bundle's model answers to a user's own inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli import completions
from edgekd.cli import options
from edgekd.cli.masks import write_masks
from edgekd.cli.number_range import NumberRange
from edgekd.cli.screen import echo
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.bench.generation import TokenChoice
    from edgekd.bundle.generation import Continuation
    from edgekd.bundle.predict import Prediction
    from edgekd.errors import InputError

MOST_LINES = 20
"""Samples without labels that are printed: their lines are summaries, `--json` has the values."""
MOST_VALUES = 1000
"""Values of one output of a sample that JSON has; of a larger one the range."""


@click.command(
    epilog="Examples: edgekd predict runs/quickstart digit.png; edgekd predict student.edgekd shoe.png --top 5"
)
@click.argument(
    "path",
    metavar="BUNDLE",
    shell_complete=completions.complete_run,
    type=click.Path(path_type=Path),
)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--top",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="Lines of each answer.",
)
@click.option(
    "--runtime",
    shell_complete=completions.complete_engine,
    metavar="NAME",
    help="Engine to run.  [default: the chosen one, or one that is installed]",
)
@click.option(
    "--masks",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Of classes of pixels: write each answer as FOLDER/NAME.png, grey, the number of the class in each pixel.",
)
@click.option(
    "--tokens",
    type=click.IntRange(1, 2**20),
    metavar="N",
    help="Of a model that tells the next token: write N tokens behind each text, or in answer to it, fewer where it ends.",
)
@click.option(
    "--temperature",
    type=NumberRange(0, 100),
    help="Of written tokens: above 0 they are drawn, the likelier the lower it is.  [default: 0, or 1 with --top-k or --top-p]",
)
@click.option(
    "--top-k", type=click.IntRange(1), metavar="K", help="Draw among the K likeliest tokens alone."
)
@click.option(
    "--top-p",
    type=NumberRange(0, 1, min_open=True),
    metavar="P",
    help="Draw among the likeliest tokens alone that together have the probability P.",
)
@click.option("--seed", type=click.IntRange(0), help="Of drawn tokens.  [default: 0]")
@options.replace
@options.key
@options.timeout
@click.option("--allow-code", is_flag=True, help="Let the author's own task run, python:....")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print answers, probabilities and the values of small outputs as JSON.",
)
def command(
    path: Path,
    inputs: tuple[str, ...],
    top: int,
    runtime: str | None,
    masks: Path | None,
    tokens: int | None,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    seed: int | None,
    replace: bool,
    key: Path | None,
    timeout_s: float,
    allow_code: bool,
    as_json: bool,
) -> None:
    """Ask the model of BUNDLE, a folder, one file or a run, about each INPUT; of a model with several inputs NAME=INPUT each.

    Images: PNG, JPEG, BMP and WebP, or .npy of uint8 [H, W, C] or [N, H, W, C] in the model's own size. An image of
    another size is scaled (bilinear) to cover the model's and its middle cut out; what was done stands beside the
    answer. Numbers: JSON or CSV, as text or in a file. Text: as it stands or in a file, if the data say how it
    becomes tokens, or .csv, .tsv and .jsonl of one a row; else their numbers as JSON. Two texts with one label: JSON, '["first", "second"]', or a table with those columns. A text longer than the model takes
    is cut. With --tokens a language model writes on behind each text, up to the token with which its tokenizer ends one; of conversations an INPUT is what a user says, and the answer alone is printed. Inputs that cannot be read are named, the others answered. Probabilities are not calibrated.
    """
    from edgekd import bundle
    from edgekd import runtimes
    from edgekd.bundle import archive
    from edgekd.bundle import generation
    from edgekd.bundle import predict as bundle_predict
    from edgekd.bundle import signature
    from edgekd.bundle import user_inputs
    from edgekd.errors import EdgekdError
    from edgekd.tasks import BUILT_IN

    if runtime is not None:
        runtimes.find_entry(runtime)
    drawing = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    sampling = _choose_sampling({k: v for k, v in drawing.items() if v is not None}, tokens)
    with archive.open_bundle(path) as folder:
        found = bundle.load_bundle(folder)
        signature.require_signature(folder, found.manifest.digest, key)
        questions, broken = user_inputs.read_sound_questions(inputs, found.dataset)
        if tokens is not None:
            written = generation.continue_texts(
                found, questions, tokens, sampling, runtime=runtime, timeout_s=timeout_s
            )
            _print_texts(written, broken, as_json=as_json)
            return
        told = bundle_predict.predict(
            found,
            questions,
            top=top,
            runtime=runtime,
            timeout_s=timeout_s,
            allow_code=allow_code,
        )
    if masks is not None:
        for goal in write_masks(told, masks, replace=replace):
            echo(f"mask: {goal}", err=True)
    if as_json:
        failed = [
            {"input": value, "prepared": "", "answers": [], "error": error.line()}
            for value, error in broken
        ]
        print_json([*(_fields(one) for one in told), *failed])
    entry = BUILT_IN.get(found.dataset.task)
    is_unlabelled = entry is not None and entry.from_answers
    shown = told[:MOST_LINES] if is_unlabelled else told
    for one in () if as_json else shown:
        answers = ", ".join(
            text if share is None else f"{text} {100 * share:.1f} %" for text, share in one.answers
        )
        said = f"  ({one.prepared})" if one.prepared else ""
        echo(EdgekdError(f"{one.name}  {answers}{said}").line())
    if not as_json and len(shown) < len(told):
        echo(f"{len(told) - len(shown)} more: --json")
    _report_broken(broken)


def _choose_sampling(given: dict[str, Any], tokens: int | None) -> TokenChoice:
    """How tokens are taken, by the options that were given.

    Raises:
        UsageError: if some are given and no token is to be written.
    """
    from edgekd.bench.generation import TokenChoice

    if given and tokens is None:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"got {named}, want --tokens beside, how many are written")
    narrowed = {"top_k", "top_p"} & given.keys()
    return TokenChoice(**{"temperature": 1.0 if narrowed else 0.0, **given})


def _print_texts(
    written: list[Continuation], broken: list[tuple[str, InputError]], *, as_json: bool
) -> None:
    """Each text with what was written behind it; of unknown tokens their numbers."""
    if as_json:
        print_json(
            [
                {
                    "input": each.name,
                    "prepared": each.prepared,
                    "text": each.text,
                    **each.written._asdict(),
                }
                for each in written
            ]
        )
    for each in () if as_json else written:
        echo(each.text or f"{each.name}  {' '.join(map(str, each.written.tokens))}")
    _report_broken(broken)


def _report_broken(broken: list[tuple[str, InputError]]) -> None:
    from edgekd.errors import InputError

    for _, error in broken:
        echo(f"error: {error.line()}", err=True)
    if broken:
        raise SystemExit(InputError.exit_code)


def _fields(told: Prediction) -> dict[str, Any]:
    answers = [{"text": text, "probability": share} for text, share in told.answers]
    outputs = {name: _describe_output(values) for name, values in told.outputs.items()}
    return {"input": told.name, "prepared": told.prepared, "answers": answers, "outputs": outputs}


def _describe_output(values: NDArray[Any]) -> dict[str, Any]:
    """The shape, and all values or the least, mean and largest of them."""
    shape = list(values.shape)
    if values.size <= MOST_VALUES:
        return {"shape": shape, "values": values.tolist()}
    ends = {"least": values.min(), "mean": values.mean(dtype="float64"), "most": values.max()}
    return {"shape": shape, **{name: value.item() for name, value in ends.items()}}
