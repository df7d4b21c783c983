from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result
from PIL import Image
from safetensors.torch import save_file

from edgekd import cli
from edgekd import recipe
from edgekd.cli import init
from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint


def run(*arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(cli.main, ["init", *arguments], input=answers)


def put_photos(folder: Path, side: int, count: int = 12) -> None:
    for name in ("cat", "Hünd"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", (side, side), (20 * i, 5, 9)).save(folder / name / f"{i}.png")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "file"),
    [
        ([], "digits.yaml"),
        (["--source", "fashion-mnist", "--target", "openvino"], "fashion-mnist.yaml"),
        (["--source", "npz:my data/a: b.npz", "--name", "x"], "x.yaml"),
        (["--source", "image-folder:My #1", "--output", "r.yml"], "r.yml"),
        (
            ["--teacher", "timm:resnet18", "--student", "wrn-16-1", "--name", "a.b_c-1"],
            "a.b_c-1.yaml",
        ),
    ],
)
def test_what_it_writes_loads(options: list[str], file: str, here: Path) -> None:
    put_photos(here / "My #1", 20)
    (here / "my data").mkdir()
    images = np.zeros((30, 8, 8), np.uint8)
    np.savez(here / "my data" / "a: b.npz", x=images, y=np.arange(30) % 3)
    done = run(*options)
    assert (done.exit_code, done.stdout) == (0, f"wrote {file}\n"), done.output
    loaded = recipe.load(Path(file))
    assert loaded.teacher is not None
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


def sit_at_a_terminal(monkeypatch: pytest.MonkeyPatch, said: dict[str, list[str]]) -> list[str]:
    """Answer questions that contain a key with its answers, one after the other, others as proposed; the questions that
    were asked."""
    asked: list[str] = []

    def prompt(question: str, default: str, err: bool) -> str:
        asked.append(question)
        key = next((key for key in said if key in question), None)
        return said[key].pop(0) if key and said[key] else default

    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr(init.sys, "stdin", type("Tty", (), {"isatty": lambda self: True})())
    return asked


def test_it_asks_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = sit_at_a_terminal(monkeypatch, {"Engine": ["openvino"]})
    draft = init.Interview(dict.fromkeys(init.QUESTIONS) | {"teacher": "resnet56"}, None).ask_all()
    assert len(asked) == len(init.QUESTIONS) - 1
    assert (draft.teacher, draft.target, draft.name) == ("resnet56", "openvino", "digits")


def test_a_wrong_answer_is_asked_for_again_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    (here / "taken.yaml").write_text("mine")
    said = {
        "Data": ["nowhere", "digits"],
        "Large": ["resnet21"],
        "weights": ["none.pt", "x.txt", ""],
        "Engine": ["tflite"],
        "Quantize": ["maybe", "no"],
        "Name": ["A b", "taken", "new"],
    }
    asked = sit_at_a_terminal(monkeypatch, said)
    draft = init.Interview(dict.fromkeys(init.QUESTIONS), None).ask_all()
    assert (draft.teacher, draft.quantize, draft.name) == ("resnet20", False, "new")
    told = capsys.readouterr().err.splitlines()
    starts = ("nowhere: got nothing at", "--teacher:", "--weights:", "--weights:", "--target:")
    starts += ("--quantize:", "--name:", "taken.yaml: exists already")
    assert [line.startswith(start) for line, start in zip(told, starts, strict=True)] == [True] * 8
    assert len(asked) == len(init.QUESTIONS) + 8


def test_a_pipe_answers_line_by_line_and_the_rest_is_as_usual() -> None:
    done = run("--student", "wrn-16-1", answers="fashion-mnist\n\n\nopenvino\nno\n")
    assert done.stdout == "wrote fashion-mnist.yaml\n", done.output
    loaded = recipe.load(Path("fashion-mnist.yaml"))
    assert loaded.teacher is not None
    assert str(loaded.teacher.model) == "resnet20" and str(loaded.student.model) == "wrn-16-1"
    assert loaded.targets[0].runtime == "openvino" and len(loaded.learn) == 1


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ("nowhere\n", "nowhere: got nothing at"),
        ("digits\nresnet21\nresnet8\n", "--teacher: teacher.model: got unknown model"),
        ("digits\n\n\n\n\nmaybe\n", "--quantize: got 'maybe'"),
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
        (["--source", "a\nb: c"], "a\nb: c: got nothing at"),
        (["digits", "--source", "digits"], "--source: got 'digits' beside 'digits'"),
        (["--weights", "none.pt"], "--weights: got 'none.pt', want a file that is there"),
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
    told = json.loads(run("--json").stdout)
    assert told["recipe"] == "digits.yaml" and told["minutes"] > 0
    assert (told["source"], told["teacher"], told["student"]) == ("digits", "resnet20", "resnet8")


def test_no_time_is_told_of_networks_that_nobody_timed(here: Path) -> None:
    done = run("--json", "--teacher", "resnet56")
    assert json.loads(done.stdout)["minutes"] is None
    text = (here / "digits.yaml").read_text()
    assert "as long as the networks that were named need" in text and "minute" not in text


@pytest.mark.parametrize(("word", "steps"), [("yes", 2), ("no", 1)])
def test_it_quantizes_if_asked(word: str, steps: int) -> None:
    assert run("--quantize", word).exit_code == 0
    text = Path("digits.yaml").read_text()
    assert len(recipe.load(Path("digits.yaml")).learn) == steps
    assert "\n\n\n" not in text


def put_masks(folder: Path) -> None:
    for i in range(12):
        for name, image in (
            ("images", Image.new("RGB", (40, 30 + i))),
            ("masks", Image.fromarray(np.tri(30 + i, 40, dtype=np.uint8))),
        ):
            (folder / name).mkdir(parents=True, exist_ok=True)
            image.save(folder / name / f"{i}.png")


def put_lines(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def every_kind(here: Path) -> dict[str, str]:
    """Data of each kind, and the name of a network that fits."""
    put_photos(here / "photos", 70)
    put_photos(here / "icons", 20)
    put_masks(here / "scenes")
    put_lines(
        here / "mails.csv", "text,label", *(f"hello you {i},{'ab'[i % 2]}" for i in range(40))
    )
    put_lines(here / "iris.csv", "a,b,species", *(f"{i},{-i},{'xyz'[i % 3]}" for i in range(40)))
    put_lines(here / "price.csv", "a,b,y", *(f"{i},{-i},{i / 3}" for i in range(40)))
    return {
        "photos": "mobilenetv2-imagenet",
        "icons": "resnet8",
        "scenes": "unet",
        "mails.csv": "text-encoder",
        "iris.csv": "mlp",
        "price.csv": "mlp",
    }


def test_networks_sizes_and_tasks_fit_what_lies_there(every_kind: dict[str, str]) -> None:
    for data, student in every_kind.items():
        assert run(data).exit_code == 0, data
        loaded = recipe.load(Path(f"{Path(data).stem}.yaml"))
        assert loaded.student.model.name == student
        assert loaded.budget != type(loaded.budget)()
        size = loaded.data.source.arguments.get("size")
        assert size == {"scenes": 32}.get(data)
        text = Path(f"{Path(data).stem}.yaml").read_text()
        assert "minute" in text and len([x for x in text.splitlines() if x and x[0] != "#"]) <= 32


@pytest.mark.parametrize("data", ["iris.csv", "price.csv", "scenes"])
def test_what_it_writes_can_begin(data: str, every_kind: dict[str, str], here: Path) -> None:
    """Every network is built, exported and quantized, one step of every training computed."""
    path = f"{Path(data).stem}.yaml"
    assert run(data).exit_code == 0
    if data == "scenes":  # smaller, so that this takes seconds; its numbers of pixels stay odd
        text = Path(path).read_text().replace("base: 12", "base: 2").replace("base: 6", "base: 1")
        Path(path).write_text(text)
    done = CliRunner().invoke(cli.main, ["compress", path, "--check", "--store", str(here / "s")])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(("target", "weights"), [("onnxruntime", "int8"), ("tensorrt", None)])
def test_a_decoder_keeps_its_states(target: str, weights: str | None, here: Path) -> None:
    """With activations in int8 it is traced without them, and goes over the whole text for each token."""
    put_lines(here / "a.txt", *(f"once upon a time there were {i}" for i in range(400)))
    assert run("a.txt", "--target", target).exit_code == 0
    assert [
        step.weights for step in recipe.load(Path("a.yaml")).learn if step.step == "quantize"
    ] == [weights]


def test_a_class_that_cannot_be_shared_out_is_told_before_anything_is_written(here: Path) -> None:
    put_photos(here / "photos", 20)
    (here / "photos" / "rare").mkdir()
    Image.new("RGB", (20, 20)).save(here / "photos" / "rare" / "a.png")
    done = run("photos")
    assert str(done.exception).startswith("photos: got 1 sample of class 'rare', want 3 or more")
    assert not (here / "photos.yaml").exists()


def test_what_a_recipe_leaves_out_is_told(here: Path) -> None:
    tagged = ('{"tokens": ["Ada", "slept"], "tags": ["B-PER", "O"]}',) * 12
    put_lines(here / "a.jsonl", *tagged, '{"tokens": ["Ada"], "tags": []}', '{"tags": ["O"]}')
    done = run("a.jsonl", "--json")
    told = json.loads(done.stdout)["notes"][-1]
    assert "a.jsonl, line 13: tags: got '[]'" in told and told.startswith(
        "left out 2 files or samples"
    )
    assert told in done.stderr and "on_broken: skip" in (here / "a.yaml").read_text()


def test_texts_of_one_letter_are_texts(here: Path) -> None:
    put_lines(
        here / "a.csv", "text,label", *(f"{'abcdef'[i % 6]},{'xy'[i % 2]}" for i in range(40))
    )
    assert run("a.csv").exit_code == 0
    assert recipe.load(Path("a.yaml")).data.source.name == "text-csv"


def put_weights(path: Path, model: str) -> None:
    plan = Blueprint(
        builder=model, interface=image_classifier(classes=10, channels=1, height=8, width=8)
    )
    path.parent.mkdir(exist_ok=True)
    save_file(blueprint.build(plan).state_dict(), path)


def test_weights_are_named_as_the_recipe_will_find_them(here: Path) -> None:
    put_weights(here / "w" / "t.safetensors", "resnet20")
    (here / "r").mkdir()
    assert run("--weights", "w/t.safetensors", "--output", "r/a.yaml").exit_code == 0
    loaded = recipe.load(here / "r" / "a.yaml")
    assert loaded.teacher is not None and loaded.teacher.weights == "../w/t.safetensors"


def test_weights_of_another_network_are_refused_at_once(here: Path) -> None:
    put_weights(here / "w.safetensors", "resnet8")
    done = run("--weights", "w.safetensors", "--teacher", "resnet14")
    assert "w.safetensors" in str(done.exception) and "layer1.1.conv1" in str(done.exception)
    (here / "x.pt").write_bytes(b"x")
    assert isinstance(run("--weights", "x.pt").exception, InputError)
    assert not (here / "digits.yaml").exists()


@pytest.mark.parametrize(
    ("options", "steps", "loses"),
    [
        ((), ["distil", "quantize"], True),
        (("--quantize", "no"), ["distil"], False),
        (("--weights", "w.safetensors"), ["quantize"], True),
        (("--weights", "w.safetensors", "--quantize", "no"), [], False),
    ],
)
def test_who_has_no_teacher_needs_none(
    options: tuple[str, ...], steps: list[str], loses: bool, here: Path
) -> None:
    put_weights(here / "w.safetensors", "resnet8")
    assert run("--teacher", "none", *options).exit_code == 0
    loaded = recipe.load(here / "digits.yaml")
    assert loaded.teacher is None and [each.step for each in loaded.learn] == steps
    assert loaded.student.weights == ("w.safetensors" if "--weights" in options else None)
    assert (loaded.budget.score_drop is not None) == loses


def test_weights_are_asked_for_after_the_network_that_they_are_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = sit_at_a_terminal(monkeypatch, {"Large": ["none"]})
    draft = init.Interview(dict.fromkeys(init.QUESTIONS), None).ask_all()
    assert (draft.teacher, draft.student) == ("", "resnet8")
    assert [asked.index(init.QUESTIONS[key]) for key in ("teacher", "student", "weights")] == [
        1,
        2,
        3,
    ]
