"""A run that is foreseen writes, downloads and runs nothing, and says what it would."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import pipeline
from edgekd import recipe as recipes
from edgekd.errors import MachineError
from edgekd.learn import download
from edgekd.learn import hub
from edgekd.learn import origin
from edgekd.run import Options

QUICKSTART = Path(__file__).parents[1] / "pipelines" / "quickstart.yaml"


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(download, "fetch", never)
    for name in ("cifar", "fashion_mnist"):
        folder = "formats" if name == "cifar" else "data"
        monkeypatch.setattr(f"edgekd.learn.{folder}.{name}.fetch", never)
    monkeypatch.setattr(hub, "commit", never)
    monkeypatch.setattr("edgekd.learn.data.fashion_mnist.SYSTEM", tmp_path / "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    return Options(run_dir=tmp_path / "run", store=tmp_path / "store", allow_download=True)


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ("fashion-mnist", "train-images-idx3-ubyte.gz"),
        ("cifar10", "cifar-10-binary.tar.gz"),
        ("cifar100", "cifar-100-binary.tar.gz"),
        ("huggingface:someone/pictures", "hub:someone/pictures"),
    ],
)
def test_what_is_not_here_is_told_not_fetched(
    source: str, want: str, options: Options, tmp_path: Path
) -> None:
    recipe = recipes.load(QUICKSTART, [f"data.source={source}"])
    assert want in str(pipeline.to_fetch(recipe, options))
    steps = pipeline.foreseen(recipe, QUICKSTART, options)
    assert {(step.key, step.hit) for step in steps} == {(None, False)}
    assert list(tmp_path.iterdir()) == []


def test_without_leave_nothing_would_be_fetched(options: Options) -> None:
    recipe = recipes.load(QUICKSTART, ["data.source=cifar10"])
    without = Options(run_dir=options.run_dir, store=options.store)
    assert pipeline.to_fetch(recipe, without) == ()
    with pytest.raises(MachineError, match="cifar10: got none of its files"):
        pipeline.foreseen(recipe, QUICKSTART, without)


def test_digests_of_a_large_set_are_not_remembered(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "MANY_FILES", 0)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"x")
    recipe = recipes.load(QUICKSTART, [f"data.source=huggingface:{folder}"])
    assert pipeline.to_fetch(recipe, options) == ()
    steps = pipeline.foreseen(recipe, QUICKSTART, options)
    assert steps[0].key is not None
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
