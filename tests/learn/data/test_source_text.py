from __future__ import annotations

import pytest

from edgekd.errors import InputError
from edgekd.learn.data.source_text import spell_out_hints
from edgekd.learn.source import SKIP_HINT


@pytest.mark.parametrize(
    ("hint", "want"),
    [
        (
            SKIP_HINT,
            "data.source: {name: image-folder, reference: photos, size: 48, on_broken: skip} "
            "leaves out and lists what is broken",
        ),
        ("set data.source.size", "set data.source.size"),
    ],
)
def test_what_is_broken_is_answered_with_the_line_that_leaves_it_out(hint: str, want: str) -> None:
    with (
        pytest.raises(InputError) as caught,
        spell_out_hints("image-folder", {"reference": "photos", "size": 48, "channels": 3}),
    ):
        raise InputError("photos/a.png: got no image", hint=hint)
    assert caught.value.hint == want
