"""The house keeps itself: read this to learn how the folders lie (ARCHITECTURE.md says why)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from edgekd.learn.losses import FAMILIES
from tests.house_example import PACKAGE
from tests.house_example import ROOT
from tests.house_example import imported
from tests.house_example import sources

FLOORS: list[set[str]] = [  # a file imports only from names on lower floors, or its own room
    {
        "__init__",
        "cores",
        "errors",
        "faults",
        "garbage",
        "printable",
        "units",
        "progress",
        "strict_json",
        "tokenizer_parts",
        "profile",
        "interface",
        "modules",
        "callable_package",
    },
    {"display", "files", "wire", "field", "scan", "plugins", "tokenizer"},
    {"sources", "fields", "splits", "launch", "tokenizer_difference"},
    {"settings", "dataset"},
    {"table", "signatures", "device", "value_info", "task", "task_check"},
    {"sampling_error"},
    {"attributes", "code", "named_member", "token_logits"},
    {"tasks"},
    {"devices", "synonyms"},
    {"store", "runtime", "admission", "graph", "islands", "run", "text_buffer"},
    {"stage", "tracker", "trackers", "run_folder", "run_place", "runtime_plugin"},
    {"runtimes", "learn"},
    {"bench"},
    {"bundle"},
    {"hub", "report"},
    {"stages"},
    {"recipe", "follow"},
    {"bindings", "estimate", "side_process"},
    {"walk"},
    {"plan"},
    {"walk_beside"},
    {"pipeline"},
    {"gate", "side_worker", "sweep"},
    {"gates"},
    {"gating"},
    {"api", "knowledge", "losses", "schemes", "taps"},
    {"cli", "__main__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
WINGS = {"devices", "runtimes", "learn"}
# the same inside two wings: rooms and single files, strictly downwards
LEARN_FLOORS: list[set[str]] = [
    {"cache", "packages"},
    {"decoder_parts"},
    {
        "__init__",
        "budget",
        "chance",
        "class_order",
        "compiler",
        "empty_parameters",
        "forward_pass",
        "greedy",
        "gguf",
        "heap",
        "layer_choice",
        "model",
        "model_inputs",
        "onnx_import",
        "optimizers",
        "pretrained_decoder",
        "origin",
        "model_hub",
        "rows",
        "signals",
        "torch_facts",
        "transformer",
        "transformer_parts",
        "transformers_config",
        "source",
        "weight_names",
    },
    {"text_network"},
    {"text_builder", "text_weights"},
    {
        "blueprint_origin",
        "describe",
        "download",
        "export",
        "knowledge_settings",
        "layer_settings",
        "mathematics",
        "models",
        "preprocessing",
        "split",
        "task_fit",
        "view_settings",
    },
    {
        "companions",
        "formats",
        "knowledge",
        "losses",
        "model_answers",
        "model_settings",
        "parallel",
        "pretrained_model",
        "quant",
    },
    {"hub", "places", "settings", "weight_only", "weights"},
    {"quantize_settings", "task_losses", "view"},
    {"views"},
    {"arithmetic", "data"},
    {"arrays", "compilation", "generation", "method", "streams"},
    {"answers", "synthesis"},
    {"attack", "classifier_head", "evaluation", "lowrank", "teacher_answers"},
    {"compared_answers", "edits", "layer_similarity", "robustness", "schemes"},
    {"blueprint", "pruning"},
    {"sharded_model"},
    {
        "assembly",
        "compile_trial",
        "complexity",
        "deploy_form",
        "deployment",
        "quantized_form",
        "quantized_start",
        "weights_fit",
    },
    {"privacy"},
    {"training"},
    {"learner"},
    {"loading", "standalone"},
]
BENCH_FLOORS: list[set[str]] = [
    {"call"},
    {
        "__init__",
        "engine",
        "golden",
        "index_ranges",
        "input_rows",
        "ir",
        "memory",
        "numerics",
        "roles",
        "side_by_side",
        "generation",
        "golden_choice",
        "states",
        "size_options",
        "statistics",
        "status",
        "turns",
    },
    {
        "budget",
        "candidate",
        "input_shapes",
        "inputs",
        "interface",
        "metric",
        "proportion",
        "sized_calls",
        "streams",
        "timing",
        "user_inputs",
        "worker",
    },
    {"score_interval", "soundness", "text_jobs", "user_calls"},
    {"process"},
    {"build", "outputs", "prebuilt_engines", "session", "size_buckets"},
    {"machine", "named_model"},
    {"jobs", "saturation", "user_models"},
    {"answer_jobs", "differences", "engine_jobs", "lookup", "scenario"},
    {"answers", "decider", "narrow_cache", "score_job", "session_record"},
    {"parity_file", "result", "scores"},
    {"engine_answers", "pair", "rows", "sized_scores"},
    {"elimination", "explanation", "size_choice"},
]
ROOMS = {
    "learn": {name: number for number, names in enumerate(LEARN_FLOORS) for name in names},
    "bench": {name: number for number, names in enumerate(BENCH_FLOORS) for name in names},
}
"""The floors of the rooms and single files inside a wing."""

TORCH_FREE_IN_LEARN = {
    "__init__",
    "loading",
    "settings",
    "model_hub",
    "model_settings",
    "preprocessing",
    "quantize_settings",
    "view_settings",
    "knowledge_settings",
    "budget",
    "signals",
    "task_fit",
    "optimizers",
    "class_order",
    "losses/__init__",
    "losses/response/__init__",
    "losses/feature/__init__",
    "losses/relation/__init__",
    "losses/attention/__init__",
    "losses/adversarial/__init__",
    "losses/language/__init__",
    "companions/__init__",
    "schemes/__init__",
    "synthesis/__init__",
    "models/__init__",
    "data/__init__",
    "edits/__init__",
}
TESTS_OF_SEVERAL_FILES = {
    "learn/assembly/test_token_mask",
    "learn/losses/test_text_golden",
    "bench/result/test_result_document",
    "bench/result/test_result_figures",
    "bench/scenario/test_scenario_run",
    "bench/test_virtual_clock",
    "bundle/test_numbers",
    "bundle/test_shared_weights",
    "bundle/test_verify_parts",
    "cli/test_bench_compare",
    "cli/test_bench_foreign",
    "gating/test_decoder_sides",
    "learn/knowledge/test_reading_places",
    "runtimes/test_weights_once",
    "learn/losses/feature/test_beside",
    "learn/losses/feature/test_golden",
    "learn/losses/feature/test_properties",
    "learn/losses/language/test_golden",
    "learn/losses/language/test_labelled_only",
    "learn/losses/language/test_of_the_task",
    "learn/losses/relation/test_golden",
    "learn/losses/relation/test_identities",
    "learn/losses/response/test_defensive",
    "learn/losses/response/test_forms",
    "learn/losses/response/test_golden",
    "learn/losses/response/test_more",
    "learn/losses/test_own",
    "learn/models/test_hostile_arguments",
    "learn/schemes/test_every_online_scheme",
    "learn/synthesis/test_synthesizers",
    "learn/test_every_method",
    "learn/training/test_fit_kept",
    "learn/training/test_updates",
    "test_contributing",
    "test_ground",
    "test_house",
    "test_imports",
    "test_words",
    "stages/test_explain_tasks",
}
"""Every other test is named for the file or the folder of the package that it looks at."""
WRITERS = re.compile(
    r"""\bopen\([^)]*["'][wax]b?\+?["']|\.write_text\(|(?<!files)\.write_bytes\(|torch\.save\(|pickle\.(?:load|dump|Unpickler)|dill\."""
)


