"""``edgekd init``: look at data, propose what fits them, and write a commented recipe, by asking or from options."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.cli.known_data import KnownData
from edgekd.cli.known_data import look_at_data
from edgekd.cli.recipe_draft import RecipeDraft
from edgekd.cli.recipe_draft import answer_text
from edgekd.cli.recipe_draft import estimate_minutes
from edgekd.cli.recipe_draft import estimate_text
from edgekd.cli.recipe_draft import make_recipe_text
from edgekd.cli.recipe_draft import network_text
from edgekd.cli.screen import echo

if TYPE_CHECKING:
    from edgekd.learn.data.inspection import Inspection

DEFAULT_SOURCE = "digits"
NOBODY = "none"
"""The answer of somebody who has no large model and wants none."""
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")
QUESTIONS = {
    "source": "Data (a folder or file, or a name of edgekd sources)",
    "teacher": "Large model (see edgekd models; none: the small one learns from labels alone)",
    "weights": "Its trained weights (a file; nothing: it is trained here)",
    "student": "Small model",
    "target": "Engine (onnxruntime, openvino, tensorrt)",
    "quantize": "Quantize to int8 (yes, no)",
    "name": "Name of the recipe",
}


@click.command(epilog="Examples: edgekd init photos/; edgekd init mails.csv --name mails")
@click.argument("data", required=False)
@click.option("--source", help="The data as a recipe names them, such as image-folder:DIR.")
@click.option(
    "--teacher", help="Large model, see edgekd models, or none.  [default: one that fits]"
)
@click.option(
    "--weights",
    help="Trained weights of the large model, or where there is none of the small; a file.",
)
@click.option("--student", help="Small model, see edgekd models.  [default: one that fits]")
@click.option("--target", help="Engine, see edgekd doctor.  [default: onnxruntime]")
@click.option(
    "--quantize", type=click.Choice(["yes", "no"]), help="Quantize to int8.  [default: yes]"
)
@click.option("--name", help="Name of the recipe.  [default: from the data]")
@click.option(
    "--output", type=click.Path(path_type=Path), help="File to write.  [default: NAME.yaml]"
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the public data sets.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print file, source, networks and cost as JSON."
)
def command(
    data: str | None,
    source: str | None,
    output: Path | None,
    data_dir: Path | None,
    as_json: bool,
    **options: str | None,
) -> None:
    """Look at DATA and write a commented recipe that runs: task, networks and sizes that fit, and a budget.

    Asks for what the options leave open, on a terminal or from a pipe; an empty line means what is proposed.
    """
    from edgekd import files
    from edgekd.errors import InputError

    if output is not None:
        _require_new(output)
    if data is not None and source is not None:
        raise InputError(f"--source: got {source!r} beside {data!r}, want the data once")
    interview = Interview({**options, "source": data or source}, output, data_dir)
    draft = interview.ask_all()
    output = output or Path(f"{draft.name}.yaml")
    files.write_output(output, make_recipe_text(draft, output).encode())
    found = draft.proposal
    if as_json:
        summary = {
            "recipe": str(output),
            "source": draft.source,
            "task": found.task,
            "teacher": draft.teacher or None,
            "student": draft.student,
            "weights": draft.weights or None,
            "minutes": estimate_minutes(draft),
            "notes": list(interview.notes),
        }
        echo(json.dumps(summary))
        return
    echo(f"wrote {output}")
    echo(
        f"{found.task}: {_summary(draft)}; takes {estimate_text(draft)}, roughly. Next: "
        f"edgekd compress {output} --check",
        err=True,
    )


def _summary(draft: RecipeDraft) -> str:
    if draft.teacher:
        return f"{draft.student} learns from {draft.teacher}"
    return (
        f"{draft.student} begins with {draft.weights}"
        if draft.weights
        else f"{draft.student} learns from labels"
    )


def _require_new(output: Path) -> None:
    from edgekd.errors import InputError

    if output.suffix not in (".yaml", ".yml"):
        raise InputError(f"{output}: got suffix {output.suffix!r}, want .yaml")
    if output.exists():
        raise InputError(f"{output}: exists already, want a new file", hint="--output OTHER.yaml")


class Interview:
    """The questions, each answered by an option, at the terminal or from a pipe, and checked before the next."""

    def __init__(
        self, options: dict[str, str | None], output: Path | None, data_dir: Path | None = None
    ) -> None:
        """
        Args:
            options: answers by question; None for those to be asked.
            output: the recipe's file; None to take its name.
            data_dir: folder of the public data sets.
        """
        self.options, self.output, self.data_dir = options, output, data_dir
        self.data: KnownData | None = None
        self.notes: tuple[str, ...] = ()
        self.answers: dict[str, str] = {}

    def ask_all(self) -> RecipeDraft:
        """All answers as a draft.

        Raises:
            InputError: for an answer that cannot be, unless somebody sits there to be asked again.
        """
        from edgekd.errors import InputError

        while (key := self._next_key()) is not None:
            option = self.options[key]
            given = self._ask(QUESTIONS[key], self._default(key)) if option is None else option
            try:
                self._check(key, given)
            except InputError as error:
                if option is not None or not sys.stdin.isatty():
                    raise
                echo(error.line(), err=True)
            else:
                self.answers[key] = given
        return self._draft({})

    def _next_key(self) -> str | None:
        """The question that is next; None if all are answered. Weights are asked for after their model is known."""
        order = list(QUESTIONS)
        if self.answers.get("teacher") == NOBODY:
            order.remove("weights")
            order.insert(order.index("student") + 1, "weights")
        return next((key for key in order if key not in self.answers), None)

    def _ask(self, question: str, default: str) -> str:
        if sys.stdin.isatty():
            return str(click.prompt(question, default=default, err=True))
        return sys.stdin.readline().strip() or default

    def _default(self, key: str) -> str:
        usual = {
            "source": DEFAULT_SOURCE,
            "weights": "",
            "target": "onnxruntime",
            "quantize": "yes",
        }
        if key in usual:
            return usual[key]
        assert self.data is not None
        if key == "name":
            return _plain_name(self.answers["source"])
        return network_text(getattr(self.data.proposal, key))

    def _check(self, key: str, given: str) -> None:
        """Raises InputError if the answer to `key` makes no recipe, or none that can be written."""
        from edgekd.errors import InputError

        if key == "source":
            self.data = look_at_data(given, self.data_dir)
            found = self.data.inspection
            self.notes = () if found is None else _list_notes(found)
            for note in self.notes:
                echo(note, err=True)
        if key == "weights" and given:
            _require_weights(given)
        if key == "quantize" and given not in ("yes", "no"):
            raise InputError(f"--quantize: got {given!r}, want yes or no")
        output = self.output or Path("recipe.yaml")
        text = make_recipe_text(self._draft({key: given}), output)
        if key in ("teacher", "student", "weights"):
            _require_fit(text, output)
        if key == "name" and self.output is None:
            _require_new(Path(f"{given}.yaml"))

    def _draft(self, now: dict[str, str]) -> RecipeDraft:
        assert self.data is not None
        said = {**self.answers, **now}
        answers = {
            key: said[key] if key in said else ("recipe" if key == "name" else self._default(key))
            for key in QUESTIONS
            if key != "source"
        }
        return RecipeDraft(
            answer_text(answers["name"]),
            self.data.text,
            "" if answers["teacher"] == NOBODY else answer_text(answers["teacher"]),
            answer_text(answers["student"]),
            answers["weights"],
            answer_text(answers["target"]),
            answers["quantize"] == "yes",
            self.data.proposal,
        )


def _list_notes(found: Inspection) -> tuple[str, ...]:
    """What was concluded, and what the recipe leaves out."""
    from edgekd.learn.data.survey import describe_skipped

    survey = found.survey
    return (*survey.notes, *([describe_skipped(survey.skipped)] if survey.skipped else []))


def _require_weights(said: str) -> None:
    from edgekd.errors import InputError

    path = Path(said)
    if path.suffix.lower() not in WEIGHTS:
        raise InputError(f"--weights: got {said!r}, want a file of {', '.join(WEIGHTS)}")
    if not path.is_file():
        raise InputError(f"--weights: got {said!r}, want a file that is there")


def _require_fit(text: str, output: Path) -> None:
    """Open the weights that a recipe names, and fit them to their model.

    Raises:
        InputError: if the file holds no weights, or others than the model's.
    """
    from edgekd import recipe as recipes
    from edgekd.plan import loading
    from edgekd.recipe import text as recipe_text
    from edgekd.run import Options
    from edgekd.run import default_store
    from edgekd.stages.open import OpenConfig
    from edgekd.stages.open import check_weights

    options = Options(run_dir=output.parent, store=default_store())
    recipe = recipes.validate(recipe_text.parse(text, ".yaml", "init"))
    for words in (recipe.teacher, recipe.student):
        if words is not None and words.weights is not None:
            step = loading.open_step(recipe, words, "open", output.parent, options)
            assert isinstance(step.settings, OpenConfig)
            check_weights(step.settings, step.external["user_weights"], allow_code=False)


def _plain_name(source: str) -> str:
    """A recipe's name from its data: ``image-folder:My Photos/`` gives ``image-folder-my-photos``, a path its last
    part without the suffix."""
    from edgekd.cli.sources import read_source

    said = read_source(source)
    if isinstance(said, dict):
        source = str(said.get("reference", said["name"]))
    last = source if ":" in source else Path(source).stem or source
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:40] or "recipe"
