"""Members of a folder, named in its table without being imported.

A folder's ``__init__`` holds a `Table`, name to `Member`: edgekd's own, those of installed plugins
(`edgekd.plugins`), and of losses a user's own. What a recipe may say about a member is read from its
function's signature in the source text, so that a recipe is checked to the last knob without importing
torch, and without running anything of the user's:

- positional parameters are what the caller supplies (signals, files, shapes);
- keyword-only parameters are its knobs (`edgekd.signatures`). Those listed in the member's `supplied` are the
  caller's too.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import NamedTuple

from pydantic import create_model

from edgekd import modules
from edgekd import plugins
from edgekd import signatures
from edgekd.errors import InputError
from edgekd.plugins import Plugin
from edgekd.settings import Settings
from edgekd.signatures import Signature

OWN = "python:"
"""Before ``package.module:function`` it makes the name of a user's own member."""
Scalar = bool | int | float | str


class Member(NamedTuple):
    """One entry of a table: where its function lives, and one line about it."""

    module: str
    function: str
    summary: str
    supplied: tuple[str, ...] = ()
    """Keyword-only parameters that the caller fills in, not the recipe."""
    preset: Mapping[str, Scalar] = {}
    """Arguments this name stands for (``resnet20`` is ``resnet`` with depth 20)."""
    paper: str = ""
    """Where a method comes from: authors and year."""
    weight: float = 1.0
    """What a loss is multiplied by where the recipe does not say."""
    classes: int = 0
    """How many classes `weight` was found for, of a loss whose gradient grows where there are fewer; else 0."""
    ramp: float = 0.0
    """Over which share of the epochs the authors raise `weight` from 0."""
    depth: float | None = None
    """Where a loss that reads layers looks unless the recipe says; None is at the end of every stage."""
    layers: str = ""
    """The parts of transformers that it reads instead, where both networks show them."""
    companion: Member | None = None
    """What a loss trains beside the student; its knobs are the loss's, too."""
    one_class_if: Mapping[str, Scalar] | None = None
    """Knobs with which a scheme wants one class a sample, none for any; None if it never does."""
    logits: Literal["any", "classes", "single"] = "any"
    """Which logits a loss takes: of classes of which one is right, of classes each by itself, or either."""
    per: Literal["place", "sample", "next-token"] = "place"
    """Whether a method takes every place of an output as a row, or wants one row a sample, or the next token's logits."""
    inputs: tuple[str, ...] = ()
    """Kinds of the fields that a method takes, empty for any; or that a data source gives whose targets vary."""
    sees_batch_once: bool = False
    """Whether student and teacher see a scheme's batch once, so that losses can look inside them."""
    has_batch_norm: bool | None = True
    """Whether a model's samples see one another in a batch norm; None if only the built model tells."""
    is_foreign: bool = False
    """Whether a model is made by others, and may do in training what it does not do afterwards."""
    reuses_classifier: bool = False
    """Whether a loss's student answers through its teacher's classifier."""
    over_tokens: bool = False
    """Whether a loss is summed over tokens, of which those without a label can be left out."""
    across_vocabularies: bool = False
    """Whether a loss compares answers to tokens of two vocabularies."""
    reads_top_k: bool = False
    """Whether a loss computes with stored answers of which only the likeliest classes are known; all others get logits
    in which the rest are alike."""
    names: Literal["nothing", "code", "folder", "file"] = "nothing"
    """What the `reference` of a model names: the user's code, a folder with its config.json, or the model's own file."""
    package: str = ""
    """The distribution whose work is in what a model builds."""
    gives: Mapping[str, str] = {}
    """Of a data source: the kinds of its fields by name; empty where the user's files or code say it."""
    plugin: Plugin | None = None
    """The entry point that adds it; None of edgekd's own and of a user's."""

    is_own: bool = False
    """Whether it is a user's own function, which runs only when that is allowed."""
    given: Callable[..., Any] | None = None
    """The function itself, where a caller gave it in place of a name."""

    @property
    def built_in(self) -> bool:
        """Whether it is edgekd's."""
        return self.plugin is None and not self.is_own

    def load(self) -> Any:
        """The function itself; imports its module, which has to be edgekd's (`edgekd.code` for others)."""
        return getattr(importlib.import_module(self.module), self.function)


