"""Changes to a built model, by the name a blueprint uses: each is ``apply(model, edit, interface)``.

An edit changes what a model *is* (its layers, their shapes), never its weights: they are loaded
after all edits were replayed. `apply` may change `model` in place or give another module; `interface`
is what the whole takes and gives.
"""

from __future__ import annotations

from edgekd.table import Member

EDITS: dict[str, Member] = {
    "adapt": Member("edgekd.learn.edits.adapt", "apply", "other images, another order of classes"),
    "deploy": Member("edgekd.learn.edits.deploy", "apply", "branches for training merged"),
    "factorize": Member("edgekd.learn.edits.factorize", "apply", "layers split into smaller ones"),
    "group-norm": Member(
        "edgekd.learn.edits.group_norm", "apply", "group norms in place of batch norms"
    ),
    "prune": Member("edgekd.learn.edits.prune", "apply", "layers with fewer channels"),
    "quantize": Member(
        "edgekd.learn.edits.quantize", "apply", "traced, batch norms folded, quantizers put in"
    ),
    "quantize-weights": Member(
        "edgekd.learn.edits.quantize_weights", "apply", "weights alone stored in blocks"
    ),
    "reuse": Member(
        "edgekd.learn.edits.reuse", "apply", "answers through a projector and another's classifier"
    ),
}
