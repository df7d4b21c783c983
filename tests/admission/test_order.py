from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from edgekd.admission.order import has_cycle


def test_cycles() -> None:
    a, b, c = b"a", b"b", b"c"
    assert not has_cycle([], [])
    assert not has_cycle([{b"x"}, {a}, {a, b}], [{a}, {b}, {c}])
    assert not has_cycle([{b}, {a}, {b"x"}], [{c}, {b}, {a}])  # out of order, but it can be run
    assert has_cycle([{b}, {a}], [{a}, {b}])
    assert has_cycle([{a}], [{a}])
    assert has_cycle([{b"x"}, {a, c}, {b}], [{a}, {b}, {c}])
    # a name that two give is there once
    assert has_cycle([set(), set(), {a, b}, {c}], [{a}, {a}, {c}, {b}])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12))
def test_cycles_are_walks_without_an_end(edges: list[tuple[int, int]]) -> None:
    waits = [{bytes([a]) for a, b in edges if b == node} for node in range(8)]
    found = has_cycle(waits, [{bytes([node])} for node in range(8)])
    # a walk that can be eight steps long has been somewhere twice
    reach = np.zeros((8, 8), bool)
    for a, b in edges:
        reach[a, b] = True
    assert found == bool(np.linalg.matrix_power(reach.astype(int), 8).any())
