"""The config.json of a published model: data of strangers, admitted before the transformers package sees it."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Collection
from typing import Any
from typing import TypeGuard

from edgekd.errors import InputError
from edgekd.errors import find_nearest

LARGEST_CONFIG_BYTES = 2**22
LABELS = ("num_labels", "id2label", "label2id")
LEFT_OUT = ("num_channels", "transformers_version", "_name_or_path")
"""Those of the checkpoint it came from, which are never handed on; sizes are the caller's."""
MOST_LAYERS, MOST_SIZE = 1000, 2**24
"""Of what is built one by one; of every other whole number but a base of rotations."""
_OLDER = (
    *("rope_theta", "rope_scaling", "rope_local_base_freq", "partial_rotary_factor"),
    *("rotary_pct", "rotary_emb_base", "sliding_window_pattern"),
)
"""What older files say of rotations and windows; the package reads it, though no type declares it any more."""
_SINCE_GONE = {"position_embedding_type": "absolute"}
"""What the package cannot build otherwise any more."""
_CODE = ("auto_map", "custom_pipelines", "trust_remote_code")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_|-]*")
"""An activation, a kind of layer; a path, an address or a package's module has other signs."""
_BUILT_ONE_BY_ONE = re.compile(r"layers?$|layer|group|block|depth|stage|stack")
_DEEPEST = 4
_ABOVE_ZERO = re.compile(
    r"(^|_|\.)(eps|epsilon)$|ro(pe|tary)(_|\.).*(theta|base|freq|factor)$|rotary_pct$"
)
"""What is added to a variance, and bases and factors of rotations: at 0 or below there are no numbers to compute with."""
_LARGEST_BASE = 2**53
"""Of rotations."""


def parse_config(text: str, where: str, types: Collection[str], wanted: str) -> dict[str, Any]:
    """The fields of a configuration.

    Args:
        text: JSON.
        where: how to call it in a message.
        types: the model types that are built.
        wanted: what they are, for a message.

    Raises:
        InputError: unless ``model_type`` is one of `types` and no field names a path or code, or a size beyond reason.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: got a configuration that is no JSON") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("model_type"), str):
        raise InputError(f"{where}: got a configuration without model_type")
    kind = fields["model_type"]
    if kind not in types:
        raise InputError(
            f"{where}: got model_type {kind[:80]!r}, want {wanted}", hint=find_nearest(kind, types)
        )
    for name, value in fields.items():
        if name in _CODE:
            raise InputError(f"{where}: {name}: got a configuration that brings its own code")
        if name in _SINCE_GONE and value != _SINCE_GONE[name]:
            want = _SINCE_GONE[name]
            raise InputError(f"{where}: {name}: got {str(value)[:40]!r}, want {want!r}")
        if name not in (*LABELS, *LEFT_OUT):
            _require_plain(value, name, f"{where}: {name[:80]}", _DEEPEST)
    return fields


def keep_declared(package: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Keep what the model type itself declares, under its own names: sizes, depths, activations.

    What every configuration of the package takes is left out, since some of it makes the package look for code
    (``attn_implementation``).
    """
    kind = type(package.AutoConfig.for_model(fields["model_type"]))
    common = inspect.signature(package.PreTrainedConfig).parameters
    known = {*inspect.signature(kind).parameters, *kind.attribute_map} - {*common, *LABELS}
    known = known - {*LEFT_OUT} | {"architectures", *_OLDER}
    own = kind.attribute_map
    kept = {own.get(name, name): value for name, value in fields.items() if name in known}
    return kept | {name: value for name, value in fields.items() if name in known - {*own}}


def name_classes(fields: dict[str, Any]) -> tuple[str, ...]:
    """Names of the classes in the checkpoint's order; empty where the configuration names none."""
    named = fields.get("id2label")
    if not isinstance(named, dict):
        return ()
    found = [named.get(str(number)) for number in range(len(named))]
    return tuple(map(str, found)) if all(found) else ()


def _require_plain(value: object, field: str, where: str, deepest: int) -> None:
    """Raises InputError unless `value` is made of numbers of a reasonable size and single words alone."""
    if isinstance(value, dict | list) and deepest:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in pairs:
            _require_plain(name, "", where, 0)
            _require_plain(item, f"{field}.{name}", f"{where}.{name}", deepest - 1)
    elif isinstance(value, dict | list):
        raise InputError(f"{where}: got a configuration that nests too deeply")
    elif isinstance(value, str) and value and not _WORD.fullmatch(value):
        raise InputError(
            f"{where}: got {value[:80]!r}, want a number or a single word: a configuration may name no "
            "path, address or code"
        )
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: got {value}, want a finite number")
    elif _ABOVE_ZERO.search(field) and _is_number(value) and value <= 0:
        raise InputError(f"{where}: got {value}, want a number above 0")
    elif type(value) is int:
        most = MOST_LAYERS if field.count(".") == 0 and _is_repeated(field) else MOST_SIZE
        most = _LARGEST_BASE if "rope" in field else most
        if abs(value) > most:
            raise InputError(f"{where}: got {str(value)[:30]}, want at most {most}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_repeated(field: str) -> bool:
    """Whether a field says how many parts are built one by one."""
    return bool(_BUILT_ONE_BY_ONE.search(field)) and "size" not in field and "width" not in field
