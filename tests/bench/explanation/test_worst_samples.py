from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from edgekd.bench.explanation.worst_samples import describe_samples
from edgekd.dataset import Dataset
from edgekd.field import from_rows
from edgekd.fields import find_field
from edgekd.fields.tokens import encode_text
from edgekd.tasks import classification
from edgekd.tasks import segmentation

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), np.uint8)
ORDER = np.arange(3)


def pixels_of(part: dict[str, str]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(part["png"]))))


def test_a_classifiers_sample_is_its_picture_its_label_and_what_each_model_says() -> None:
    labels = np.array([0, 1, 1])
    data = Dataset(
        task="classification",
        inputs={"images": find_field("image").describe(PIXELS, ORDER)},
        targets={"labels": find_field("class").describe(labels, ORDER, names=("cat", "dog"))},
    )
    logits = np.array([[2.0, 0.0], [0.0, 0.0], [0.0, 3.0]], np.float32)
    decided = {
        role: classification.decide({"logits": each[[2, 0]]}, data)
        for role, each in (("teacher", logits), ("student", -logits))
    }
    rows = {"images": PIXELS, "labels": labels}
    found = describe_samples(classification.TASK, data, rows, decided, [2, 0])
    assert [one["index"] for one in found] == [2, 0]
    picture, label = found[0]["known"]
    assert np.array_equal(pixels_of(picture), PIXELS[2, :, :, 0])
    assert label == {"name": "labels", "text": "dog"}
    assert [(part["name"], part["text"]) for part in found[0]["says"]] == [
        ("teacher", "dog 95.26 %; cat 4.74 %"),
        ("student", "cat 95.26 %; dog 4.74 %"),
    ]
    assert describe_samples(classification.TASK, data, rows, decided, []) == []


def test_a_text_is_shown_as_it_was_written() -> None:
    texts = from_rows(
        [encode_text("für <b> & dich"), encode_text("x" * 999)], np.zeros(0, np.int32)
    )
    labels = np.array([0, 1])
    tokens = find_field("tokens").describe(texts, np.arange(2), vocabulary=257, encoding="bytes")
    label = find_field("class").describe(labels, np.arange(2), names=("a", "b"))
    data = Dataset(task="classification", inputs={"text": tokens}, targets={"labels": label})
    logits = np.zeros((2, 2), np.float32)
    decided = {"student": classification.decide({"logits": logits}, data)}
    rows = {"text": texts, "labels": labels}
    found = describe_samples(classification.TASK, data, rows, decided, [0, 1])
    assert found[0]["known"][0] == {"name": "text", "text": "für <b> & dich"}
    assert len(found[1]["known"][0]["text"]) == 300


def test_a_segmenters_sample_shows_the_map_and_every_models_map() -> None:
    maps = np.array([[[0, 1], [1, 255]]] * 3, np.uint8)
    data = Dataset(
        task="segmentation",
        inputs={"images": find_field("image").describe(PIXELS[:, :2, :2], ORDER)},
        targets={"maps": find_field("map").describe(maps, ORDER, names=("none", "digit"))},
    )
    logits = np.zeros((3, 2, 2, 2), np.float32)
    logits[:, 1] = 1.0
    rows = {"images": PIXELS[:, :2, :2], "maps": maps}
    decided = {"student": segmentation.decide({"logits": logits[[1]]}, data)}
    found = describe_samples(segmentation.TASK, data, rows, decided, [1])
    _, known = found[0]["known"]
    assert (pixels_of(known)[0, 0] == 0).all() and (pixels_of(known)[1, 1] == 255).all()
    (says,) = found[0]["says"]
    assert (pixels_of(says) == pixels_of(known)[0, 1]).all()
