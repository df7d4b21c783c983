"""What would fail in three hours, refused now."""

from __future__ import annotations

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.recipe import Recipe
from edgekd.run import Options
from edgekd.runtimes import RUNTIMES
from edgekd.stage import package_version


def want_allowed(recipe: Recipe, options: Options) -> None:
    """Refuse a user's own code unless the user said it may run.

    Raises:
        InputError: naming the key and the reference.
    """
    named = {
        "data.source": recipe.data.source,
        "teacher.model": recipe.teacher.model,
        "student.model": recipe.student.model,
    }
    for key, member in named.items():
        if member.name == "python" and not options.allow_code:
            raise InputError(
                f"{key}: got {member}, which runs your own code, want leave to run it",
                hint="add --allow-code",
            )


def want_installed(recipe: Recipe) -> None:
    """Refuse now what would fail for lack of a package later.

    Raises:
        MachineError: naming the package and the line that installs it.
    """
    needs = {"torch": "learn", "lightning-fabric": "learn", "onnxscript": "learn"}
    for target in recipe.targets:
        needs[RUNTIMES[target.runtime].distribution] = RUNTIMES[target.runtime].extra
    for distribution, extra in needs.items():
        if package_version(distribution) is None:
            raise MachineError(
                f"{distribution}: is not installed", hint=f"pip install 'edgekd[{extra}]'"
            )
