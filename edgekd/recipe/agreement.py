"""What must hold between the parts of a recipe: the order of learning, its views, and who runs int8."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from edgekd.bench import sized_calls
from edgekd.bench.budget import Budget
from edgekd.fields import FIELDS
from edgekd.interface import MOST
from edgekd.interface import Axis
from edgekd.learn import task_fit
from edgekd.learn import views as view_kinds
from edgekd.learn.data import SOURCES
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import CombineSettings
from edgekd.learn.settings import Term
from edgekd.learn.signals import is_classifier
from edgekd.learn.signals import is_place_classifier
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.learn.task_fit import TaskEnds
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.recipe import quantization
from edgekd.recipe.learning import loss_needs_one_class
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import distillations
from edgekd.recipe.target import Target
from edgekd.recipe.text import Key

ORDER = {"distil": 0, "factorize": 1, "prune": 1, "quantize": 2}
Fault = tuple[Key, str]


def find_fault(
    steps: Sequence[LearningStep], targets: Sequence[Target], views: Views, opset: int | None = None
) -> Fault | None:
    """Find the first contradiction: its key and a sentence; None if there is none.

    Args:
        steps: of learning.
        targets: the engines.
        views: what the student sees.
        opset: the ONNX operator set, where the recipe says one.
    """
    found = (
        *_unsaid(steps),
        *_order(steps),
        *_mixed(steps, views),
        *quantization.find_faults(steps, targets),
    )
    least = quantization.least_opset(steps)
    if opset is not None and opset < least:
        found = (*found, (("export", "opset"), f"got {opset}, want {least} for weights of 4 bits"))
    return next(iter(found), None)


def find_knowledge_fault(
    knowledge: KnowledgeSettings | None, steps: Sequence[LearningStep], ends: TaskEnds | None
) -> Fault | None:
    """Find out if answers are to be stored that nobody reads, or that are not the classes of which some are left out.

    Args:
        knowledge: how answers are stored, where a recipe says it.
        steps: of learning.
        ends: of the task; None where only the user's code says them.
    """
    if knowledge is None:
        return None
    may = any(step.may_store_layers for step in distillations(steps))
    if not may and not any(step.answers == "stored" for step in steps):
        return ("knowledge",), "got it, want it left out: no step of learning reads stored answers"
    if knowledge.top_k is None or ends is None:
        return None
    if not is_classifier(ends.outputs) and not is_place_classifier(ends.outputs):
        got = f"got {knowledge.top_k}, want it left out"
        message = f"{got}: it is for one class a sample, or a token"
        return ("knowledge", "top_k"), message
    return None


def find_misfit(
    steps: Sequence[LearningStep], alone: Mapping[Key, Sequence[Term]], ends: TaskEnds
) -> Fault | None:
    """Find the first loss, scheme or protection that cannot serve the task: its key and a sentence.

    Args:
        steps: of learning.
        alone: losses of what learns from labels, by their key.
        ends: of the task.
    """
    taught = {(*step.key, "losses"): step.losses for step in steps}
    for key, losses in {**alone, **taught}.items():
        for index, term in enumerate(losses):
            member = term.loss.find_member(LOSSES)
            if fault := task_fit.find_loss_misfit(term.loss.name, member, ends, term.output):
                return (*key, index), fault
    for step in distillations(steps):
        scheme, rule = step.words.scheme.name, step.words.combine.rule
        if fault := task_fit.find_scheme_misfit(scheme, SCHEMES[scheme], ends):
            return (*step.key, "scheme"), fault
        if is_classifier(ends.outputs):
            continue
        if rule != CombineSettings().rule:
            want = f"want {CombineSettings().rule!r}"
            return (
                (*step.key, "combine", "rule"),
                f"got {rule!r}, which is for one class a sample, {want}",
            )
        if step.words.private is not None:
            return (*step.key, "private"), "got it for a task that is not one class a sample"
    return None


def find_synthesis_misfit(method: NamedMember, ends: TaskEnds) -> Fault | None:
    """Say why a method that makes samples cannot serve the task; None if it can."""
    fault = task_fit.find_scheme_misfit(method.name, SYNTHESIZERS[method.name], ends)
    return (("synthesis", "method"), fault) if fault else None


def find_source_misfit(source: NamedMember, ends: TaskEnds) -> Fault | None:
    """Say what a source of ours lacks that the task compares with; None if it lacks nothing, or only its files say what it has.

    Args:
        source: of the recipe's data.
        ends: of the task.
    """
    gives = SOURCES[source.name].gives
    missing = [name for name in ends.targets if name not in gives]
    if not gives or not missing:
        return None
    got = f"got {source.name}, which gives {', '.join(gives)}"
    return ("data", "source"), f"{got}; the task wants {', '.join(missing)}"


def find_model_misfit(models: Mapping[Key, NamedMember], ends: TaskEnds) -> Fault | None:
    """Find the first model that asks for a size which the data's inputs do not have, where their kinds are known.

    Args:
        models: by their keys.
        ends: of the task.
    """
    each = [FIELDS[kind].sizes for kind in ends.inputs]
    offered = [name for sizes in each for name in sizes]
    known = {name for entry in FIELDS.values() for name in entry.sizes}
    if not all(each) or not offered:
        return None
    for key, model in models.items():
        asked = MODELS[model.name].supplied if model.name in MODELS else ()
        missing = [name for name in asked if name in known and name not in offered]
        if missing:
            given = f"the data give {', '.join(offered)}"
            return key, f"got {model.name}, which wants {', '.join(missing)}; {given}"
    return None


def find_head_misfit(models: Mapping[Key, NamedMember]) -> Fault | None:
    """Find the first network of ours whose heads do not share out its width.

    Args:
        models: by their keys.
    """
    for key, model in models.items():
        member = MODELS.get(model.name)
        if member is None or member.package or member.plugin:
            continue
        knobs = model.arguments
        heads, name = knobs.get("heads"), "dim" if "dim" in knobs else "width"
        width = knobs.get(name)
        if isinstance(heads, int) and isinstance(width, int) and width % heads:
            return (*key, "heads"), f"got {heads}, want a divisor of {name} {width}"
    return None


def find_idle_view(views: Mapping[Key, Views], ends: TaskEnds) -> Fault | None:
    """Find the first word of views that changes no input, where the kinds of inputs are known.

    Args:
        views: by their keys.
        ends: of the task.
    """
    for key, words in views.items():
        if ends.inputs and (misfit := view_kinds.find_misfit(words, ends.inputs)):
            return (*key, misfit[0]), misfit[1]
    return None


def find_budget_fault(budget: Budget, ends: TaskEnds) -> Fault | None:
    """Find the first limit of a budget on a metric that the task has not, or that no value of it can meet.

    Args:
        budget: of the recipe.
        ends: of the task; where its metrics are not known there is nothing to find.
    """
    known = {scale.name: scale for scale in ends.metrics}
    if not known:
        return None
    wanted: dict[Key, tuple[str, float | None]] = {("score",): (ends.metrics[0].name, budget.score)}
    wanted |= {("metrics", name): (name, want) for name, want in budget.metrics.items()}
    for key, (name, want) in wanted.items():
        if name not in known:
            return ("budget", *key), f"got {name!r}, want one of: {', '.join(known)}"
        if want is not None and known[name].unit == "fraction" and not 0 <= want <= 1:
            return ("budget", *key), f"got {want:g}, want a fraction of 0 to 1 ({name})"
    return None


def find_size_fault(sizes: sized_calls.Sizes, source: NamedMember, ends: TaskEnds) -> Fault | None:
    """Find the first size of a free axis that no sample of the data can have, as far as the recipe tells.

    Args:
        sizes: that are to be timed.
        source: of the data; whose fields are not known tells nothing.
        ends: of the task.
    """
    fields, most = SOURCES[source.name].gives, source.arguments.get("longest")
    axes = [
        Axis(f"{name}_{axis}", most=most if isinstance(most, int) else MOST)
        for name, kind in fields.items()
        if name not in ends.targets
        for axis in FIELDS[kind].axes
    ]
    decoding = sized_calls.list_decoding_axes(axes, ends.targets)
    fault = sized_calls.find_fault(sizes, (*axes, *decoding)) if fields else None
    return fault and (("measure", "sizes", *fault[0]), fault[1])


def _unsaid(steps: Sequence[LearningStep]) -> Iterator[Fault]:
    """Steps without losses: a user's own task has no usual ones, nor has a scheme other than the first."""
    for step in distillations(steps):
        if not step.losses:
            yield (*step.key, "losses"), "got nothing, want losses, see edgekd methods: [kd]"