class Table(Mapping[str, Member]):
    """Members by name: the built-in ones, and those of plugins, which are read when first asked for."""

    def __init__(
        self,
        kind: str,
        members: Mapping[str, Member],
        *,
        supplied: tuple[str, ...] = (),
        takes_own: bool = False,
    ) -> None:
        """
        Args:
            kind: what one member is called; of `edgekd.plugins.GROUPS`.
            members: the built-in ones.
            supplied: keyword-only parameters that the caller fills in, where a plugin's function has them.
            takes_own: whether ``python:package.module:function`` names a member, too.
        """
        self.kind, self._members, self._supplied = kind, members, supplied
        self._takes_own = takes_own

    def __getitem__(self, name: str) -> Member:
        """
        Raises:
            KeyError: if there is none of that name.
            InputError: if a plugin's cannot be told from another, or is no ``package.module:function``.
        """
        if name in self._members:
            return self._members[name]
        if self._takes_own and name.startswith(OWN):
            return _referenced(name.removeprefix(OWN), name)._replace(is_own=True)
        plugin = plugins.find_plugin(self.kind, name)
        if plugin is None:
            raise KeyError(name)
        member = _referenced(plugin.reference, f"{self.kind} {name!r} of {plugin}")
        supplied = signatures.keyword_names(member.module, member.function, self._supplied)
        return member._replace(
            plugin=plugin, supplied=supplied, has_batch_norm=None, is_foreign=True
        )

    def __contains__(self, name: object) -> bool:
        own = self._takes_own and isinstance(name, str) and name.startswith(OWN)
        return own or name in self._members or name in plugins.list_plugins(self.kind)

    def __iter__(self) -> Iterator[str]:
        yield from self._members
        yield from (name for name in plugins.list_plugins(self.kind) if name not in self._members)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def from_plugins(self) -> Table:
        """The members that plugins add, alone."""
        return Table(self.kind, {}, supplied=self._supplied)

    def require_distinct(self, name: str) -> None:
        """Raises InputError if a plugin takes the name of a built-in member."""
        plugins.require_distinct(self.kind, name, self._members)


def _referenced(reference: str, what: str) -> Member:
    """The member that ``package.module:function`` names, with the first line of its docstring.

    Raises:
        InputError: if `reference` has another form.
    """
    if not modules.is_reference(reference):
        raise InputError(f"{what}: got {reference!r}, want package.module:function")
    module, _, function = reference.partition(":")
    return Member(module, function, "")


def summarize(member: Member) -> str:
    """One line about a member: the table's, else the first of its docstring, else why it cannot be used."""
    try:
        return member.summary or find_signature(member).doc.partition("\n")[0]
    except InputError as error:
        return f"cannot be used: {error}"


def usable(table: Mapping[str, Member]) -> dict[str, Member]:
    """The members whose signatures can be read: all but those of a broken plugin."""
    found = {}
    for name in table:
        with contextlib.suppress(InputError):
            find_signature(table[name])
            found[name] = table[name]
    return found


def find_signature(member: Member) -> Signature:
    """Return what `member` takes, without importing it; with the knobs of its companion.

    Raises:
        InputError: if its module or function does not exist, or takes what no recipe can say.
    """
    own = find_own_signature(member)
    if member.companion is None:
        return own
    beside = find_signature(member.companion).knobs
    return own._replace(knobs=_both(own.knobs, beside))


def find_own_signature(member: Member) -> Signature:
    """The same without the knobs of its companion.

    Raises:
        InputError: as `find_signature`.
    """
    if member.given is not None:
        return signatures.inspect_function(member.given, member.function)
    return signatures.read_signature(member.module, member.function, member.supplied)


@functools.cache
def _both(one: type[Settings], other: type[Settings]) -> type[Settings]:
    return create_model(f"{one.__name__}_and_{other.__name__}", __base__=(one, other))
