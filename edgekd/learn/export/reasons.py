"""Why torch's exporter refuses a model, in one line and in our words where we know them."""

from __future__ import annotations

import re

ON_VALUES = "what it does depends on the values of its images (an if, a loop, or a shape)"
ON_BATCH = "it works for one number of images alone (a loop over the batch, or a size written out)"
CONFLICT = "conflicts between user-specified ranges and inferred ranges"
"""Of the number of images, the only size that is left free."""


def explain_failure(error: BaseException) -> str:
    """Return the first line of the innermost cause of `error`."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error)
    operation = re.search(r"No ONNX function found for <OpOverload\(op='([\w.:]+)'", text)
    if operation:
        return f"operation {operation[1]} has no ONNX form"
    if type(error).__name__ == "GuardOnDataDependentSymNode":
        return ON_VALUES
    if ("Constraints violated" in text and "size()[0]" in text) or CONFLICT in text:
        return ON_BATCH
    line = next((part.strip() for part in text.splitlines() if part.strip()), "")
    return f"{type(error).__name__}: {line}"[:300]
