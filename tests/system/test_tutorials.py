"""Every shell block of the tutorials, run as it stands, in order, in an empty folder: `pytest -m slow` runs them.

A block with a title is a file of that name; a block of `sh` is run. What a reader brings lies there before: photos,
more lines of a file, a board.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests import bench_example
from tests.devices.sshd import Board
from tests.devices.sshd import needs_sshd

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
LIMIT_S = 1500


class Block(NamedTuple):
    """A fenced block of a page."""

    kind: str
    title: str
    text: str


def blocks(page: str) -> list[Block]:
    text = (TUTORIALS / f"{page}.md").read_text()
    found = [Block(*each) for each in BLOCK.findall(text)]
    assert len(found) * 2 == len(re.findall(r"^```", text, re.MULTILINE)), page
    return found


def bring_photos(folder: Path) -> None:
    """Three kinds of shapes on noise, of several sizes, in a folder each."""
    from PIL import Image
    from PIL import ImageDraw

    random = np.random.default_rng(0)
    for kind in ("circle", "square", "triangle"):
        (folder / "photos" / kind).mkdir(parents=True)
        for number in range(60):
            side = int(random.integers(64, 97))
            noise = random.integers(0, 120, (side, side, 3), dtype=np.uint8)
            image = Image.fromarray(noise)
            draw = ImageDraw.Draw(image)
            x, y, r = (int(v) for v in random.integers((20, 20, 12), (44, 44, 19)))
            color = tuple(int(v) for v in random.integers(140, 256, 3))
            if kind == "circle":
                draw.ellipse((x - r, y - r, x + r, y + r), fill=color)
            elif kind == "square":
                draw.rectangle((x - r, y - r, x + r, y + r), fill=color)
            else:
                draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=color)
            image.save(folder / "photos" / kind / f"{number}.jpg")


def bring_mails(folder: Path) -> None:
    """The tutorial's two lines, and more of their kind."""
    random = np.random.default_rng(0)
    words = {
        "spam": "win free money holiday prize now click",
        "ham": "meeting report lunch ten code review",
    }
    lines = []
    for number in range(300):
        label = ("spam", "ham")[number % 2]
        text = " ".join(random.choice(words[label].split(), int(random.integers(3, 9))))
        split = ("train", "train", "train", "validation", "test")[number % 5]
        lines.append(json.dumps({"text": text, "label": label, "split": split}))
    with (folder / "mails.jsonl").open("a") as file:
        file.write("\n".join(lines) + "\n")


def bring_texts(folder: Path) -> None:
    """Three documents of a few sentences over and over, longer than 128 bytes each."""
    random = np.random.default_rng(0)
    (folder / "texts").mkdir()
    for number in range(3):
        lines = random.choice(np.array(SENTENCES), 500)
        (folder / "texts" / f"{number}.txt").write_text("\n".join(lines))


def bring_tokenizer(folder: Path) -> None:
    """The words of those texts, with a mask token."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = sorted({word for line in SENTENCES for word in line.split()})
    numbers = {word: number for number, word in enumerate(["[UNK]", "[MASK]", *words])}
    made = Tokenizer(WordLevel(numbers, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()  # type: ignore[assignment]
    made.add_special_tokens(["[UNK]", "[MASK]"])
    made.save(str(folder / "tokenizer.json"))


SENTENCES = (
    "once upon a time there was a library",
    "development files for the graphics library",
    "shared files of the library for a time",
)


def bring_digits(folder: Path) -> None:
    """A picture to ask about, and inputs without labels."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits().images
    Image.fromarray((digits[0] * 15.9).astype(np.uint8)).save(folder / "photo.png")
    samples = (digits[:64, None] / 16).astype(np.float32)
    np.savez(folder / "samples.npz", images=samples)


def bring_models(folder: Path) -> None:
    """A network, a recipe and a picture."""
    from PIL import Image

    bench_example.write_onnx(folder / "student.onnx")
    (recipe,) = (block for block in blocks("ci") if block.title == "recipe.yaml")
    (folder / "recipe.yaml").write_text(recipe.text)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "photo.jpg")


BRINGS: dict[str, Callable[[Path], None]] = {
    "mails.jsonl": bring_mails,
    "corpus.yaml": bring_texts,
    "words.yaml": bring_tokenizer,
    "photos": bring_photos,
    "quantize": bring_digits,
    "board": bring_models,
}
"""What a reader has, by the page or the file of it."""


def run_page(page: str, folder: Path, words: Mapping[str, str] | None = None) -> None:
    """Run a page's blocks in `folder`, with `words` in place of the page's own."""
    if page in BRINGS:
        BRINGS[page](folder)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {
        **os.environ,
        "PATH": path,
        "EDGEKD_HOME": str(folder / "home"),
        "EDGEKD_CONFIG": str(folder / "config"),
        "OMP_NUM_THREADS": "1",
    }
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text)
            if block.title in BRINGS:
                BRINGS[block.title](folder)
        elif block.kind == "sh":
            text = block.text
            for word, other in (words or {}).items():
                text = text.replace(word, other)
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=LIMIT_S,
                check=False,
            )
            assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("page", ["photos", "texts", "quantize", "ci"])
def test_a_tutorial_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    assert any(block.kind == "sh" for block in blocks(page))
    run_page(page, tmp_path)


@needs_sshd
@pytest.mark.slow
def test_the_page_of_the_board_runs_with_one_on_loopback(tmp_path: Path) -> None:
    """The board fetches its packages from an index, and is then given wheels of its own processor."""
    with Board(tmp_path / "board") as board:
        address = f"{getpass.getuser()}@127.0.0.1:{board.port}"
        words = {
            "me@pi.local": f"{address} --identity {tmp_path / 'board' / 'identity'} --yes",
            "manylinux_2_28_aarch64": "manylinux_2_28_x86_64",
            "runs/NAME": "runs/reader",
        }
        run_page("board", tmp_path, words)
