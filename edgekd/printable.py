"""Names and messages from anybody, without what a terminal, a page or a log would act on."""

from __future__ import annotations


def escape_unprintable(text: str, *, keep: str = "") -> str:
    r"""`text` with every character that is not plainly visible written as its Python escape.

    Control characters (``\x1b`` begins a terminal's orders), marks of direction (``\u202e`` turns
    what follows around), zero-width and private ones, lone surrogates and line ends are escaped;
    letters of any script and the space stay.

    Args:
        text: from anybody.
        keep: characters that may stand all the same, such as a line's end.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)