def imports(path: Path, *, top_only: bool = False) -> Iterator[str]:
    """Modules a file imports, dotted; with `top_only`, those paid for when it is imported."""
    tree = ast.parse(path.read_text())
    return imported(iter(tree.body) if top_only else ast.walk(tree))


def room(dotted: str) -> str | None:
    parts = dotted.split(".")
    if parts[0] != "edgekd":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"


def test_every_room_has_a_floor() -> None:
    assert {name.split("/")[0] for _, name in sources()} <= set(FLOOR)


@pytest.mark.parametrize(("path", "name"), list(sources()), ids=lambda v: str(v)[-40:])
def test_arrows_run_down(path: Path, name: str) -> None:
    here = name.split("/")[0]
    if name == "__init__":  # the package's face names what lies in any room, and imports none of it
        assert set(imports(path, top_only=True)) <= {"__future__.annotations", "importlib"} | {
            "typing.TYPE_CHECKING",
            "typing.Any",
        }
        return
    for there in filter(None, map(room, imports(path))):
        if there == here:
            continue
        assert FLOOR[there] <= FLOOR[here] and not {there, here} <= WINGS, (
            f"{name} must not import {there}"
        )


@pytest.mark.parametrize("wing", ROOMS)
def test_every_room_of_a_wing_has_a_floor(wing: str) -> None:
    assert {name.split("/")[1] for _, name in sources() if name.startswith(f"{wing}/")} == set(
        ROOMS[wing]
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path, name in sources() if name.split("/")[0] in ROOMS],
    ids=lambda v: str(v)[-40:],
)
def test_arrows_run_down_inside_a_wing(path: Path, name: str) -> None:
    wing, here = name.split("/")[:2]
    floor = ROOMS[wing]
    for dotted in imports(path):
        parts = dotted.split(".")
        if parts[:2] == ["edgekd", wing] and len(parts) > 2 and parts[2] != here:
            assert floor[parts[2]] < floor[here], f"{name} must not import {dotted}"


