"""What would fail in three hours, refused now."""

from __future__ import annotations

from edgekd.bench.machine import host
from edgekd.device import Device
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.plan import members
from edgekd.plugins import require_distinct
from edgekd.recipe import Recipe
from edgekd.recipe.learning import PruneStep
from edgekd.recipe.steps import distillations
from edgekd.run import Options
from edgekd.runtimes import BUILT_IN
from edgekd.runtimes import KIND
from edgekd.stage import package_version


def require_allowed_code(recipe: Recipe, options: Options) -> None:
    """Refuse a user's own code unless the user said it may run, and a plugin that takes a built-in name.

    Raises:
        InputError: naming the key and the reference.
    """
    for choice in members.list_choices(recipe):
        if choice.is_own and not options.allow_code:
            raise InputError(
                f"{choice.key}: got {choice.named}, which runs your own code, want leave to run it",
                hint="add --allow-code",
            )
        choice.table.require_distinct(choice.named.name)
    for target in recipe.targets:
        require_distinct(KIND, target.runtime, BUILT_IN)


def require_data_dir(options: Options) -> None:
    """Raises InputError if the user's folder of data sets is none, and nothing may be downloaded into it."""
    if options.data_dir is None or options.allow_download:
        return
    if not options.data_dir.is_dir():
        raise InputError(f"--data-dir: got {options.data_dir}, which is no folder, want one")


def require_installed(recipe: Recipe, options: Options) -> None:
    """Refuse now what would fail for lack of a package later, here or on the device.

    Raises:
        MachineError: naming the package and the line that installs it.
    """
    needs = {"torch": "learn", "lightning-fabric": "learn", "onnxscript": "learn"}
    runtimes = [target.runtime for target in recipe.targets]
    if any(isinstance(step.words, PruneStep) for step in recipe.steps):
        needs["torch-pruning"] = "prune"
    if any(step.words.private for step in distillations(recipe.steps)):
        needs["opacus"] = "private"
    if options.device is local.DEVICE:
        own = [BUILT_IN[name] for name in runtimes if name in BUILT_IN]
        needs |= {entry.installed(): entry.extra for entry in own}
    for distribution, extra in needs.items():
        if package_version(distribution) is None:
            raise MachineError(
                f"{distribution}: is not installed", hint=f"pip install 'edgekd[{extra}]'"
            )
    _require_engines(options.device, runtimes)


def list_unmeasurable(recipe: Recipe, options: Options) -> list[str]:
    """A line for each target that cannot be measured on the device, and why."""
    runtimes = [target.runtime for target in recipe.targets]
    unable = host.why_no_engine(runtimes, options.device, run=True)
    return [f"{name}: {unable[name]}" for name in runtimes if unable.get(name) is not None]


def require_measurable(recipe: Recipe, options: Options) -> None:
    """Refuse a recipe of which no target can be measured: nothing could be chosen after all training.

    Raises:
        MachineError: naming each target and why.
    """
    lines = list_unmeasurable(recipe, options)
    if lines and len(lines) == len(recipe.targets):
        where = "here" if options.device is local.DEVICE else f"on {options.device.name}"
        raise MachineError(
            f"targets: none can be measured {where}: {'; '.join(lines)}",
            hint="name another runtime, or a --device that has it",
        )


def _require_engines(device: Device, runtimes: list[str]) -> None:
    """An engine of a plugin may be missing as long as another target is there: its row says why."""
    missing = host.why_no_engine(runtimes, device, run=False)
    for name in runtimes if device is not local.DEVICE else ():
        if missing[name] is not None and name in BUILT_IN:
            raise MachineError(
                f"device {device.name}: has no {name}", hint=f"edgekd device setup {device.name}"
            )
    if not set(runtimes) & set(BUILT_IN) and all(missing.values()):
        raise MachineError(f"device {device.name}: {missing[runtimes[0]]}")
