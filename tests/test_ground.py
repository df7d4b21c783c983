"""The small rooms of the ground floor: errors, units, an image's preprocessing."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd import errors
from edgekd import strict_json
from edgekd import units
from edgekd.fields.image import Image


def test_exit_codes_stand_on_the_classes() -> None:
    codes = {
        errors.EdgekdError: 4,
        errors.BudgetMissed: 1,
        errors.InputError: 2,
        errors.MachineError: 3,
        errors.Inconclusive: 5,
        errors.RunInterrupted: 130,
    }
    for kind, code in codes.items():
        assert kind("x").exit_code == code
    assert errors.RunInterrupted("x", signal_number=15).exit_code == 143


def test_json_is_utf_8_alone() -> None:
    assert strict_json.loads(b"\xef\xbb\xbf[1]") == [1]
    with pytest.raises(ValueError, match="utf-8"):
        strict_json.loads("[1]".encode("utf-16"))


def test_an_error_is_one_printable_line() -> None:
    error = errors.InputError("a\nb\x1b[31m", hint="try c")
    assert error.line() == "a b\\x1b[31m (try c)"


def test_nearest_names_one_or_lists_them() -> None:
    assert errors.find_nearest("epoch", ["epochs", "seed"]) == "did you mean 'epochs'?"
    sizes = [f"resnet{n}" for n in (8, 14, 20, 32, 44, 56, 110)]
    assert errors.find_nearest("resnet21", sizes) == "did you mean 'resnet20'?"
    assert errors.find_nearest("resnet31", sizes) == "did you mean 'resnet32'?"
    assert errors.find_nearest("resnt20", sizes) == "did you mean 'resnet20'?"
    assert errors.find_nearest("resnet81", ["resnet18", "resnet101"]) == "did you mean 'resnet18'?"
    assert errors.find_nearest("x", []) == "one of: "
    assert errors.find_nearest("zzz", ["b", "a"]) == "one of: a, b"


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (units.bytes_text(999), "999 B"),
        (units.bytes_text(82_917), "82.9 kB"),
        (units.bytes_text(3e13), "30 TB"),
        (units.count_text(78_042), "78 k"),
        (units.count_text(2.53e6), "2.53 M"),
        (units.duration_text(4.21), "4.2 s"),
        (units.duration_text(200), "3 min 20 s"),
        (units.duration_text(3720), "1 h 02 min"),
        (units.percent_text(0.93421), "93.42 %"),
        (units.number_text(1, "sample"), "1 sample"),
        (units.number_text(0, "sample"), "0 samples"),
        (units.number_text(2, "file of results", "files of results"), "2 files of results"),
        (units.times_text(3.14, "faster", "slower"), "3.1x faster"),
        (units.times_text(0.04, "smaller", "larger"), "25.0x larger"),
        (units.times_text(0.8, "faster", "slower", 2), "1.25x slower"),
    ],
)
def test_numbers_as_people_read_them(got: str, want: str) -> None:
    assert got == want


def test_preprocessing_by_hand_and_channel_by_channel() -> None:
    told = Image(height=1, width=2, channels=2, mean=(0.5, 0.25), std=(0.5, 0.1))
    images = np.array([[[[0, 255], [255, 51]]]], np.uint8)
    want = [[[[-1, 1]], [[7.5, -0.5]]]]
    np.testing.assert_allclose(told.apply(images), want, rtol=1e-5, atol=1e-6)
    assert told.apply(images).dtype == np.float32
    with pytest.raises(ValueError, match="uint8"):
        told.apply(images.astype(np.float32))
    with pytest.raises(ValueError, match="want uint8"):
        told.apply(images[..., :1])
