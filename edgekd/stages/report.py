"""Stage `report`: what the other stages found, as one result, a page and plots."""

from __future__ import annotations

import gzip
import json
from typing import Any

from edgekd import files
from edgekd.bench.roles import ROLES
from edgekd.settings import Settings
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.task import Scale

EXPLAINED, SAMPLES = "explain.json", "samples.json"
ALWAYS = (
    "result.json",
    "report.md",
    "report.html",
    "score_latency.svg",
    "score_latency.png",
    "learning_curves.svg",
)
"""What it makes of every run."""
TIMES = "times"
"""Every iteration that was measured, compressed."""
AS_IT_IS = ("disagreements.csv", "disagreements.npy")
"""Files that are given again unread."""
MODEL_FILES = ("weights.safetensors", "model.onnx")
"""Of what a step made, the model."""
STEP = "step/"
"""What each step of learning left: ``step/distil/score.json``."""
TABLE = "table/"
"""What other stages found layer by layer: ``table/sensitivity-asymmetric.json``."""


class ReportConfig(Settings):
    """Facts of the run that the stages' files do not hold."""

    recipe: str
    """Its name."""
    recipe_digest: str
    """SHA-256 of it."""
    resolved_recipe: dict[str, Any] = {}
    """All of it, with what the command line changed and every default."""
    overrides: tuple[str, ...] = ()
    """What the command line changed, ``KEY=VALUE``."""
    models: dict[str, str]
    """Name of the builder, by role; of `ROLES` those that there are."""
    quantized: dict[str, str] = {}
    """Label of the step of each quantized student, by its numerics; its score and history are inputs of that name."""
    lineage: dict[str, Any] = {}
    """By label of the step: ``{"key": ..., "files": {name: SHA-256}, "made_at": ..., "took_s": ...}``."""
    plugins: tuple[dict[str, str], ...] = omit_default(())
    """Fields of each `edgekd.plugins.Plugin` that was used."""
    environment: dict[str, Any] = {}
    """``versions``, by distribution, of the machine that learned."""
    files: tuple[dict[str, Any], ...] = ()
    """Fields of each `edgekd.report.result.DeliveredFile`."""
    durations_s: dict[str, float] = {}
    """By stage, how long its steps took."""
    versions: dict[str, str] = {}
    """Of Python and the packages on which the results depend."""


def run(config: ReportConfig, given: Given, context: Context) -> Made:
    """Give result.json, report.md, report.html, score_latency.svg and .png, learning_curves.svg.

    Takes data, rows, choice, site, ``<role>_score``, ``<role>_history``; if there is one, test; ``step/<label>/score.json``
    and ``history.json`` of every step that learned; times, with every iteration that was measured; and any
    ``table/<name>.json``, which is shown on the page and given again. So is explain.json, with plots of
    its own; disagreements.csv and .npy are given again.
    """
    from edgekd.report import explanation
    from edgekd.report import explanation_plot
    from edgekd.report import markdown
    from edgekd.report import plot
    from edgekd.report import tables
    from edgekd.report.assemble import assemble_result
    from edgekd.report.html import page
    from edgekd.report.html.record import RunRecord

    value = {
        name: json.loads(path.read_bytes())
        for name, path in given.items()
        if name not in (*AS_IT_IS, TIMES)
    }
    found = {name.removeprefix(TABLE): value[name] for name in value if name.startswith(TABLE)}
    roles = (*(role for role in ROLES if role in config.models), *config.quantized.values())
    result = assemble_result(
        recipe=config.recipe,
        recipe_digest=config.recipe_digest,
        resolved_recipe=config.resolved_recipe,
        overrides=config.overrides,
        models=config.models,
        scores={role: value[f"{role}_score"] for role in roles},
        quantized=config.quantized,
        rows=value["rows"],
        choice=value["choice"],
        test=value.get("test", {}),
        data=value["data"],
        environment=_environment(config.environment, value.get("site", {})),
        lineage=config.lineage,
        plugins=config.plugins,
        machine=value.get("site", {}).get("machine"),
        step_warnings=tables.list_missed_budgets(found),
        about={
            "files": config.files,
            "durations_s": config.durations_s,
            "versions": config.versions,
        },
    )
    of_roles = {role: value[f"{role}_history"] for role in roles if f"{role}_history" in value}
    histories = _of_steps(value, config, "history.json") or of_roles
    learned, scale = value.get(EXPLAINED), Scale(**result.metric.model_dump())
    section = explanation.make_section(learned) if learned else None
    plots = explanation_plot.draw_plots(learned, "svg") if learned else {}
    record = RunRecord(
        result,
        scores=_of_steps(value, config, "score.json"),
        histories=histories,
        quantized=config.quantized,
        tables=found,
        explained=learned,
        samples=value.get(SAMPLES, ()),
        spreads=_spreads(given),
    )
    contents = {
        "result.json": files.pretty_json(result.model_dump(mode="json")),
        "report.md": markdown.report_page(result, tables.make_tables(found), section).encode(),
        "report.html": page.run_page(record).encode(),
        "score_latency.svg": plot.draw_score_latency(result, "svg"),
        "score_latency.png": plot.draw_score_latency(result, "png"),
        "learning_curves.svg": plot.draw_learning_curves(histories, scale, "svg"),
        **{f"{name}.svg": drawn for name, drawn in plots.items()},
        **{name: files.pretty_json(content) for name, content in found.items()},
        **{name: given[name].read_bytes() for name in (EXPLAINED, *AS_IT_IS) if name in given},
    }
    for name, data in contents.items():
        (context.folder / name).write_bytes(data)
    return {name: context.folder / name for name in contents}


def _spreads(given: Given) -> dict[str, Any]:
    from edgekd.report.html.latencies import summarize_times

    if TIMES not in given:
        return {}
    return dict(summarize_times(json.loads(gzip.decompress(given[TIMES].read_bytes()))))


def _of_steps(value: dict[str, Any], config: ReportConfig, file: str) -> dict[str, Any]:
    """A file of every step that learned, by its label, in the order of the steps."""
    named = {label: f"{STEP}{label}/{file}" for label in config.lineage}
    return {label: value[name] for label, name in named.items() if name in value}


def _environment(ours: dict[str, Any], site: dict[str, Any]) -> dict[str, Any]:
    """The device that measured, and the versions of both machines."""
    facts = {name: value for name, value in site.get("facts", {}).items() if name != "flags"}
    versions = {**ours.get("versions", {}), **site.get("versions", {})}
    about = {"device": site.get("name"), "fingerprint": site.get("key")}
    return {**facts, **about, "versions": dict(sorted(versions.items()))}


STAGE = Stage("report", ReportConfig, run, packages=("edgekd", "matplotlib", "Jinja2"))