def _order(steps: Sequence[LearningStep]) -> Iterator[Fault]:
    names = [step.words.step for step in steps if not step.is_recovery]
    for number, (before, name) in enumerate(zip(names, names[1:], strict=False), start=1):
        key = ("learn", number, "step")
        if name == before == "quantize":
            yield key, "got 'quantize' twice, want it once, with several profiles"
        elif ORDER[name] < ORDER[before]:
            want = "want distil, then factorize or prune, then quantize"
            yield key, f"got {name!r} after {before!r}, {want}"


def _mixed(steps: Sequence[LearningStep], views: Views) -> Iterator[Fault]:
    """Losses and schemes that want one class a sample, beside views that mix two."""
    mix = "mixup" if views.mixup else "cutmix"
    if not views.mixup and not views.cutmix:
        return
    want = f"want it without views.{mix}: it needs one class a sample"
    for step in steps:
        if isinstance(step, Distillation) and needs_one_class(step.words.scheme):
            yield (*step.key, "scheme"), f"got {step.words.scheme.name!r}, {want}"
        for index, term in enumerate(step.losses):
            if loss_needs_one_class(term):
                yield (*step.key, "losses", index), f"got {term.loss.name!r}, {want}"


def needs_one_class(scheme: NamedMember) -> bool:
    """Return whether a scheme needs one class a sample, which views that mix samples do not have."""
    knobs = SCHEMES[scheme.name].one_class_if
    return knobs is not None and knobs.items() <= scheme.arguments.items()
