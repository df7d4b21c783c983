"""Broken recipes: each ends with exit 2 and one short line, and leaves nothing behind.

Every mutation breaks the recipe by construction; the JSON schema, an independent judge, confirms
it for those that are still plain values.
"""

from __future__ import annotations

import copy
import functools
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edgekd import cli
from edgekd import recipe
from edgekd.cli import compress
from edgekd.errors import InputError
from edgekd.recipe import canonical
from edgekd.recipe import text as recipe_text

PIPELINES = Path(__file__).parents[2] / "pipelines"
SHIPPED = sorted(PIPELINES.glob("*.yaml"))
Broken = tuple[str, bytes]
"""A file's name and its bytes."""

REQUIRED = [
    ("name",),
    ("data",),
    ("data", "source"),
    ("teacher",),
    ("teacher", "model"),
    ("student",),
    ("student", "model"),
    ("learn",),
    ("learn", 0),
    ("learn", 0, "step"),
    ("learn", 0, "losses", 0, "name"),
    ("targets",),
    ("targets", 0, "runtime"),
]
OUT_OF_RANGE: list[tuple[tuple[str | int, ...], list[Any]]] = [
    (("name",), ["", "A", "a b", "../x", "a/b", ".a", "-a", "ä", "a" * 65, "a\nb", 7, None]),
    (("seed",), [-1, 2**63, 0.5, True, None]),
    (("data", "validation"), [0, 1, -0.1, 1.5, "half"]),
    (("data", "limit"), [0, -1, 1.5]),
    (("data", "source"), ["digit", "Digits", "../digits", "digits/", "", "python"]),
    (("views", "count"), [0, -1, 1.5, None]),
    (("views", "crop"), [-1, 257, 1.5]),
    (("views", "erase"), [-0.1, 1.1]),
    (("views", "flip"), [0, "no", None]),
    (("teacher", "model"), ["resnet21", "RESNET20", "../resnet20", "", [], {}, {"name": "timm"}]),
    (("teacher", "weights"), ["../../nothing.pt", "/dev/null", ".", "", 3, "x" * 1001, "\u202e"]),
    (("teacher", "losses"), [[], ["kd"], "cross-entropy", [{"name": "logit-mse"}]]),
    (("student", "train", "epochs"), [0, -3, 100_001, 1.5, "3", True]),
    (("student", "train", "batch_size"), [0, 10**7]),
    (("student", "train", "learning_rate"), [0, -0.1, "fast", None]),
    (("student", "train", "momentum"), [-0.1, 1, 1.5]),
    (("student", "train", "optimizer"), ["adam", "SGD", None, 1]),
    (("student", "train", "schedule"), ["linear", ""]),
    (("student", "train", "precision"), ["int8", "FP32", 32]),
    (("student", "train", "channels_last"), ["yes", 1, None]),
    (("student", "train", "step_at"), [[2], 0.5, ["half"]]),
    (("learn",), [[], {}, "distil", ["distil"], [[]], None]),
    (("learn", 0, "step"), ["distill", "prune", "", 1]),
    (("learn", 0, "knowledge"), ["cached", "Stored", True]),
    (("learn", 0, "losses", 0), ["kl", {"name": "kd", "temperature": 0}, {"name": "kd", "T": 4}]),
    (("learn", 0, "losses", 0, "weight"), [0, -1, "much", None]),
    (("learn", 0, "losses", 0, "temperature"), [0, -4, "hot", [4], None]),
    (("export",), [None, [], 18]),
    (("export", "opset"), [12, 24, "18", 17.5]),
    (("export", "golden"), [0, -1]),
    (("export", "tolerance"), [0, -1e-4]),
    (("targets",), [[], {}, "onnxruntime", ["onnxruntime"], None]),
    (("targets", 0, "runtime"), ["ort", "OpenVINO", "null", ""]),
    (("targets", 0, "precision"), [[], ["int8"], "fp32", "AUTO", None]),
    (("targets", 0, "threads"), [[], [0], [-1], ["all"], 1, [1.5]]),
    (("measure",), [None, 3]),
    (("budget",), [None, []]),
]
NUMBERS = [".nan", ".inf", "-.inf", "1e309", "-1e309", "9" * 30, "9" * 5000, "0x" + "f" * 40]
TAGS = [
    "!!python/object:os.system",
    "!!python/object/apply:os.system ['touch broken']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!binary",
    "!!set",
    "!!timestamp",
    "!local",
    "!!int",
]


