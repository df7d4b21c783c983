from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.bench import inputs
from edgekd.bench.call import InputPlan
from edgekd.bench.outputs import write_inputs
from edgekd.runtime import EngineInput

IMAGE = EngineInput("x", "float32", (None, 3, 4, 4))
TOKENS = EngineInput("ids", "int64", (None, 6))


def test_seeded_inputs_are_distinct_and_repeatable() -> None:
    first = inputs.draw_feeds([IMAGE, TOKENS], batch=2, seed=1)
    again = inputs.draw_feeds([IMAGE, TOKENS], batch=2, seed=1)
    assert len(first) == 64
    assert first[0]["x"].shape == (2, 3, 4, 4) and first[0]["x"].dtype == np.float32
    assert first[0]["ids"].shape == (2, 6) and set(np.unique(first[0]["ids"])) <= {0, 1}
    assert len({feed["x"].tobytes() for feed in first}) == 64
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a["x"], b["x"])
    other = inputs.draw_feeds([IMAGE, TOKENS], batch=2, seed=2)
    assert not np.array_equal(other[0]["x"], first[0]["x"])


def test_large_inputs_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_BYTES", 1000)
    assert len(inputs.draw_feeds([IMAGE], batch=1, seed=0)) == 5  # of 192 bytes each


@pytest.mark.parametrize(
    ("shape", "says"),
    [((None, 3, None, 4), "want only the batch free"), ((8, 3, 4, 4), "got batch 8")],
)
def test_shapes_that_cannot_be_drawn(shape: tuple[int | None, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        inputs.draw_feeds([EngineInput("x", "float32", shape)], batch=1, seed=0)


def test_given_rows_rotate(tmp_path: Path) -> None:
    rows = np.arange(5 * 48, dtype=np.float32).reshape(5, 3, 4, 4)
    np.save(tmp_path / "x.npy", rows)
    feeds = inputs.read_feeds(tmp_path / "x.npy", [IMAGE], batch=2)
    assert len(feeds) == 5
    np.testing.assert_array_equal(feeds[2]["x"], rows[[4, 0]])
    assert len({feed["x"].tobytes() for feed in feeds}) == 5


def test_given_rows_are_for_one_input(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((5, 3, 4, 4), np.float32))
    with pytest.raises(ValueError, match="got 2 inputs"):
        inputs.read_feeds(tmp_path / "x.npy", [IMAGE, TOKENS], batch=1)


def test_a_split_is_read_as_rows_are_or_by_the_names_of_several(tmp_path: Path) -> None:
    """As a file of `write_inputs`; the one field of a model's one input may be called anything."""
    images = np.random.default_rng(0).random((3, 3, 4, 4), np.float32)
    ids = np.arange(18).reshape(3, 6)
    one = write_inputs({"pixels": images}, tmp_path / "one")
    feeds = inputs.read_feeds(one, [IMAGE], batch=1)
    assert len(feeds) == 3
    np.testing.assert_array_equal(feeds[1]["x"], images[1:2])
    both = write_inputs({"ids": ids, "x": images}, tmp_path / "both")
    plans = {"x": InputPlan((None, 3, 4, 4)), "ids": InputPlan((None, 6))}
    for feed, image, row in zip(
        inputs.read_feeds(both, [IMAGE, TOKENS], batch=1, plans=plans), images, ids, strict=True
    ):
        np.testing.assert_array_equal(feed["x"][0], image)
        np.testing.assert_array_equal(feed["ids"][0], row)


def test_a_model_that_wants_more_than_there_is() -> None:
    with pytest.raises(ValueError, match="wants 4398046511104 bytes of them at once"):
        inputs.draw_feeds([EngineInput("x", "float32", (None, 2**40))], batch=1, seed=0)


def test_large_rows_are_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_BYTES", 5 * 16)
    np.save(tmp_path / "x.npy", np.zeros((50, 4), np.float32))
    wanted = [EngineInput("x", "float32", (None, 4))]
    assert len(inputs.read_feeds(tmp_path / "x.npy", wanted, batch=1)) == 5
    assert len(inputs.read_feeds(tmp_path / "x.npy", wanted, batch=50)) == 2


def test_what_is_fed_has_a_digest_and_may_be_subnormal() -> None:
    plain = [{"x": np.ones((1, 2), np.float32)}, {"x": np.zeros((1, 2), np.float32)}]
    tiny = [plain[0], {"x": np.full((1, 2), 1e-40, np.float32)}]
    found = [inputs.describe_feeds(feeds) for feeds in (plain, plain, tiny, plain[::-1])]
    assert found[0] == found[1] and not found[0]["subnormal"] and found[2]["subnormal"]
    assert len({one["inputs_sha256"] for one in found}) == 3


def test_a_plan_says_shape_range_and_number() -> None:
    wanted = [
        EngineInput("x", "float32", (None, None)),
        EngineInput("state", "float32", (2, None, 4)),
        EngineInput("ids", "int64", (None, 6)),
        EngineInput("pixels", "uint8", (None, 300)),
        EngineInput("rate", "int64", ()),
        EngineInput("words", "object", (None,)),
        EngineInput("yes", "bool", (50,)),
        EngineInput("past", "float32", (None, 0)),
    ]
    plans = {
        "x": InputPlan((None, 5)),
        "state": InputPlan((2, None, 4)),
        "ids": InputPlan((None, 6), 3),
        "pixels": InputPlan((None, 300)),
        "rate": InputPlan((), value=16000),
        "words": InputPlan((None,)),
        "yes": InputPlan((50,)),
        "past": InputPlan((None, 0)),
    }
    feeds = inputs.draw_feeds(wanted, batch=3, seed=0, plans=plans)
    assert feeds[0]["x"].shape == (3, 5) and feeds[0]["state"].shape == (2, 3, 4)
    assert {int(v) for feed in feeds for v in feed["ids"].flat} == {0, 1, 2}
    assert feeds[0]["pixels"].dtype == np.uint8 and len(np.unique(feeds[0]["pixels"])) > 100
    assert all(feed["rate"] == 16000 and feed["rate"].shape == () for feed in feeds)
    assert all(isinstance(word, str) for word in feeds[0]["words"])
    assert set(np.unique(feeds[0]["yes"])) == {False, True}
    assert feeds[0]["past"].shape == (3, 0)
    found = inputs.describe_feeds(feeds)
    assert len(found["inputs_sha256"]) == 64 and found == inputs.describe_feeds(feeds)
    feeds[0]["words"][0] = "another"
    assert found != inputs.describe_feeds(feeds)


@pytest.mark.parametrize("number", [0.5, 300, -1])
def test_a_number_that_its_type_does_not_hold(number: float) -> None:
    with pytest.raises(ValueError, match="input 'x': got"):
        wanted = [EngineInput("x", "uint8", (1,))]
        inputs.draw_feeds(wanted, batch=1, seed=0, plans={"x": InputPlan((1,), value=number)})


def test_several_inputs_from_one_file(tmp_path: Path) -> None:
    wanted = [
        EngineInput("x", "float32", (None, 2)),
        EngineInput("state", "float32", (2, None, 3)),
        EngineInput("steps", "float32", (3,)),
        EngineInput("drawn", "float32", (None, 4)),
    ]
    plans = {
        "x": InputPlan((None, 2)),
        "state": InputPlan((2, None, 3)),
        "steps": InputPlan((3,)),
        "drawn": InputPlan((None, 4)),
    }
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    state = np.ones((2, 2, 3), np.float32)
    steps = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.savez(tmp_path / "a.npz", x=x, state=state, steps=steps)
    feeds = inputs.read_feeds(tmp_path / "a.npz", wanted, batch=2, plans=plans)
    for index, feed in enumerate(feeds):
        np.testing.assert_array_equal(feed["x"], x[[2 * index % 5, (2 * index + 1) % 5]])
        np.testing.assert_array_equal(feed["state"], state)
        np.testing.assert_array_equal(feed["steps"], steps[index % 4])
        assert feed["drawn"].shape == (2, 4)
    assert len({feed["drawn"].tobytes() for feed in feeds}) == len(feeds) > 5


def test_rows_for_a_model_that_is_fixed_at_its_batch(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(5, dtype=np.float32).reshape(5, 1))
    wanted, plans = [EngineInput("x", "float32", (2, 1))], {"x": InputPlan((2, 1))}
    feeds = inputs.read_feeds(tmp_path / "x.npy", wanted, batch=1, plans=plans)
    assert [feed["x"].ravel().tolist() for feed in feeds[:3]] == [[0, 1], [2, 3], [4, 0]]


@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (0, 2), ()])
def test_arrays_that_do_not_fit_name_their_input(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(shape, np.float32))
    wanted, plans = [EngineInput("x", "float32", (None, 2))], {"x": InputPlan((None, 2))}
    with pytest.raises(ValueError, match="input 'x': got"):
        inputs.read_feeds(tmp_path / "a.npz", wanted, batch=1, plans=plans)
