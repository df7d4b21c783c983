from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgekd.report.html import page
from edgekd.report.html.record import RunRecord
from tests import report_example
from tests.page_example import record

ROOT = Path(__file__).parents[3]
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">\u202e'


class Elements(HTMLParser):
    """Counts tags and gathers attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_the_page_says_it_first_and_warns_before_the_rest() -> None:
    made = report_example.result(
        choice={**report_example.files()["choice"], "chosen": "onnxruntime-fp32-1t"},
        machine={
            "canary_ms": [],
            "canary_variation": None,
            "drifts": False,
            "reasons": [],
            "warnings": ["noisy"],
        },
    )
    text = page.run_page(RunRecord(made))
    places = [
        text.index(part)
        for part in ("<h1>3.7x smaller, 3.1x faster (", 'id="warnings"', 'id="frontier"')
    ]
    assert places == sorted(places) and "was not quiet: noisy" in text
    assert text.count("<h1>") == 1 and "340 kB" in text


def test_a_name_from_anybody_is_no_markup() -> None:
    plain, hostile = record("name"), record(HOSTILE)
    expected, found = Elements(page.run_page(plain)), Elements(page.run_page(hostile))
    assert found.tags == expected.tags and found.tags.count("script") == 1
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert "\u202e" not in page.run_page(hostile) and "alert(1)" in page.run_page(hostile)


def test_nothing_is_loaded_and_no_style_stands_in_an_attribute() -> None:
    found = Elements(page.run_page(record("x")))
    links = {value for name, value in found.attributes if name in ("src", "href", "xlink:href")}
    assert links and all(value.startswith(("#", "data:")) for value in links if value)
    assert "style" not in {name for name, _ in found.attributes}
    policy = next(value for name, value in found.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_ids_are_unique_and_every_link_inside_has_its_goal() -> None:
    found = Elements(page.run_page(record("x")))
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    inside = [
        v[1:]
        for name, v in found.attributes
        if name in ("href", "aria-labelledby") and v and v[0] == "#"
    ]
    assert inside and set(inside) <= set(ids)


@pytest.mark.parametrize("gone", ["teacher", "control"])
def test_a_run_without_a_teacher_or_a_control_has_a_page(gone: str) -> None:
    made = record("x")
    without = made.result.model_copy(update={gone: None, "comparison": None})
    scores = {label: score for label, score in made.scores.items() if label != gone}
    assert "<h1>onnxruntime-fp32-2t" in page.run_page(made._replace(result=without, scores=scores))


def test_the_same_record_gives_the_same_bytes_in_any_process() -> None:
    script = (
        "import sys; from edgekd.report.html import page; from tests.page_example import record\n"
        "sys.stdout.buffer.write(page.run_page(record('x')).encode())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, cwd=ROOT)
    assert done.stdout.decode() == page.run_page(record("x"))


def test_a_long_run_stays_a_small_page() -> None:
    island = {"node": "layer1.0.conv1/Conv" * 3, "op": "Conv", "cause": "no Q behind its Relu"}
    rows = [{**row, "profile": "x86", "islands": [island] * 2000} for row in report_example.rows()]
    made = record("digits")
    history = report_example.history(5000, 1.0, "kd", "fitnet", "cross-entropy")
    large = made._replace(
        result=report_example.result(rows=rows),
        histories={f"distil-{number}": history for number in range(4)},
    )
    text = page.run_page(large)
    assert len(text.encode()) < 500_000 and "1900 more are in result.json" in text
