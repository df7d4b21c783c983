"""The Python API as a page, from the docstrings of what `import edgekd` gives."""

from __future__ import annotations

import inspect

import edgekd


def python_page() -> str:
    """Each public name with its signature and docstring."""
    lines = [
        "# Python",
        "",
        "What `import edgekd` gives; nothing heavy is imported before a name is used.",
    ]
    for name in sorted(getattr(edgekd, "__all__", ())):
        thing = getattr(edgekd, name)
        if inspect.ismodule(thing) or name.startswith("__"):
            continue
        lines += ["", f"## {name}", ""]
        if callable(thing):
            lines += ["```python", f"edgekd.{name}{inspect.signature(thing)}", "```", ""]
        lines += ["```text", inspect.getdoc(thing) or "", "```"]
    return "\n".join(lines) + "\n"
