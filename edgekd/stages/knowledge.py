"""Stage `knowledge`: the teacher answers every view once; students read what it said."""

from __future__ import annotations

from edgekd.learn.settings import Arithmetic
from edgekd.learn.view_settings import Views
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage


class KnowledgeConfig(Settings):
    """The views that the teacher answers."""

    views: Views
    views_seed: Whole


def run(config: KnowledgeConfig, given: Given, context: Context) -> Made:
    """Give knowledge.npy, float32 logits [views, samples, classes]."""
    from edgekd.learn import answers
    from edgekd.learn import arithmetic
    from edgekd.learn import arrays
    from edgekd.learn import blueprint

    teacher = blueprint.load(given["blueprint"], given["weights"], allow_code=context.allow_code)
    resolved = Arithmetic.model_validate_json(given["resolved"].read_bytes())
    samples = arrays.open_samples(given, config.views, config.views_seed)
    out = context.folder / "knowledge.npy"
    teacher.to(arithmetic.choose_device())
    answers.write_knowledge(teacher, samples, out, resolved, context.progress)
    return {"knowledge.npy": out}


STAGE = Stage("knowledge", KnowledgeConfig, run, packages=("torch", "numpy", "scipy"))
