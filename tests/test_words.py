"""Names say what a thing is, and what has a place is said there alone: methods, statuses, roles, tasks and fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from edgekd.fields import FIELDS
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.tasks import BUILT_IN
from tests.house_example import imported
from tests.house_example import sources

BARE = re.compile(
    r"[a-z]{3,}ed|told|said|seen|shown|kept|found|held|written|taken|given|made|ran|sat|cast|fought|left|lost"
    r"|met|won|begun|chosen|drawn|gone|hidden|sent|spent|taught|bound|brought|caught|one|ones|both|whole|every"
    r"|everyone|each|which|what|who|here|there|beside|without|none|ahead|inside|outside|together|apart|alike|alone"
    r"|own|more|less|most|least|best|others?|another|same|all|any|again|anew|old|older|new|newest|it|they|this|that"
    r"|where|when|how|whose|good|bad|sound|plain|quiet|ready|fresh|whole|late|next|last|first"
)
"""Participles, pronouns, bare adjectives and adverbs: whatever is meant, nobody would search for it under that name."""
FIELD_TERMS = {"decoupled", "synchronized", "weighted"}
"""Adjectives within the name of a method by which people search: decoupled distillation, weighted soft labels,
synchronized batch norm."""


def public_names() -> Iterator[tuple[str, str]]:
    """Every file's stem, and its functions and classes that others may import, each with its file."""
    for path, name in sources():
        yield path.stem, name
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, name


def test_public_names_are_verbs_with_objects_and_nouns() -> None:
    refused = [
        f"{file}: {name}"
        for name, file in public_names()
        if BARE.fullmatch(name[0].lower() + name[1:]) and name.lower() not in FIELD_TERMS
    ]
    assert not refused
    assert BARE.fullmatch("told") and BARE.fullmatch("listed") and not BARE.fullmatch("list_names")


def test_no_two_public_classes_have_one_name() -> None:
    places: dict[str, list[str]] = {}
    for path, name in sources():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    assert not {name: files for name, files in places.items() if len(files) > 1}


OTHER_WORDS = {"at", "adaptive", "cosine", "ema", "one", "onnx", "python", "timm"}
"""Names of methods that mean other things elsewhere: keys, a schedule, a program, a distribution."""
METHODS = {*LOSSES, *SCHEMES, *SYNTHESIZERS, *MODELS} - OTHER_WORDS


def methods_asked_for(node: ast.AST) -> set[str]:
    """Names of losses, schemes, synthesizers and models that decide something: compared, or kept to be compared."""
    if isinstance(node, ast.Compare):
        return METHODS & {
            text for side in (node.left, *node.comparators) for text in constants(side)
        }
    if isinstance(node, ast.MatchValue):
        return METHODS & set(constants(node.value))
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.Tuple | ast.Set):
        return METHODS & set(constants(node.value))
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] == "FAMILIES":
        return set(constants(node.slice))
    return set()


def test_what_a_method_is_stands_in_its_line_of_the_table_not_in_who_asks_for_its_name() -> None:
    found = {
        f"{name}: {what}"
        for path, name in sources()
        if not name.startswith("learn/models/")
        for node in ast.walk(ast.parse(path.read_text()))
        for what in methods_asked_for(node)
    }
    assert not found
    for text in (
        "if name == 'kd': 0",
        "REUSES = 'simkd'",
        "x in FAMILIES['language']",
        "a = ('dml', 'ema')",
    ):
        assert any(map(methods_asked_for, ast.walk(ast.parse(text)))), text


TAKEN_APART = re.compile(
    r"(?:status|verdict|label)(?:\"\]|'\])?\.(?:startswith|endswith|r?partition|r?split|removeprefix|removesuffix|find)\("
)


def test_no_status_and_no_label_is_parsed() -> None:
    """What they mean has a field of its own; a step's label adds to the names of the report's tables."""
    found = {name: TAKEN_APART.findall(path.read_text()) for path, name in sources()}
    assert {name for name, each in found.items() if each} == {"report/tables"}
    assert TAKEN_APART.search('row["status"].partition(":")')


SAID_ONCE = {
    "the steps of a recipe, which `Recipe.steps` gives": r"recipe\.learn\b",
    "the three models that are compared, `ROLES`": r"""["']teacher["'],\s*["']control["'],\s*["']student["']""",
    "what a signal is by its name, `find_signal`": r"""\.(?:ends|starts)with\(\(?f?["'](?:_|student|teacher)(?!["'])""",
}
"""What stands in one place, and how a copy of it would look."""


@pytest.mark.parametrize("what", SAID_ONCE)
def test_what_has_a_place_is_not_said_again(what: str) -> None:
    copy = re.compile(SAID_ONCE[what])
    assert not [name for path, name in sources() if copy.search(path.read_text())]


NAMES_ALLOWED = ("tasks/", "fields/", "learn/data/", "learn/source", "learn/views/")
"""Where a task or a kind of field may be named: themselves, their tables, data sources and views."""
FOR_IMAGES_ALONE = (
    "bundle/images",
    "bundle/first_format",
    "bundle/user_inputs",
    "learn/attack",
    "learn/synthesis/",
    "stages/synthesize",
)
"""What reads a user's images by the kind of their field, bundles of the first format, which had no other, and methods
that change or make pixels."""


def named_kinds(node: ast.AST) -> Iterator[str]:
    """Texts that stand where the kind of a field does: compared with a `kind`, or given as one."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        if any(ast.unparse(side).rpartition(".")[2] == "kind" for side in sides):
            yield from (text for side in sides for text in constants(side))
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and "kind" in constants(key):
                yield from constants(value)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        ("FieldWords", "find_field")
    ):
        yield from (text for argument in node.args[:1] for text in constants(argument))


def constants(node: ast.AST) -> list[str]:
    return [
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]


def names_of_tasks_and_fields(tree: ast.AST) -> Iterator[str]:
    """Members of `edgekd.tasks` and `edgekd.fields` that a file imports, and their names in its text."""
    for dotted in imported(ast.walk(tree)):
        parts = dotted.split(".")
        if parts[:2] in (["edgekd", "tasks"], ["edgekd", "fields"]) and len(parts) > 2:
            member = ".".join(parts[:3])
            if member in {entry.module for entry in (*BUILT_IN.values(), *FIELDS.values())}:
                yield member
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in BUILT_IN:
            yield node.value
        yield from (text for text in named_kinds(node) if text in FIELDS)


def test_no_task_and_no_kind_of_field_is_named_outside_their_rooms() -> None:
    found = {
        f"{name}: {what}"
        for path, name in sources()
        if not name.startswith((*NAMES_ALLOWED, *FOR_IMAGES_ALONE))
        for what in names_of_tasks_and_fields(ast.parse(path.read_text()))
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "from edgekd.tasks import classification",
        "from edgekd.tasks.classification import decide",
        "from edgekd.fields.image import Image",
        "import edgekd.fields.map",
        "if task == 'segmentation': pass",
        "if field.kind in ('image', 'x'): pass",
        "if 'boxes' == kind: pass",
        "x = {'kind': 'tokens'}",
        "x = FieldWords('class', {})",
    ],
)
def test_a_name_of_a_task_or_a_kind_is_seen(text: str) -> None:
    assert list(names_of_tasks_and_fields(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "from edgekd.tasks import load_task",
        "from edgekd import fields",
        "if metric.unit == 'number': pass",
        "if row.kind == 'linear': pass",
        "sizes['classes']",
    ],
)
def test_what_is_none_is_let_through(text: str) -> None:
    assert not list(names_of_tasks_and_fields(ast.parse(text)))
