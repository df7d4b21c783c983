"""What a teacher with another tokenizer is given, and what becomes of its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from edgekd import splits
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn.assembly.own_texts import open_own_texts
from edgekd.learn.mathematics.paired_logits import PairedLogits
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.view_settings import Views
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import data
from tests.tokenizer_example import byte_pairs

TEXT = "Ada met Bob in Rome. Bob met the cat. Zoe left Oslo. " * 12


def run(
    folder: Path, name: str, given: dict[str, Path] | None = None, **words: Any
) -> dict[str, Path]:
    (folder / "texts.txt").write_text(TEXT)
    (folder / "pairs.json").write_bytes(byte_pairs())
    source = {"name": "text-corpus", "reference": "texts.txt", "longest": 16}
    source |= {"tokenizer": words.pop("tokenizer")} if "tokenizer" in words else {}
    said = {"source": source, "task": "language-modelling", **words}
    config = data.DataConfig.model_validate(said)
    made = folder / name
    made.mkdir()
    context = Context(
        folder=made, checkpoints=folder / "kept", seed=0, progress=Silent(), data_dir=folder
    )
    found = data.run(config, given or {}, context)
    return {{"data.json": "data"}.get(key, key): path for key, path in found.items()}


def open_both(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    own = run(folder, "student")
    given = {f"student/{name}": path for name, path in own.items()}
    theirs = run(folder, "teacher", given, tokenizer="pairs.json", blocks_by="")
    return own, theirs


def test_it_reads_the_same_texts_in_its_own_tokens(tmp_path: Path) -> None:
    own, theirs = open_both(tmp_path)
    mine, other = (splits.read(each["train"]) for each in (own, theirs))
    given = {f"teacher/{name}": path for name, path in theirs.items()}
    (found,) = open_own_texts(given, Views(count=1), 0).values()
    numbers = np.array([5, 0, 11])
    rows = [cast(RaggedRows, mine["text"]).row(number) for number in numbers.tolist()]
    inputs = torch.from_numpy(np.stack(rows).astype(np.int64))
    batch = TensorBatch(numbers, 0, (inputs, torch.ones_like(inputs)), {})
    seen: list[Tensor] = []

    def teacher(asked: TensorBatch) -> Tensor:
        seen.extend(asked.inputs)
        tokens = asked.inputs[0]  # it answers with what it read: token and place
        places = torch.arange(tokens.shape[1]).expand_as(tokens)
        return torch.stack([tokens, places], -1).float()

    answer = cast(PairedLogits, found.wrap(teacher)(batch))
    tokens, mask = seen
    for row, each, counts in zip(numbers.tolist(), tokens, mask, strict=True):
        want = cast(RaggedRows, other["text"]).row(row)
        assert each[counts.bool()].tolist() == want.tolist()
    places = cast(RaggedRows, splits.read(theirs["places"])["places"])
    want_places = np.stack([places.row(number) for number in numbers.tolist()])
    assert answer.there.tolist() == (want_places >= 0).tolist()
    assert answer.logits[:, 1].tolist() == want_places[want_places >= 0].tolist()
    assert answer.there.any()


def test_bytes_of_its_targets_are_those_of_their_text(tmp_path: Path) -> None:
    """Of pairs of bytes tokens spell their text, so bits per byte divide by what the teacher has to say and no more."""
    from tokenizers import Tokenizer

    _, theirs = open_both(tmp_path)
    library = Tokenizer.from_str(byte_pairs().decode())
    for split in ("train", "validation", "test"):
        rows = splits.read(theirs[split])
        for following, size in zip(
            cast(RaggedRows, rows["next_tokens"]), np.asarray(rows["text_bytes"]), strict=True
        ):
            assert len(library.decode(following.tolist()).encode()) == size[0]


def test_other_samples_than_the_student_s_are_refused(tmp_path: Path) -> None:
    own = run(tmp_path, "student")
    given = {"student/train": own["validation"]}
    with pytest.raises(InputError, match="samples by the teacher's tokenizer and"):
        run(tmp_path, "teacher", given, tokenizer="pairs.json", blocks_by="")


def test_places_of_other_samples_are_refused(tmp_path: Path) -> None:
    _, theirs = open_both(tmp_path)
    given = {f"teacher/{name}": path for name, path in theirs.items()}
    given["teacher/places"] = theirs["validation"]
    with pytest.raises(InputError, match="got no places of"):
        open_own_texts(given, Views(count=1), 0)
    assert open_own_texts({"data": theirs["data"]}, Views(count=1), 0) == {}
