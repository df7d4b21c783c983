from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result

from edgekd import cli
from edgekd import recipe
from edgekd.cli import init
from edgekd.errors import InputError


def run(*arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(cli.main, ["init", *arguments], input=answers)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "file"),
    [
        ([], "digits.yaml"),
        (["--source", "fashion-mnist", "--target", "openvino"], "fashion-mnist.yaml"),
        (["--source", "npz:/my data/a: b.npz", "--name", "x"], "x.yaml"),
        (["--source", "image-folder:../My #1", "--output", "r.yml"], "r.yml"),
        (
            ["--teacher", "timm:resnet18", "--student", "wrn-16-1", "--name", "a.b_c-1"],
            "a.b_c-1.yaml",
        ),
    ],
)
def test_what_it_writes_loads(options: list[str], file: str) -> None:
    done = run(*options)
    assert (done.exit_code, done.stdout) == (0, f"wrote {file}\n"), done.output
    loaded = recipe.load(Path(file))
    for option, value in zip(options[::2], options[1::2], strict=True):
        got = {
            "--source": str(loaded.data.source),
            "--teacher": str(loaded.teacher.model),
            "--student": str(loaded.student.model),
            "--target": loaded.targets[0].runtime,
            "--name": loaded.name,
            "--output": file,
        }
        assert got[option] == value
    keys = [line for line in Path(file).read_text().splitlines() if line.strip()]
    assert sum("#" in line for line in keys) > len(keys) / 2


def test_it_asks_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def prompt(question: str, default: str, err: bool) -> str:
        asked.append(question)
        return "openvino" if "Engine" in question else default

    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr(init.sys, "stdin", type("Tty", (), {"isatty": lambda self: True})())
    answers = init._answers(dict.fromkeys(init.QUESTIONS) | {"teacher": "resnet56"}, None)
    assert len(asked) == len(init.QUESTIONS) - 1
    assert (answers["teacher"], answers["target"]) == ("resnet56", "openvino")
    assert answers["name"] == "digits"


def test_a_wrong_answer_is_asked_for_again_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    (here / "taken.yaml").write_text("mine")
    said = iter(["digits", "resnet21", "resnet20", "resnet8", "x", "onnxruntime", "maybe", "no"])
    names = iter(["A b", "taken", "new"])
    asked = []

    def prompt(question: str, default: str, err: bool) -> str:
        asked.append(question)
        return next(names if "Name" in question else said)

    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr(init.sys, "stdin", type("Tty", (), {"isatty": lambda self: True})())
    answers = init._answers(dict.fromkeys(init.QUESTIONS), None)
    assert answers == {
        "source": "digits",
        "teacher": "resnet20",
        "student": "resnet8",
        "target": "onnxruntime",
        "quantize": "no",
        "name": "new",
    }
    told = capsys.readouterr().err.splitlines()
    starts = ("--teacher:", "--target:", "--quantize:", "--name:", "taken.yaml: exists already")
    assert [line.startswith(start) for line, start in zip(told, starts, strict=True)] == [True] * 5
    assert len(asked) == len(init.QUESTIONS) + 5


def test_a_pipe_answers_line_by_line_and_the_rest_is_as_usual() -> None:
    done = run("--student", "wrn-16-1", answers="fashion-mnist\n\nopenvino\nno\n")
    assert done.stdout == "wrote fashion-mnist.yaml\n", done.output
    loaded = recipe.load(Path("fashion-mnist.yaml"))
    assert str(loaded.teacher.model) == "resnet20" and str(loaded.student.model) == "wrn-16-1"
    assert loaded.targets[0].runtime == "openvino" and len(loaded.learn) == 1


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ("nowhere\n", "--source: data.source: got unknown data source"),
        ("digits\nresnet21\nresnet8\n", "--teacher: teacher.model: got unknown model"),
        ("digits\n\n\n\nmaybe\n", "--quantize: got 'maybe'"),
    ],
)
def test_a_wrong_answer_in_a_pipe_ends_it(answers: str, says: str, here: Path) -> None:
    done = run(answers=answers)
    assert isinstance(done.exception, InputError) and str(done.exception).startswith(says)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--teacher", "resnet21"], "--teacher: teacher.model: got unknown model 'resnet21'"),
        (["--target", "tflite"], "--target: targets.0.runtime: got unknown runtime"),
        (["--name", "A b"], "--name: name: got 'A b'"),
        (["--name", "../x"], "--name: name: got '../x'"),
        (["--source", "a\nb: c"], "--source: data.source: got unknown data source"),
        (["--output", "r.txt"], "r.txt: got suffix '.txt'"),
    ],
)
def test_refusals_write_nothing(options: list[str], message: str, here: Path) -> None:
    done = run(*options)
    assert str(done.exception).startswith(message), done.exception
    assert list(here.iterdir()) == []


def test_an_old_file_stays(here: Path) -> None:
    (here / "digits.yaml").write_text("mine")
    assert "exists already" in str(run().exception)
    assert (here / "digits.yaml").read_text() == "mine"


def test_json() -> None:
    assert json.loads(run("--json").stdout) == {"recipe": "digits.yaml"}


@pytest.mark.parametrize(("word", "steps"), [("yes", 2), ("no", 1)])
def test_it_quantizes_if_asked(word: str, steps: int) -> None:
    assert run("--quantize", word).exit_code == 0
    text = Path("digits.yaml").read_text()
    assert len(recipe.load(Path("digits.yaml")).learn) == steps
    assert "\n\n\n" not in text
