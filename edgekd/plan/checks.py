"""What would fail in three hours, refused now."""

from __future__ import annotations

from edgekd.bench.machine import host
from edgekd.device import Device
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.plan import members
from edgekd.recipe import Recipe
from edgekd.recipe.learning import Distil
from edgekd.run import Options
from edgekd.runtimes import RUNTIMES
from edgekd.stage import package_version


def require_allowed_code(recipe: Recipe, options: Options) -> None:
    """Refuse a user's own code unless the user said it may run, and a plugin that takes a built-in name.

    Raises:
        InputError: naming the key and the reference.
    """
    for choice in members.choices(recipe):
        if choice.own and not options.allow_code:
            raise InputError(
                f"{choice.key}: got {choice.named}, which runs your own code, want leave to run it",
                hint="add --allow-code",
            )
        choice.table.require_distinct(choice.named.name)


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
    if any(step.step == "prune" for step in recipe.learn):
        needs["torch-pruning"] = "prune"
    if any(isinstance(step, Distil) and step.private for step in recipe.learn):
        needs["opacus"] = "private"
    if options.device is local.DEVICE:
        needs |= {RUNTIMES[name].installed(): RUNTIMES[name].extra for name in runtimes}
    else:
        _want_on(options.device, runtimes)
    for distribution, extra in needs.items():
        if package_version(distribution) is None:
            raise MachineError(
                f"{distribution}: is not installed", hint=f"pip install 'edgekd[{extra}]'"
            )


def _want_on(device: Device, runtimes: list[str]) -> None:
    missing = host.describe_host(device).missing
    for name in runtimes:
        if missing.get(name, "") is not None:
            raise MachineError(
                f"device {device.name}: has no {name}", hint=f"edgekd device setup {device.name}"
            )
