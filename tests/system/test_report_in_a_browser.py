"""The HTML report in a real browser: nothing goes wrong, nothing is loaded, and the keyboard reaches everything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekd.report.html import page
from edgekd.report.html.pair import pair_page
from tests.page_example import record

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
MOST_BYTES = 500_000
HOSTILE = (
    "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class OpenPage:
    """A page in the browser, what it complained of and what it asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "report.html").write_text(page.run_page(record("digits")), encoding="utf-8")
    return tmp_path / "report.html"


@pytest.mark.parametrize(
    "options",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"viewport": {"width": 480, "height": 800}},
    ],
)
def test_no_complaint_no_request_and_nothing_wider_than_the_window(
    browser: Any, report: Path, options: dict[str, Any]
) -> None:
    opened = OpenPage(browser, report, **options)
    assert opened.complaints == []
    asked = [url for url in opened.requests if not url.startswith("data:")]
    assert asked == [report.as_uri()]
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert report.stat().st_size < MOST_BYTES


def test_dark_and_light_are_both_read_easily(browser: Any, report: Path) -> None:
    found = {}
    for scheme in ("light", "dark"):
        opened = OpenPage(browser, report, color_scheme=scheme)
        style = "getComputedStyle(document.body)"
        found[scheme] = opened.page.evaluate(f"[{style}.backgroundColor, {style}.color]")
    assert found["light"] != found["dark"]


def test_the_keyboard_reaches_a_point_and_the_page_says_what_it_is(
    browser: Any, report: Path
) -> None:
    opened = OpenPage(browser, report)
    for _ in range(12):
        opened.page.keyboard.press("Tab")
        focused = opened.page.evaluate("document.activeElement.getAttribute('data-details')")
        if focused:
            break
    assert focused and "ms" in focused
    assert opened.page.inner_text(".details") == focused
    assert opened.page.locator("tr.lit").count() == 1
    opened.page.keyboard.press("Enter")
    assert "#row-" in opened.page.url


def test_without_scripts_everything_is_there(browser: Any, report: Path) -> None:
    opened = OpenPage(browser, report, java_script_enabled=False)
    assert opened.page.locator("main section").count() >= 9
    assert opened.page.locator("figure > svg").count() >= 6


def test_a_hostile_name_runs_nothing(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(page.run_page(record(HOSTILE)), encoding="utf-8")
    opened = OpenPage(browser, path)
    assert opened.complaints == [] and opened.page.title() != "taken"
    assert opened.page.locator("main img[src='x']").count() == 0


def test_it_prints(browser: Any, report: Path) -> None:
    opened = OpenPage(browser, report)
    assert opened.page.pdf(format="A4").startswith(b"%PDF")


def test_two_runs_side_by_side_are_a_page_as_well(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "pair.html"
    names = ("runs/a", HOSTILE)
    path.write_text(pair_page(record("a").result, record(HOSTILE).result, names), encoding="utf-8")
    for width in (480, 1200):
        opened = OpenPage(browser, path, viewport={"width": width, "height": 800})
        assert opened.complaints == [] and len(opened.requests) <= 2
        assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert opened.page.title() != "taken"
