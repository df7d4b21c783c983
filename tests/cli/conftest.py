"""No test here looks at how long a model took."""

from __future__ import annotations

from tests import brief_example

brief_measurements = brief_example.brief_measurements
