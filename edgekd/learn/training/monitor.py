"""What a training says while it runs, and the one place where it waits for the device to say it."""

from __future__ import annotations

import time

from edgekd.learn.method.loss_values import LossValues
from edgekd.learn.method.loss_values import NotFiniteLoss
from edgekd.learn.method.loss_values import read_values
from edgekd.learn.parallel import ranks
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.training.state import TrainingState

EVERY_S = 0.2
"""Between two lines of progress."""


class StepMonitor:
    """Collects the terms' values of each step and reads them a few times a second."""

    def __init__(self, run: TrainingRun, total_steps: int) -> None:
        self.run, self.total_steps = run, total_steps
        self.shown_at, self.shown_step = time.monotonic(), 0
        self.unread: list[LossValues] = []

    def add(self, values: LossValues) -> None:
        """Keep the values of a step, on the device."""
        self.unread.append(values)

    def start_from(self, step: int) -> None:
        """Forget what was not read: training goes on from a checkpoint."""
        self.unread, self.shown_step = [], step

    def read(self, state: TrainingState) -> dict[str, float]:
        """Add the values of the steps since the last reading to the epoch's sums; give those of the last step.

        The device is waited for here alone, so a loss that is no number shows only now, some steps late.

        Raises:
            NotFiniteLoss: if one is NaN or infinite; the state's step is then the one it came from.
        """
        unread, self.unread = self.unread, []
        try:
            rows = read_values(unread)
        except NotFiniteLoss as fault:
            state.step -= len(unread) - fault.place
            raise
        for row in rows:
            for name, value in row.items():
                state.sums[name] = state.sums.get(name, 0.0) + value
        return rows[-1] if rows else {}

    def show(self, state: TrainingState) -> None:
        """A few times a second: terms by name, throughput.

        Raises:
            NotFiniteLoss: as `read`. Ranks look at every step, for they go back together.
        """
        now = time.monotonic()
        due = now - self.shown_at >= EVERY_S or state.step >= self.total_steps
        values = self.read(state) if due or ranks.count() > 1 else {}
        if not due:
            return
        samples = (state.step - self.shown_step) * self.run.training.batch_size
        speed = samples / max(now - self.shown_at, 1e-9)
        terms = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        text = f"epoch {state.epoch + 1}/{self.run.training.epochs}  {terms}  {speed:,.0f}/s"
        self.run.progress.update(state.step, self.total_steps, text)
        self.shown_at, self.shown_step = now, state.step
