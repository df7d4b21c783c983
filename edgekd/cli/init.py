"""``edgekd init``: write a commented recipe, by asking or from options."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import click

from edgekd.cli.screen import echo

TEMPLATE = """\
# Run it: edgekd compress {output}
# See what it would do: edgekd compress {output} --dry-run
# Every key, its limits and its default: edgekd schema
# A recipe for another task, with other data: edgekd tasks NAME

name: {name:<17} # names the run's folder, runs/NAME
seed: 0                 # all randomness comes from it

data:
  source: {source:<13} # or another source of images; see edgekd schema
  validation: 0.1       # share of the training images kept for choices

views:                  # augmentation of the training images
  count: 8              # different views of each image; the teacher answers all of them once
  crop: 2               # pad by this many pixels, cut back at a random place
  flip: false           # mirror left to right, every other time

teacher:
  model: {teacher:<14} # see edgekd models
  # weights: teacher.safetensors    # yours, already trained (or a .pt state dict)
  train:                # not used when there are weights
    epochs: 30

student:
  model: {student}
  train:                # for the student, and for its control without a teacher
    epochs: 30

learn:                  # what the student goes through, in order
  - step: distil
    losses:             # see edgekd methods
      - {{name: kd, weight: 0.9, temperature: 4.0}}
      - {{name: cross-entropy, weight: 0.1}}
{quantize}
targets:                # the engines to compile for; see edgekd doctor
  - runtime: {target}
    precision: auto     # every precision the engine offers on this machine
    threads: [1]

# budget:               # what the chosen model has to meet; without one the fastest is chosen
#   score_drop: 1.5     # at most this much worse than the teacher, on validation: points of accuracy
"""
QUANTIZE = """\
  - step: quantize      # to int8, measured beside float; the faster one inside the budget is chosen
    profiles: auto      # one file for each engine, written as it runs fastest
    # score_drop: 0.5   # keep costly layers in float until no more is lost
"""
DEFAULTS = {
    "quantize": "yes",
    "source": "digits",
    "teacher": "resnet20",
    "student": "resnet8",
    "target": "onnxruntime",
}
QUESTIONS = {
    "source": "Images (digits, fashion-mnist, image-folder:DIR, npz:FILE, ...)",
    "teacher": "Large model (see edgekd models)",
    "student": "Small model",
    "target": "Engine (onnxruntime, openvino, tensorrt)",
    "quantize": "Quantize to int8 (yes, no)",
    "name": "Name of the recipe",
}


@click.command(epilog="Example: edgekd init --source fashion-mnist --teacher resnet20 --name shop")
@click.option("--source", help="Data, such as image-folder:DIR.  [default: digits]")
@click.option("--teacher", help="Large model, see edgekd models.  [default: resnet20]")
@click.option("--student", help="Small model, see edgekd models.  [default: resnet8]")
@click.option("--target", help="Engine, see edgekd doctor.  [default: onnxruntime]")
@click.option(
    "--quantize", type=click.Choice(["yes", "no"]), help="Quantize to int8.  [default: yes]"
)
@click.option("--name", help="Name of the recipe.  [default: from the source]")
@click.option(
    "--output", type=click.Path(path_type=Path), help="File to write.  [default: NAME.yaml]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the file's name as JSON.")
def command(output: Path | None, as_json: bool, **options: str | None) -> None:
    """Write a commented recipe that runs.

    Asks for what the options leave open, on a terminal or from a pipe; an empty line means the default.
    """
    from edgekd import files

    if output is not None:
        _require_new(output)
    answers = _answers(options, output)
    output = output or Path(f"{answers['name']}.yaml")
    files.write_output(output, make_recipe_text(answers, output).encode())
    echo(json.dumps({"recipe": str(output)}) if as_json else f"wrote {output}")


def _require_new(output: Path) -> None:
    from edgekd.errors import InputError

    if output.suffix not in (".yaml", ".yml"):
        raise InputError(f"{output}: got suffix {output.suffix!r}, want .yaml")
    if output.exists():
        raise InputError(f"{output}: exists already, want a new file", hint="--output OTHER.yaml")


def _answers(options: dict[str, str | None], output: Path | None) -> dict[str, str]:
    """Return what is said or asked of each question, each answer checked before the next question."""
    from edgekd.errors import InputError

    answers: dict[str, str] = {}
    for key, question in QUESTIONS.items():
        while key not in answers:
            default = DEFAULTS.get(key) or _plain_name(answers["source"])
            option = options[key]
            given = _asked(question, default) if option is None else option
            try:
                _check(key, {"name": "recipe", **DEFAULTS, **answers, key: given}, output)
            except InputError as error:
                if option is not None or not sys.stdin.isatty():
                    raise
                echo(error.line(), err=True)
            else:
                answers[key] = given
    return answers


def _asked(question: str, default: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(question, default=default, err=True))
    return sys.stdin.readline().strip() or default


def _check(key: str, answers: dict[str, str], output: Path | None) -> None:
    """Raises InputError if the answer to `key` makes no recipe, or none that can be written."""
    make_recipe_text(answers, output or Path("recipe.yaml"))
    if key == "name" and output is None:
        _require_new(Path(f"{answers['name']}.yaml"))


def _plain_name(source: str) -> str:
    """A recipe's name from a source: ``image-folder:My Photos`` gives ``image-folder-my-photos``."""
    return re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-")[:40] or "recipe"


def make_recipe_text(answers: dict[str, str], output: Path) -> str:
    """The recipe's text, proven to be one.

    Raises:
        InputError: if an answer is no such name.
    """
    from edgekd import recipe
    from edgekd.errors import InputError
    from edgekd.recipe import text as recipe_text

    if answers["quantize"] not in ("yes", "no"):
        raise InputError(f"--quantize: got {answers['quantize']!r}, want yes or no")
    words = {key: _scalar(value) for key, value in answers.items()}
    words["quantize"] = QUANTIZE if answers["quantize"] == "yes" else ""
    text = TEMPLATE.format(output=output, **words)
    document = recipe_text.parse(text, ".yaml", "init")
    recipe.validate(document._replace(places=document.places | _PLACES))
    return text


_PLACES = {
    ("name",): "--name",
    ("data", "source"): "--source",
    ("teacher", "model"): "--teacher",
    ("student", "model"): "--student",
    ("targets", 0, "runtime"): "--target",
}
"""Which option an answer is from, for messages."""


def _scalar(value: str) -> str:
    """`value` as YAML text; a plain word stays one."""
    return (
        value
        if re.fullmatch(r"[a-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*", value)
        else json.dumps(value)
    )
