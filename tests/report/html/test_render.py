from __future__ import annotations

import jinja2
import pytest

from edgekd.report.html.render import cost_text
from edgekd.report.html.render import render_page
from edgekd.task import Scale

ERROR = Scale("RMSE", "number", "lower")
WRONG = Scale("errors", "fraction", "lower")


@pytest.mark.parametrize(
    ("scale", "drop", "want"),
    [
        (Scale("accuracy"), 1.742, "−1.74 points"),
        (Scale("accuracy"), -0.7, "+0.70 points"),
        (Scale("accuracy"), 0.0, "±0.00 points"),
        (ERROR, 0.722, "0.722 RMSE worse"),
        (ERROR, -0.05, "0.05 RMSE better"),
        (ERROR, 6e-8, "the same"),
        (WRONG, 2.0, "2.00 points worse"),
    ],
)
def test_a_cost_says_on_which_side_it_is(scale: Scale, drop: float, want: str) -> None:
    assert cost_text(scale, drop) == want


def test_what_a_template_names_and_is_not_given_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render_page("page.html.j2", scale=ERROR, title="x")
