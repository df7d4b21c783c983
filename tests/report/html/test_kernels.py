from __future__ import annotations

from edgekd.report.html.kernels import count_types
from edgekd.report.html.kernels import list_kernels
from tests import bundle_example
from tests import report_example


def test_a_row_of_each_engine_and_precision_says_what_it_runs() -> None:
    island = {"node": "n", "op": "Add", "cause": "no Q"}
    kernels = {"QLinearConv u8": 9, "Add f32": 1, "Cast bf16": 2}
    int8 = {"profile": "x86", "kernels": kernels, "islands": [island]}
    rows = [
        bundle_example.row("onnxruntime-int8-1t", **int8),
        bundle_example.row("onnxruntime-int8-2t", **int8),
        bundle_example.row(kernels=None),
    ]
    (found,) = list_kernels(report_example.result(rows=rows))
    assert (found.name, found.types) == ("onnxruntime-int8-1t", "9 u8, 2 bf16, 1 f32")
    assert found.islands == (island,) and found.bar.count("<rect") == 3


def test_kernels_of_one_type_are_added_up() -> None:
    assert count_types({"Conv u8": 3, "Add u8": 1, "Gemm f32": 1}) == [("u8", 4), ("f32", 1)]
