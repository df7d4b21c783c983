"""What ``edgekd compress --dry-run`` prints: the steps, what they may cost, and what is read and written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json
from edgekd.cli.screen import print_paragraph

if TYPE_CHECKING:
    from edgekd.estimate import PlanCost
    from edgekd.estimate import StepCost
    from edgekd.plan.knowledge_cost import KnowledgeCost
    from edgekd.recipe import Recipe
    from edgekd.run import Options
    from edgekd.walk import StepForecast


def show_plan(recipe: Recipe, path: Path, options: Options, as_json: bool) -> None:
    """Print which steps are found and which will run, what they may cost, and what will be touched."""
    from edgekd import pipeline
    from edgekd.plan.deploying import describe_caches
    from edgekd.plan.knowledge_cost import estimate_knowledge
    from edgekd.plan.knowledge_cost import find_results
    from edgekd.plan.settling import apply_choices
    from edgekd.plan.settling import describe_choice
    from edgekd.plan.settling import read_choices
    from edgekd.plan.sharding import describe_sharding
    from edgekd.store import Store

    foreseen = pipeline.preview_plan(recipe, path, options)
    cost = pipeline.estimate_plan(foreseen, options)
    store = Store(options.store)
    found = find_results(foreseen, store)
    choices = read_choices(found, store)
    answers = list(estimate_knowledge(apply_choices(recipe, choices), found, store))
    touched = _touched(recipe, path, options, foreseen)
    weights, shared = _find_open_weights(recipe), describe_sharding(recipe)
    caches = describe_caches(recipe)
    if as_json:
        costs = {each.label: each for each in cost.steps}
        rows = [_fields(each, costs.get(each.step.label)) for each in foreseen]
        described = [_describe_answers(each) for each in answers]
        plan = {"steps": rows, "estimate": _describe_cost(cost), "answers": described}
        plan["weights"] = weights
        if shared:
            plan["sharded"] = shared
        if caches:
            plan["caches"] = caches
        if choices:
            plan["storing"] = {label: each.describe() for label, each in choices.items()}
        print_json({**plan, **touched})
        return
    _print_steps(foreseen, cost)
    _print_cost(cost)
    for each in answers:
        _print_answers(each)
    for key, text in weights.items():
        print_paragraph(f"{key}: weight {text}")
    for name, text in shared.items():
        print_paragraph(f"{name}: {text}")
    if caches:
        told = ", ".join(f"{name} {cache}" for name, cache in caches.items())
        print_paragraph(f"keys and values of a text are kept in: {told}")
    for label, choice in choices.items():
        print_paragraph(f"{label}: {describe_choice(choice)}")
    for what, names in touched.items():
        echo(f"{what}: {', '.join(names) or 'nothing'}")


def _find_open_weights(recipe: Recipe) -> dict[str, str]:
    """By the key of a loss what its weight will be, where the recipe leaves that to the data."""
    from edgekd.learn.losses import LOSSES
    from edgekd.learn.method.default_weight import describe_weight
    from edgekd.learn.settings import AUTO
    from edgekd.plan.members import list_terms

    return {
        f"{key} ({term.loss.name})": describe_weight(term.loss.find_member(LOSSES))
        for key, term in list_terms(recipe).items()
        if term.weight == AUTO
    }


def _fields(foreseen: StepForecast, cost: StepCost | None) -> dict[str, Any]:
    about = {"step": foreseen.step.label, "key": foreseen.key, "found": foreseen.hit}
    return {**about, "time_s": cost and cost.time_s, "disk_bytes": cost and cost.disk_bytes}


def _describe_cost(cost: PlanCost) -> dict[str, Any]:
    return {"time_s": cost.time_s, "disk_bytes": cost.disk_bytes, "unknown": list(cost.unknown)}


def _print_steps(foreseen: list[StepForecast], cost: PlanCost) -> None:
    from edgekd.units import duration_text
    from edgekd.units import number_text

    found = sum(each.hit for each in foreseen)
    if found:
        echo(f"{number_text(found, 'step')} found in the store")
    costs = {each.label: each.time_s for each in cost.steps}
    rows = []
    for each in foreseen:
        if not each.hit:
            time_s = costs[each.step.label]
            about = "time not known" if time_s is None else f"about {duration_text(time_s)}"
            rows.append((each.step.label, "to run", about))
    print_columns(rows)


def _print_cost(cost: PlanCost) -> None:
    from edgekd.units import bytes_text
    from edgekd.units import duration_text

    if not cost.steps:
        echo("time: none, all is found")
        return
    if len(cost.unknown) == len(cost.steps):
        echo("time and disk: not known, the store has no step like these")
        return
    besides = f"; not known: {', '.join(cost.unknown)}" if cost.unknown else ""
    print_paragraph(
        f"time: about {duration_text(cost.time_s)}, disk: about {bytes_text(cost.disk_bytes)}, by like steps that "
        f"were made with this store{besides}"
    )


def _describe_answers(cost: KnowledgeCost) -> dict[str, Any]:
    return {
        "teacher": cost.teacher,
        "stored": cost.is_stored,
        "why_live": cost.why_live,
        "samples": cost.samples,
        "stored_a_sample": cost.stored_a_sample,
        "stored_bytes": cost.stored_bytes,
        "stored_s": cost.count_seconds(cost.stored_a_sample),
        "live_a_sample": cost.live_a_sample,
        "live_s": cost.count_seconds(cost.live_a_sample),
    }


def _print_answers(cost: KnowledgeCost) -> None:
    from edgekd.units import bytes_text
    from edgekd.units import duration_text

    def describe(times: int, size_bytes: int | None) -> str:
        time_s = cost.count_seconds(times)
        known = [] if size_bytes is None else [bytes_text(size_bytes)]
        known += [] if time_s is None else [f"about {duration_text(time_s)}"]
        return f"{times} a sample" + (f" ({', '.join(known)})" if known else "")

    stored = describe(cost.stored_a_sample, cost.stored_bytes)
    live = describe(cost.live_a_sample, None)
    if cost.is_stored:
        less = ", fewer: `knowledge: online`" if cost.live_a_sample < cost.stored_a_sample else ""
        print_paragraph(f"answers of {cost.teacher}: stored, {stored}; live: {live}{less}")
    else:
        why = f": {cost.why_live}" if cost.why_live else ""
        print_paragraph(f"answers of {cost.teacher}: live{why}, {live}; stored: {stored}")


def _touched(
    recipe: Recipe, path: Path, options: Options, foreseen: list[StepForecast]
) -> dict[str, list[str]]:
    """Return what will be read, written and downloaded, and which code of the user's own will run."""
    from edgekd import pipeline
    from edgekd import recipe as recipes
    from edgekd.plan import checks
    from edgekd.plan import members
    from edgekd.plan import origins

    weights = recipes.weights_paths(recipe, path).values()
    choices, plugins = list(members.list_choices(recipe)), members.list_used_plugins(recipe)
    fetched = pipeline.list_downloads(recipe, options)
    sources = [f.step.origin for f in foreseen if f.step.label == "data" and not fetched]
    data = [f"{recipe.data.source} (files: {len(o())})" for o in sources if o is not None]
    digests = {str(c.named): origins.read_files(c.table, c.named, options) for c in choices}
    unmeasurable = checks.list_unmeasurable(recipe, options)
    behind = [f"{text} (files: {len(found)})" for text, found in digests.items() if found]
    return {
        "reads": [str(p) for p in (path, *weights)] + data + behind,
        "writes": [str(options.store), str(pipeline.find_run_dir(recipe, options))],
        "downloads": list(fetched),
        "runs code of yours": list(dict.fromkeys(str(c.named) for c in choices if c.is_own)),
        **({"runs plugins": [f"{each.name} ({each})" for each in plugins]} if plugins else {}),
        **({"cannot be measured": unmeasurable} if unmeasurable else {}),
    }
