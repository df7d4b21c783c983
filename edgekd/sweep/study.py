"""Keeps the settings of a sweep in an Optuna study: gives out the next one, takes in what came of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.sweep.space import SearchSpace
from edgekd.sweep.space import Setting
from edgekd.sweep.trial_locks import TrialLocks

if TYPE_CHECKING:
    import optuna

SETTING, OUTCOME, ERROR = "setting", "outcome", "error"
EXCESS, OWNER, RETRIED = "excess", "owner", "retried"
"""What a trial says of itself; `RETRIED` the study, of trials that failed and count no more."""
REPEATS = 30
"""Suggestions of settings that were tried, after which no new one is expected."""
BUSY_S = 60
"""How long a process waits for another one's write to an SQLite file."""


class SweepTrial(NamedTuple):
    """A setting that this process carries out."""

    setting: dict[str, str]
    trial: optuna.Trial


class SettingFailure(NamedTuple):
    """A setting that could not be carried out, by the user's error."""

    setting: dict[str, str]
    error: str


class SweepStudy:
    """One sweep in its storage, which several processes may share."""

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        *,
        most: int,
        is_limited: bool,
        folder: Path,
    ) -> None:
        """
        Args:
            study: with two objectives, both as numbers of which the first is to grow and the second to shrink.
            space: of its settings.
            most: how many settings are tried in all; where that is all there are, each of them is.
            is_limited: whether a budget has limits.
            folder: for locks.
        """
        self._study, self._space, self._is_limited = study, space, is_limited
        count = space.setting_count
        self.is_grid = count is not None and count <= most
        self.most = count if self.is_grid and count is not None else most
        self._locks = TrialLocks(folder)
        with self._locks.hold_study():
            self._retry_failures()

    @contextmanager
    def claim(self) -> Iterator[SweepTrial | None]:
        """Hold the next setting while it is carried out; None if all are done or at work elsewhere.

        One whose process died before it was recorded is given out again.
        """
        with ExitStack() as held:
            with self._locks.hold_study():
                self._requeue_dead()
                trial = self._ask()
                if trial is not None:
                    held.enter_context(self._locks.hold_trial(trial.number))
            yield None if trial is None else SweepTrial(self._setting_of(trial), trial)

    def record(
        self,
        claimed: SweepTrial,
        outcome: Mapping[str, Any],
        values: tuple[float, float],
        excess: Sequence[float],
    ) -> None:
        """Take in what a setting came to.

        Args:
            claimed: of `claim`.
            outcome: JSON.
            values: the score, more is better, and the latency in ms.
            excess: by how much each limit is missed, always as many.
        """
        claimed.trial.set_user_attr(EXCESS, list(excess))
        claimed.trial.set_user_attr(OUTCOME, dict(outcome))
        with (
            self._locks.hold_study()
        ):  # so that nobody who holds it takes it for one whose process died
            self._study.tell(claimed.trial, list(values))

    def record_failure(self, claimed: SweepTrial, error: str) -> None:
        """Take in that a setting cannot be carried out."""
        from optuna.trial import TrialState

        claimed.trial.set_user_attr(ERROR, error)
        with self._locks.hold_study():
            self._study.tell(claimed.trial, state=TrialState.FAIL)

    def outcomes(self) -> list[dict[str, Any]]:
        """What `record` took in, each setting once, in the order of their settings' texts."""
        done = {_key_of(each): each for each in self._trials() if OUTCOME in each.user_attrs}
        return [dict(done[key].user_attrs[OUTCOME]) for key in sorted(done)]

    def failures(self) -> list[SettingFailure]:
        """What `record_failure` took in and was not tried again."""
        retried = self._retried()
        return [
            SettingFailure(dict(each.user_attrs[SETTING]), each.user_attrs[ERROR])
            for each in self._trials()
            if ERROR in each.user_attrs and each.number not in retried
        ]

    def count_running(self) -> int:
        """How many settings other processes are at work on."""
        return sum(self._is_running(each) for each in self._trials())

    def _trials(self) -> list[optuna.trial.FrozenTrial]:
        trials: list[optuna.trial.FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials

    def _retried(self) -> set[int]:
        return set(self._study.user_attrs.get(RETRIED, ()))

    def _is_running(self, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether a process is at work on it; one on another machine is believed to be."""
        if trial.state.name != "RUNNING":
            return False
        if trial.user_attrs.get(OWNER, self._locks.owner) != self._locks.owner:
            return True
        return self._locks.is_held(trial.number)

    def _counts(self, trial: optuna.trial.FrozenTrial, retried: set[int]) -> bool:
        """Whether a trial is done, waits or is at work."""
        if trial.state.name == "FAIL":
            return ERROR in trial.user_attrs and trial.number not in retried
        return True

    def _retry_failures(self) -> None:
        """What failed in an earlier run is tried again: the user may have mended it."""
        trials, retried = self._trials(), self._retried()
        if any(map(self._is_running, trials)):
            return
        failed = [t for t in trials if ERROR in t.user_attrs and t.number not in retried]
        self._study.set_user_attr(RETRIED, sorted(retried | {trial.number for trial in failed}))
        for trial in failed:
            self._enqueue(trial.params, trial.user_attrs[SETTING])

    def _requeue_dead(self) -> None:
        from optuna.trial import TrialState

        for trial in self._trials():
            if trial.state.name == "RUNNING" and not self._is_running(trial):
                self._study.tell(trial.number, state=TrialState.FAIL)
                self._enqueue(trial.params, self._setting_of(trial))

    def _enqueue(self, params: Mapping[str, Any], setting: Setting) -> None:
        self._study.enqueue_trial(dict(params), user_attrs={SETTING: dict(setting)})

    def _ask(self) -> optuna.Trial | None:
        """The next setting that was not tried; None if there are enough, or no new one comes up."""
        from optuna.trial import TrialState

        trials, retried = self._trials(), self._retried()
        counted = [trial for trial in trials if self._counts(trial, retried)]
        begun = {_key_of(trial) for trial in counted if trial.state.name != "WAITING"}
        if self.is_grid:
            waiting = {_key_of(trial) for trial in counted} - begun
            for setting in self._space.settings():
                if _sort_items(setting) not in begun | waiting:
                    self._enqueue(setting, setting)
        if len(begun) >= self.most:
            return None
        for _ in range(REPEATS):
            trial = self._suggest()
            if _sort_items(self._setting_of(trial)) not in begun:
                trial.set_user_attr(SETTING, self._setting_of(trial))
                trial.set_user_attr(OWNER, self._locks.owner)
                return trial
            self._study.tell(trial, state=TrialState.FAIL)
        return None

    def _suggest(self) -> optuna.Trial:
        """Ask for a setting; one that waits comes first."""
        # by the number of trials: the same sweep asks for the same settings, and no two processes do
        count = len(self._trials())
        self._study.sampler = _make_sampler(count, is_limited=self._is_limited)
        return self._study.ask(self._distributions())

    def _setting_of(self, trial: optuna.Trial | optuna.trial.FrozenTrial) -> dict[str, str]:
        if SETTING in trial.user_attrs:
            return dict(trial.user_attrs[SETTING])
        return {
            axis.key: axis.format_number(trial.params[axis.key])
            if axis.is_range
            else str(trial.params[axis.key])
            for axis in self._space.axes
            if axis.key in trial.params
        }

    def _distributions(self) -> dict[str, optuna.distributions.BaseDistribution]:
        from optuna import distributions

        by_key: dict[str, distributions.BaseDistribution] = {}
        for axis in self._space.axes:
            if not axis.is_range:
                by_key[axis.key] = distributions.CategoricalDistribution(axis.values)
            elif axis.is_whole:
                by_key[axis.key] = distributions.IntDistribution(
                    int(axis.low), int(axis.high), log=axis.is_log
                )
            else:
                by_key[axis.key] = distributions.FloatDistribution(
                    axis.low, axis.high, log=axis.is_log
                )
        return by_key


def _key_of(trial: optuna.trial.FrozenTrial) -> tuple[tuple[str, str], ...]:
    return _sort_items(trial.user_attrs.get(SETTING, {}))


def _sort_items(setting: Setting) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(setting.items()))


def _read_excess(trial: optuna.trial.FrozenTrial) -> Sequence[float]:
    excess: Sequence[float] = trial.user_attrs.get(EXCESS, ())
    return excess


def _make_sampler(seed: int, *, is_limited: bool) -> optuna.samplers.BaseSampler:
    from optuna.samplers import TPESampler

    with warnings.catch_warnings():  # what is experimental in one version and deprecated in another
        warnings.simplefilter("ignore")
        return TPESampler(
            seed=seed, n_startup_trials=8, constraints_func=_read_excess if is_limited else None
        )


def open_study(storage: str | Path, name: str) -> optuna.Study:
    """The study of that name, made if it is not there.

    Args:
        storage: an SQLite file, or a URL as SQLAlchemy reads it.
        name: the same in every process of a sweep.

    Raises:
        InputError: if the storage cannot be opened.
        MachineError: if Optuna is missing.
    """
    try:
        import optuna
    except ImportError as error:
        hint = "pip install 'edgekd[sweep]'"
        raise MachineError("sweep: optuna is not installed", hint=hint) from error
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = storage
    if isinstance(storage, Path):
        database = str(storage.resolve())
        url = URL.create("sqlite", database=database).render_as_string(hide_password=False)
    is_sqlite = str(url).startswith("sqlite")
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_S}} if is_sqlite else {}
    try:
        return optuna.create_study(
            storage=optuna.storages.RDBStorage(str(url), engine_kwargs=options),
            study_name=name,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )
    except (SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        where = storage if isinstance(storage, Path) else "--storage"  # a URL may hold a password
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{where}: cannot be opened: {first}", hint="want sqlite:///FILE or postgresql://..."
        ) from error
