"""Renders chat templates of strangers, in a process of its own: ``python -m edgekd.learn.data.template_worker``.

It reads an order of `edgekd.learn.data.chat_template` as JSON and writes the result as JSON. What a template may do is bounded by
the operating system before it is compiled: processor time, memory, no file, no process; and by jinja2's sandbox.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from typing import Any

import jinja2
import jinja2.debug
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.ext import loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

try:
    import resource
except ImportError:  # Windows: the caller's limit of time alone holds
    resource = None  # type: ignore[assignment]

BEGIN, END = "\ufdd0", "\ufdd1"
"""Around what a template marks as an answer: noncharacters, which no text has."""
_MARKS = re.compile(f"[{BEGIN}{END}]")
_HALF = re.compile("[\ud800-\udfff]")
"""Surrogates, which UTF-8 does not have."""

WARM_UP = (
    r"{% macro a(b) %}{{ b | string | trim }}{% endmacro %}{% set c = namespace(d='\n') %}"
    r"{% for e in messages %}{% generation %}{{ a(e.content) + c.d }}{% endgeneration %}{% endfor %}"
    r"{{ messages | tojson(indent=1) | upper | replace('A', 'b') }}{{ raise_exception('warm') }}"
)
"""Rendered before any file is out of reach: what Python imports when it is first needed is there then."""


class Generation(Extension):
    """``{% generation %}...{% endgeneration %}`` says what an assistant writes, as transformers reads it."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        """The block as a call that puts marks around its text."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{BEGIN}{caller()}{END}"


def make_environment() -> ImmutableSandboxedEnvironment:
    """What a template is compiled in, as transformers does it; today's date and chance are not to be had: they would change
    the data."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _refuse
    del made.filters["random"], made.globals["lipsum"]
    return made


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def find_spans(marked: str) -> tuple[str, list[tuple[int, int]]]:
    """A text without its marks, and where what stood between them begins and ends; of marks within others the outer ones."""
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    at, length, start, depth = 0, 0, 0, 0
    for mark in _MARKS.finditer(marked):
        parts.append(marked[at : mark.start()])
        length += mark.start() - at
        at = mark.end()
        if mark[0] == BEGIN:
            start = start if depth else length
            depth += 1
        elif depth:
            depth -= 1
            spans += [] if depth else [(start, length)]
    return "".join([*parts, marked[at:]]), spans


def render(template: jinja2.Template, values: dict[str, Any], most: int) -> dict[str, Any]:
    """``text`` and ``spans`` of one conversation, or an ``error`` in a sentence.

    Args:
        template: compiled.
        values: its variables.
        most: characters that the text may have.
    """
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate(**values):
            length += len(piece)
            if length > most:
                return {"error": f"got more than {most} characters, want less"}
            pieces.append(piece)
    except Exception as error:
        return {"error": describe_error(error)}
    text, spans = find_spans("".join(pieces))
    if _HALF.search(text):
        return {"error": "got half a character, want text in UTF-8"}
    return {"text": text, "spans": spans}


def describe_error(error: Exception) -> str:
    """The first line of what went wrong."""
    if isinstance(error, MemoryError):
        return "it takes too much memory"
    if isinstance(error, RecursionError):
        return "it nests too deeply"
    line = (str(error).strip().splitlines() or [""])[0][:200]
    return (
        line
        if isinstance(error, jinja2.TemplateError) and line
        else f"{type(error).__name__}: {line}"
    )


def _bound(memory_bytes: int) -> None:
    """From here on: no more memory, no file, no process; a core is none to keep."""
    if resource is None:
        return
    for name, most in (
        ("RLIMIT_AS", memory_bytes),
        ("RLIMIT_NOFILE", 0),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_CORE", 0),
    ):
        if hasattr(resource, name):
            resource.setrlimit(getattr(resource, name), (most, most))


def _allow(seconds: float) -> None:
    """Processor time from now on; whoever takes longer is ended by the system, whatever he does."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def main() -> None:
    """Carry out an order: its conversations from the first on, until they make more text than it allows; at least one."""
    order = json.load(sys.stdin)
    render(make_environment().from_string(WARM_UP), {"messages": [{"content": " é"}]}, 100)
    _bound(order["memory_bytes"])
    _allow(order["seconds"])
    answer: dict[str, Any]
    try:
        template = make_environment().from_string(order["template"])
    except Exception as error:
        answer = {"error": describe_error(error)}
    else:
        found = []
        length = 0
        for values in order["conversations"]:
            _allow(order["seconds"])
            found.append(render(template, {**order["variables"], **values}, order["most"]))
            length += len(found[-1].get("text", ""))
            if length > order["most_total"]:
                break
        _allow(0)
        answer = {"rendered": found}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