def paid_for(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, but for what only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from paid_for(child)


def test_no_import_leads_back_to_where_it_began() -> None:
    """Imports inside functions count: two files that need each other are one file, or three."""
    files = {
        f"edgekd.{name}".replace("/", ".").removesuffix(".__init__"): p for p, name in sources()
    }
    graph: dict[str, set[str]] = {}
    for here, path in files.items():
        found = imported(paid_for(ast.parse(path.read_text())))
        known = (dotted if dotted in files else dotted.rpartition(".")[0] for dotted in found)
        graph[here] = {there for there in known if there in files and there != here}
    assert len(list(TopologicalSorter(graph).static_order())) == len(files)


def test_members_of_a_folder_do_not_import_one_another() -> None:
    families = (f"learn/losses/{name}" for name in FAMILIES)
    for folder in (
        *families,
        "stages",
        "runtimes",
        "learn/companions",
        "learn/schemes",
        "learn/models",
    ):
        for path, name in sources():
            if Path(name).parent.as_posix() != folder or path.stem == "__init__":
                continue
            own = f"edgekd.{folder.replace('/', '.')}"
            for dotted in imports(path):
                inside = dotted == own or dotted.startswith(f"{own}.")
                assert not inside or dotted.split(".")[-1].isupper(), f"{name}: {dotted}"


def test_torch_is_imported_in_learn_alone() -> None:
    for path, name in sources():
        heavy = [m for m in imports(path) if m.split(".")[0] in ("torch", "lightning_fabric")]
        if name.startswith("learn/"):
            assert not heavy or name.removeprefix("learn/") not in TORCH_FREE_IN_LEARN, name
        else:
            allowed = name.startswith(("stages/", "api/", "losses"))
            top = [m for m in imports(path, top_only=True) if m.split(".")[0] == "torch"]
            assert not top and (allowed or not heavy), name


def test_only_files_py_writes_for_keeps() -> None:
    """A stage writes into its scratch folder, which the store takes in; nobody else writes."""
    for path, name in sources():
        if name == "files" or name.startswith("stages/"):
            continue
        found = WRITERS.findall(path.read_text())
        assert not found or name in SCRATCH_WRITERS, f"{name}: {found}"


SCRATCH_WRITERS = {
    "admission/weight_files",
    "runtimes/ort",
    "learn/blueprint",
    "learn/learner",
    "learn/weights",
    "bench/golden",
    "splits",
    "bench/memory",
    "bench/jobs",
    "bench/worker",
    "bundle/archive",
    "bundle/write",
    "learn/compile_trial",
}
"""They write where a stage or a worker tells them to, below its scratch folder; or to /proc."""


def test_files_are_short_and_open_with_a_sentence() -> None:
    lengths = []
    for path, name in sources():
        text = path.read_text()
        lengths.append(len(text.splitlines()))
        assert lengths[-1] <= 300, f"{name} has {lengths[-1]} lines"
        assert ast.get_docstring(ast.parse(text)), f"{name} says not what it is"
    assert sorted(lengths)[len(lengths) // 2] <= 120


def test_tests_lie_where_the_package_has_what_they_test() -> None:
    """`tests/system` and `tests/benchmarks` look at the whole, and at what is no part of the package."""
    strays = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        place = path.relative_to(ROOT / "tests").with_suffix("")
        subject = PACKAGE / place.with_name(place.name.removeprefix("test_"))
        of_folder = subject.name == place.parent.name and subject.parent.is_dir()
        found = subject.with_suffix(".py").exists() or subject.is_dir() or of_folder
        if not found and place.parts[0] not in ("system", "benchmarks"):
            strays.add(place.as_posix())
    assert strays == TESTS_OF_SEVERAL_FILES


FIXED_PORT = re.compile(
    r"""\(\s*["'](?:127\.0\.0\.1|localhost|0\.0\.0\.0)["'],\s*[1-9]\d*\s*\)|-m["', ]+http\.server"""
)


def test_no_test_takes_a_port_that_another_may_have() -> None:
    for path in sorted((ROOT / "tests").rglob("*.py")):
        found = FIXED_PORT.search(path.read_text())
        assert found is None or path == Path(__file__), f"{path}: {found and found[0]}"
    assert FIXED_PORT.search('bind(("127.0.0.1", 8000))') and FIXED_PORT.search(
        '"-m", "http.server"'
    )
    assert FIXED_PORT.search('bind(("127.0.0.1", 0))') is None