def paths(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a plain value, but the whole."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*at, key)
        if isinstance(item, dict | list):
            yield from paths(item, (*at, key))


def get(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def put(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy of `value` with `new` at `path`; mappings on the way are made."""
    value = copy.deepcopy(value)
    at = value
    for key in path[:-1]:
        at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
    at[path[-1]] = new
    return value


def without(value: Any, path: tuple[str | int, ...]) -> Any:
    value = copy.deepcopy(value)
    del get(value, path[:-1])[path[-1]]
    return value


def misspelt(key: str) -> list[str]:
    middle = len(key) // 2
    return [key + "s_", key[:middle] + "zq" + key[middle:], key.upper(), key[::-1] + "_"]


def broken_values(base: Any) -> Iterator[Any]:
    """Plain values that are no recipe."""
    yield from (without(base, path) for path in REQUIRED)
    for path, values in OUT_OF_RANGE:
        yield from (put(base, path, value) for value in values)
    for path in paths(base):
        old = get(base, path)
        if isinstance(path[-1], str) and isinstance(get(base, path[:-1]), dict):
            for key in misspelt(path[-1]):
                yield put(base, (*path[:-1], key), old)
        if isinstance(old, dict):
            yield put(base, path, [old])
            yield put(base, path, 3)
        elif isinstance(old, list):
            yield put(base, path, {"0": old[0]})
            yield put(base, path, "x")
        else:
            yield put(base, path, {"x": old})
            yield put(base, path, [[old]])


def dumped(value: Any) -> bytes:
    return yaml.safe_dump(value, allow_unicode=True).encode()


def broken_texts(text: str) -> Iterator[bytes]:
    """Texts that are no YAML, or more than a recipe may hold; `text` is a recipe's."""
    lines = text.splitlines(keepends=True)
    keys = [i for i, line in enumerate(lines) if line[:1].isalpha()]
    for twice in ("name: other", "seed: 1", "views: {}", "views: {flip: true, 'flip': false}"):
        yield f"{text}\n{twice}\n".encode()  # each is there already, and fine by itself
    for i in keys:
        yield "".join(lines[:i] + ["\t" + lines[i]] + lines[i + 1 :]).encode()
        yield "".join(lines[:i] + ["? "] + lines[i:]).encode()
    for i in (i for i, line in enumerate(lines) if line.split("#")[0].strip()[-1:].isdigit()):
        key = lines[i].split("#")[0].rpartition(":")[0] or lines[i].split("-")[0] + "-"
        for number in NUMBERS:
            yield "".join([*lines[:i], f"{key}: {number}\n", *lines[i + 1 :]]).encode()
    for tag in TAGS:
        yield text.replace("source:", f"source: {tag}").encode()
        yield f"{tag} {{}}\n---\n".encode() + text.encode()
    yield from hostile_sizes(text)
    yield from (b"", b"\n", b"# nothing\n", b"null", b"[]", b"3", b"text", b"---\n---\n", b"...")
    yield text.encode() + b"\n---\n" + text.encode()
    yield text.encode("utf-16")
    yield from (text.encode()[: text.index("targets:") * i // 12] for i in range(12))


def hostile_sizes(text: str) -> Iterator[bytes]:
    for n in (40, 1000, 100_000):
        yield text.encode() + b"x: " + b"[" * n + b"]" * n
        yield text.encode() + b"x: " + b"{a: " * n + b"1" + b"}" * n
        yield text.encode() + b"x: " + b"- " * n
        yield b"\n".join(b" " * i + b"a:" for i in range(min(n, 1000)))
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 20)]
    yield text.encode() + "\n".join(bomb).encode()
    yield text.replace("seed: 0", "seed: &a [*a]").encode()
    yield text.encode() + b"#" * 1_000_000
    yield text.encode() + b"x: " + b"y" * 900_000
    yield text.encode() + b"".join(b"k%d: 1\n" % i for i in range(20_000))


def broken_bytes(data: bytes, dice: random.Random) -> Iterator[bytes]:
    """What no text file holds, anywhere in a recipe."""
    for foreign in (
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xc3(",
        b"\x1b[31m",
        b"\xed\xa0\x80",
        b"\x7f",
    ):
        for _ in range(6):
            at = dice.randrange(1, len(data))
            while data[at] & 0xC0 == 0x80:  # not inside a character
                at -= 1
            yield data[:at] + foreign + data[at:]
    for _ in range(20):
        yield dice.randbytes(dice.randrange(1, 3000)) + b"\xff"


TOML = """\
name = "small"
data.source = "digits"
teacher.model = "resnet20"
[student]
model = "resnet8"
train.epochs = 3
[[learn]]
step = "distil"
losses = ["kd"]
[[targets]]
runtime = "onnxruntime"
"""


def broken_toml() -> Iterator[bytes]:
    lines = TOML.splitlines(keepends=True)
    usual = [i for i, line in enumerate(lines) if line.startswith(("train.epochs", "losses"))]
    yield b"name = 1979-05-27"
    for i in range(len(lines)):
        if i not in usual:  # a recipe without them is sound
            yield "".join(lines[:i] + lines[i + 1 :]).encode()
        yield (TOML + f"x{i} = 1\n").encode()
    for number in ("nan", "inf", "1e309", "9" * 30, "1979-05-27", "07:32:00", "-1", "true", "'3'"):
        yield TOML.replace("epochs = 3", f"epochs = {number}").encode()
    for n in (40, 100_000):
        yield TOML.encode() + b"x = " + b"[" * n + b"]" * n
        yield TOML.encode() + b".".join([b"a"] * n) + b" = 1"
    yield from (b"", b"\xff", TOML.encode() + b"\0", TOML.encode("utf-16"), b"name: small\n")


@functools.cache
def corpus() -> list[Broken]:
    """Two hundred broken values, all broken texts of one recipe and a quarter of each other's, always the same ones."""
    dice = random.Random(0)
    judge = jsonschema.Draft202012Validator(recipe.schema())
    values: list[Any] = []
    texts = [("recipe.toml", data) for data in broken_toml()]
    for path in SHIPPED:
        base = recipe_text.read(path).value
        assert judge.is_valid(base)
        values += broken_values(base)
        text = path.read_text()
        broken = list(broken_texts(text))
        if path != SHIPPED[0]:
            broken = dice.sample(broken, len(broken) // 4)
        texts += [("recipe.yaml", data) for data in broken]
        texts += [("recipe.yaml", data) for data in broken_bytes(text.encode(), dice)]
    shuffled = dice.sample(values, len(values))
    chosen = list(itertools.islice((v for v in shuffled if refused(judge, v)), 200))
    looked_at = shuffled.index(chosen[-1]) + 1
    # a few changes leave a recipe sound (one teacher more or less), or are wrong beside another key alone
    assert looked_at - len(chosen) <= 12
    return [("recipe.yaml", dumped(value)) for value in chosen] + sorted(set(texts))


def refused(judge: jsonschema.Draft202012Validator, value: Any) -> bool:
    """Whether the schema refuses what it means, or it is one of the few that only the loader can refuse."""
    try:
        value = canonical.to_canonical(recipe_text.from_value(value, "fuzz"), recipe.Recipe).value
    except InputError:
        return True
    if not judge.is_valid(value):
        return True
    targets = [target for target in value["targets"] if isinstance(target, dict)]
    steps = [step for step in value.get("learn", ()) if isinstance(step, dict)]
    asked = [one for target in targets for one in target.get("precision", ())]
    if "int8" in asked and all(step["step"] != "quantize" for step in steps):
        return True
    teacher = value.get("teacher")
    if not isinstance(teacher, dict):
        return False
    weights, labels = teacher.get("weights"), teacher.get("losses", [])
    return weights is not None or any(term != {"name": "cross-entropy"} for term in labels)


def check(line: str, what: Broken) -> None:
    """One line that says where and what, for people."""
    about = (what[0], what[1][:200], line)
    assert line.endswith("\n") and line.count("\n") == 1 and len(line) <= 200 + 1, about
    assert line[:-1].isprintable() and line.startswith(f"error: {what[0]}"), about
    assert "Traceback" not in line and "pydantic" not in line and " Input " not in line, about
    assert "got " in line, about


def test_there_are_enough() -> None:
    assert len({data for _, data in corpus()}) >= 900


def test_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKD_HOME", str(tmp_path / "store"))
    monkeypatch.setattr(compress, "_compress", lambda *a: pytest.fail(f"a valid recipe: {a}"))
    slowest_s = 0.0
    for what in corpus():
        path = Path(what[0])
        path.write_bytes(what[1])
        began_s = time.process_time()
        with pytest.raises(SystemExit) as ended:
            cli.run(["compress", str(path)])
        slowest_s = max(slowest_s, time.process_time() - began_s)
        said = capsys.readouterr()
        assert (ended.value.code, said.out) == (2, ""), (what, said)
        check(said.err, what)
        path.unlink()
        assert list(tmp_path.iterdir()) == [], what
    assert slowest_s < 2


@pytest.mark.parametrize("number", range(12))
def test_in_a_process_of_its_own(number: int, tmp_path: Path) -> None:
    what = random.Random(number).choice(corpus())
    folder, home = tmp_path / "here", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    (tmp_path / what[0]).write_bytes(what[1])
    code = "import os; os.chdir('here'); from edgekd.cli import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, "compress", f"../{what[0]}", "--json"],
        cwd=tmp_path,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done
    check(done.stderr.replace("../", "", 1), what)
    told = json.loads(done.stdout)
    assert told["code"] == 2 and told["error"]
    assert list(folder.iterdir()) == [] and list(home.iterdir()) == []
