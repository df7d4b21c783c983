"""The innermost cause in one line, and in plain words where it is known."""

from __future__ import annotations

from edgekd.learn.export import reasons


class GuardOnDataDependentSymNode(Exception):
    pass


def test_known_causes_in_plain_words() -> None:
    inner = GuardOnDataDependentSymNode("Could not guard on Eq(u0, 1)")
    outer = RuntimeError("step 2 of 3")
    outer.__cause__ = inner
    assert reasons.explain_failure(outer) == reasons.ON_VALUES
    fixed = ValueError("Constraints violated (L['x'].size()[0])! For more information")
    assert reasons.explain_failure(fixed) == reasons.ON_BATCH
    missing = RuntimeError("No ONNX function found for <OpOverload(op='aten.foo', overload='x')>")
    assert reasons.explain_failure(missing) == "operation aten.foo has no ONNX form"


def test_others_are_quoted_in_one_short_line() -> None:
    told = reasons.explain_failure(ValueError("\n  first \nsecond" + "x" * 999))
    assert (
        told == "ValueError: first" and len(reasons.explain_failure(ValueError("y" * 999))) == 300
    )
