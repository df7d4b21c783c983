from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from edgekd.bench.budget import Budget
from edgekd.stages import choose
from tests.stages.test_choose import row

SHARES = {16: 0.5, 64: 0.3, 256: 0.2}


def engine(
    name: str, times_ms: Mapping[int, float], width: float = 0.01, **more: Any
) -> list[dict[str, Any]]:
    """Rows of one engine: usual at 64 tokens, and at 16 and 256; intervals of so much on each side."""
    rows = []
    for size, p50 in times_ms.items():
        ends = [p50 * (1 - width), p50 * (1 + width)]
        about = {
            "latency_ci95_ms": ends,
            "sizes": {"text_length": size},
            "share": SHARES[size],
            **more,
        }
        if size == 64:
            rows.insert(0, row(name, p50, **about))
        else:
            rows.append(row(f"{name} text_length={size}", p50, usual_row=name, **about))
    return rows


INT8 = engine(
    "q", {16: 1.0, 64: 3.0, 256: 15.0}, precision="int8", profile="x86", size_bytes=25_000
)
BF16 = engine("b", {16: 2.0, 64: 3.5, 256: 10.0}, precision="bf16")
FLOAT = engine("f", {16: 3.0, 64: 6.0, 256: 25.0})


def by_size(rows: list[dict[str, Any]], **limits: Any) -> dict[str, Any]:
    found: dict[str, Any] = choose.choose_row(rows, Budget(**limits), 0.95)
    return found


def picks(found: Mapping[str, Any]) -> list[tuple[int | None, str]]:
    return [(each["most"], each["row"]) for each in found["by_size"]["buckets"]]


def test_each_size_gets_the_engine_that_is_surely_faster_there() -> None:
    """By hand: 0.5 * 1 + 0.3 * 3 + 0.2 * 15 = 4.4 ms with int8 for all, 3.4 ms with bf16 for the longest."""
    found = by_size([*INT8, *BF16, *FLOAT])
    assert found["chosen"] == "q" and picks(found) == [(16, "q"), (64, "q"), (None, "b")]
    told = found["by_size"]
    assert told["axis"] == "text_length" and told["one_for_all"] == "q"
    assert told["gain"] == pytest.approx(4.4 / 3.4)
    assert (told["size_bytes"], told["one_for_all_size_bytes"]) == (125_000, 25_000)
    assert found["why"].endswith(
        "; by text_length others answer: b up to 256 (10 ms beside 15); over the validation samples 1.29x faster than "
        "it alone, for 100 kB more"
    )
    for each in told["buckets"]:
        assert each["latency_p50_ms"] <= each["one_for_all_ms"]


@pytest.mark.parametrize(
    ("longest_ms", "width", "says"),
    [
        (14.7, 0.001, "no other is surely faster at any of them"),  # 2 % at one size
        (13.0, 0.08, "no other is surely faster at any of them"),  # the intervals meet
        (14.4, 0.001, "a choice by size gains 2.80 %, less than 3 %"),  # 0.2 * 0.6 of 4.4 ms
    ],
)
def test_one_file_serves_all_where_another_gains_too_little(
    longest_ms: float, width: float, says: str
) -> None:
    other = engine("b", {16: 2.0, 64: 3.5, 256: longest_ms}, width, precision="bf16")
    one = engine("q", {16: 1.0, 64: 3.0, 256: 15.0}, width, precision="int8")
    found = by_size([*one, *other])
    assert {name for _, name in picks(found)} == {"q"} and found["by_size"]["gain"] == 1
    assert f"it serves all sizes of text_length: {says}" in found["why"]


def test_other_threads_of_the_same_file_cost_no_bytes() -> None:
    other = engine(
        "q2", {16: 2.0, 64: 3.5, 256: 14.4}, 0.001, precision="int8", profile="x86", threads=2
    )
    one = engine("q", {16: 1.0, 64: 3.0, 256: 15.0}, 0.001, precision="int8", profile="x86")
    found = by_size([*one, *other])
    assert picks(found)[-1] == (None, "q2")
    assert found["by_size"]["size_bytes"] == found["by_size"]["one_for_all_size_bytes"]


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"size_bytes": 125_000}, True),
        ({"size_bytes": 124_999}, False),
        ({"peak_rss_bytes": 119_999_999}, False),  # both at once are 120 MB
        ({"shrink": 0.81}, False),  # 100 kB over 125 kB are 0.8 times
        ({"shrink": 0.8}, True),
        ({"score_drop": 0.5}, False),  # bf16 loses a point
        ({"latency_p50_ms": 16.0}, True),
    ],
)
def test_all_engines_together_keep_the_budget(limits: dict[str, float], kept: bool) -> None:
    worse = [{**each, "validation_score": 0.94} for each in BF16]
    found = by_size([*INT8, *(worse if "score_drop" in limits else BF16), *FLOAT], **limits)
    assert found["chosen"] == "q"
    assert (picks(found)[-1][1] == "b") == kept


def test_a_limit_of_time_holds_for_an_engine_at_its_own_sizes_alone() -> None:
    """bf16 misses the limit at 16 tokens, where it does not answer."""
    fast = engine("q", {16: 1.0, 64: 3.0, 256: 4.9}, precision="int8")
    slow = engine("b", {16: 5.5, 64: 3.5, 256: 4.0}, precision="bf16", runtime="openvino")
    found = by_size([*fast, *slow], latency_p50_ms=5.0)
    assert picks(found)[-1] == (None, "b")


def test_sizes_that_no_sample_has_are_left_out() -> None:
    rows = [
        {**each, "share": SHARES[64] if each["sizes"]["text_length"] == 64 else 0.0}
        for each in INT8
    ]
    assert "by_size" not in by_size(rows)
    rows = [
        {**each, "share": 0.0} if each["sizes"]["text_length"] == 256 else each
        for each in [*INT8, *BF16]
    ]
    assert [most for most, _ in picks(by_size(rows))] == [16, None]


def test_of_two_further_engines_the_one_that_does_not_pay_is_left_out() -> None:
    little = engine("l", {16: 0.96, 64: 9.0, 256: 99.0}, 0.001, precision="fp16")
    found = by_size([*INT8, *BF16, *little])  # 0.5 * 0.04 of 3.4 ms are 0.6 %
    assert picks(found) == [(16, "q"), (64, "q"), (None, "b")]
