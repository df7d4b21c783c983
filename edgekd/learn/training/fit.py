"""The one training loop: every model that learns anything learns it here."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_fabric import Fabric
from torch import Tensor
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.learn import arithmetic
from edgekd.learn import compilation
from edgekd.learn import heap
from edgekd.learn.data.loader import Batch
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.loss_values import LossValues
from edgekd.learn.method.loss_values import NotFiniteLoss
from edgekd.learn.method.schedule import learning_rate
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.parallel import ranks
from edgekd.learn.parallel.sharing import share_networks
from edgekd.learn.privacy import dp_sgd
from edgekd.learn.training import checkpoint
from edgekd.learn.training.batches import require_full_batch
from edgekd.learn.training.batches import to_tensors
from edgekd.learn.training.holding import hold_parameters
from edgekd.learn.training.monitor import StepMonitor
from edgekd.learn.training.optimizer import RATE
from edgekd.learn.training.optimizer import build_average
from edgekd.learn.training.optimizer import build_optimizer
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.training.state import TrainingState
from edgekd.progress import EpochEnd

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
ROLLBACKS = 3
"""How often a run may go back after a NaN before it gives up."""


class TrainingDiverged(EdgekdError):
    """A loss was no number and the recipe does not say to go back (or it went back too often)."""

    exit_code = 1


def fit(run: TrainingRun) -> list[dict[str, float]]:
    """Train ``run.model`` in place; goes on from the last checkpoint if there is one.

    Returns:
        One row an epoch: the mean of each loss term, the learning rate, score on the validation split.

    Raises:
        InputError: if a batch does not fit the training split or the ranks, or a loss lacks a signal.
        TrainingDiverged: if a loss is NaN or infinite; names the term and the step.
    """
    require_full_batch(run.training.batch_size, len(run.samples))
    ranks.require_even_batch(run.training.batch_size)
    with (
        arithmetic.deterministic_torch(run.seed, run.resolved.threads),
        heap.keep_freed_memory(),
        _compiled(run) as forward,
    ):
        loop = _Loop(run, forward)
        if not loop.restore() and run.training.on_nan == "rollback":
            loop.save()
        while loop.state.epoch < run.training.epochs and not loop.stopped_early():
            try:
                loop.epoch()
            except NotFiniteLoss as fault:
                loop.roll_back(fault)
        loop.finish()
        return loop.state.history


@contextmanager
def _compiled(run: TrainingRun) -> Iterator[compilation.CompiledForward | None]:
    """The model's forward as it was tuned to be: compiled, or as it is."""
    if run.resolved.compiler is None:
        yield None
        return
    why_not = "each sample's gradient is taken alone" if run.private else ""
    why_not = "several ranks share it out" if ranks.count() > 1 else why_not
    with compilation.compiled_training(run.model, run.progress.note, why_not) as forward:
        yield forward


class _Loop:
    """The run's moving parts."""

    def __init__(self, run: TrainingRun, forward: compilation.CompiledForward | None) -> None:
        self.run, self.state, self.forward = run, TrainingState(), forward
        run.progress = ranks.silence_others(run.progress)
        self.fabric = Fabric(
            accelerator=arithmetic.choose_device().type,
            devices=ranks.devices(),
            precision=arithmetic.FABRIC_PRECISION[run.resolved.precision],
        )
        run.scheme.companions.to(self.fabric.device).train()
        self.trained = nn.ModuleDict({"student": run.model, "companions": run.scheme.companions})
        ranks.begin_alike(self.trained)
        self.still = run.rates.freeze(run.model)
        self.held = hold_parameters(run, self.fabric.device)
        factors = {run.model.get_parameter(n): f for n, f in run.rates.factors.items()}
        # A fused optimizer takes the scale off half-precision gradients itself, after they were clipped.
        on_gpu = self.fabric.device.type == "cuda"
        fused = on_gpu and run.resolved.precision != "fp16" and not self.held.is_sharded
        bare = build_optimizer(self.trained, run.training, factors, fused=fused)
        self.student, self.optimizer = self.fabric.setup(run.model, bare)
        self.averaged = build_average(run.model, run.training)
        self.best: dict[str, Tensor] = {}
        self.steps_an_epoch = len(run.samples) // run.training.batch_size
        self.total_steps = self.steps_an_epoch * run.training.epochs
        self.monitor = StepMonitor(run, self.total_steps)
        self.saved_at = time.monotonic()

    def epoch(self) -> None:
        """The rest of the epoch the run is in."""
        run, state = self.run, self.state
        done = state.step - state.epoch * self.steps_an_epoch
        batches = run.open_epoch(state.epoch, done)
        self.student.train()
        for module in self.still:
            module.training = False
        try:
            for batch in batches:
                self.monitor.add(self.step(batch))
                state.step += 1
                self.monitor.show(state)
                if self.checkpoint_due():
                    self.save()
        except Exception:
            self.monitor.read(state)  # what weights that are no numbers led to is not the cause
            raise
        self.close_epoch()

    def step(self, batch: Batch) -> LossValues:
        """One update of the weights; the value of each loss term before it."""
        run = self.run
        now = (
            learning_rate(run.training, self.state.step / self.total_steps) * self.state.rate_factor
        )
        for group in self.optimizer.param_groups:
            group["lr"] = now * group[RATE]
        tensors = self.tensors(batch)
        # Peers and exits are cast here, the student casts itself.
        asked = (
            dp_sgd.PrivateStudent(run.model, run.private, len(batch.indices))
            if run.private
            else None
        )
        with share_networks(tensors.inputs), self.fabric.autocast():
            lessons = run.scheme.lessons(asked or self.student, tensors)
        loss, values = compute_lessons(run.terms, lessons, tensors.epoch)
        self.optimizer.zero_grad()
        (asked or self.fabric).backward(loss)
        self.held.average_gradients(self.trained)
        if (most := run.training.clip_norm) is not None:
            self.held.clip_gradients(self.fabric, self.trained, self.optimizer, most)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(run.model)
        return values

    def tensors(self, batch: Batch) -> TensorBatch:
        """The batch as tensors on the training device, in its memory order."""
        epoch = self.state.step / self.steps_an_epoch
        return to_tensors(batch, self.run.resolved, epoch, self.run.training.epochs)

    def close_epoch(self) -> None:
        """Write the epoch's row, keep the best weights, keep a checkpoint if it is time."""
        state, model = self.state, self.answer()
        self.monitor.read(state)
        model.eval()
        row = {name: total / self.steps_an_epoch for name, total in state.sums.items()}
        row["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        if (ask := self.run.score) is not None:
            row["score"] = score = self.held.ask_score(lambda: ask(model))
            self.keep_best(score, model)
        state.history.append(row)
        state.epoch, state.sums = state.epoch + 1, {}
        self.keep_waypoint(model)
        if self.run.training.checkpoint_every_s == 0 or self.checkpoint_due():
            self.save()
        with arithmetic.hold_random_states():
            self.run.progress.event(EpochEnd("", state.epoch, self.run.training.epochs, dict(row)))

    def keep_best(self, score: float, model: nn.Module) -> None:
        """Remember that this epoch's score is the best so far, if it is, and its weights if they are to be kept."""
        if self.state.is_best(score, self.run.better):
            self.state.best_score, self.state.best_epoch = score, self.state.epoch
            if self.run.training.keep == "best":
                self.best = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def keep_waypoint(self, model: nn.Module) -> None:
        """Keep the weights as they are now if this epoch ends a stretch of the way."""
        run, stretches = self.run, self.run.waypoints + 1
        for number in range(1, stretches):
            if self.state.epoch == round(number * run.training.epochs / stretches):
                whole = self.held.gather(model.state_dict())
                run.passed.update({f"{number}/{k}": v.detach().clone() for k, v in whole.items()})

    def answer(self) -> nn.Module:
        """The weights that would be kept now."""
        return self.run.model if self.averaged is None else self.averaged.module

    def stopped_early(self) -> bool:
        """Return whether the score has stood still for as long as the recipe allows."""
        patience = self.run.training.early_stop_epochs
        return patience is not None and self.state.epoch - 1 - self.state.best_epoch >= patience

    def finish(self) -> None:
        """Leave in ``run.model`` the weights that are kept.

        Raises:
            TrainingDiverged: if they are not finite.
        """
        kept = self.best or self.answer().state_dict()
        self.run.model.load_state_dict(copy.deepcopy(kept))
        self.held.join()
        self.run.model.to("cpu").eval()
        for name, tensor in self.run.model.state_dict().items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise TrainingDiverged(f"{name}: got weights that are no numbers after training")

    def roll_back(self, fault: NotFiniteLoss) -> None:
        """Go back to the last checkpoint at half the rate, or stop."""
        state, training = self.state, self.run.training
        where = f"step {state.step} (epoch {state.epoch + 1}): loss {fault}"
        if training.on_nan == "stop":
            raise TrainingDiverged(
                where, hint="lower learning_rate, set clip_norm, or on_nan: rollback"
            )
        rollbacks, factor = state.rollbacks + 1, state.rate_factor / 2
        if rollbacks > ROLLBACKS or not self.restore():
            raise TrainingDiverged(f"{where}, after {state.rollbacks} rollbacks")
        self.state.rollbacks, self.state.rate_factor = rollbacks, factor
        self.save()
        self.run.progress.note(f"{where}: back to step {self.state.step} at {factor:g} of the rate")

    def checkpoint_due(self) -> bool:
        """Return whether a kill now would cost more than the recipe allows."""
        every_s = self.run.training.checkpoint_every_s
        return every_s > 0 and self.held.agree(time.monotonic() - self.saved_at >= every_s)

    def save(self) -> None:
        """Keep everything the rest of the run depends on.

        Raises:
            NotFiniteLoss: if a loss was no number: such weights are not kept.
        """
        self.monitor.read(self.state)
        self.saved_at = time.monotonic()
        tensors = checkpoint.add_prefix("model", dict(self.trained.state_dict()))
        tensors |= checkpoint.add_prefix("optimizer", checkpoint.flatten_optimizer(self.optimizer))
        tensors = self.held.gather(tensors | checkpoint.add_prefix("best", self.best))
        if ranks.rank():
            return
        tensors |= checkpoint.add_prefix("passed", self.run.passed)
        tensors |= arithmetic.get_random_states()
        if self.averaged is not None:
            tensors |= checkpoint.add_prefix("averaged", dict(self.averaged.state_dict()))
        values = {name: getattr(self.state, name) for name in TrainingState.__slots__}
        values["precision"] = self.fabric.strategy.precision.state_dict()
        values["compiled"] = self.forward and self.forward.is_compiled
        checkpoint.write(self.run.checkpoints, self.state.step, tensors, values)
        self.saved_at = time.monotonic()

    def restore(self) -> bool:
        """Go to the last checkpoint; False if there is none."""
        data = ranks.read_on_first(lambda: checkpoint.read_newest(self.run.checkpoints))
        if data is None:
            return False
        tensors, values = checkpoint.parse(data)
        own = self.trained.state_dict()
        self.trained.load_state_dict(
            self.held.share(checkpoint.strip_prefix("model", tensors), own)
        )
        moments = checkpoint.strip_prefix("optimizer", tensors)
        owners = checkpoint.list_owners(self.optimizer, moments)
        checkpoint.restore_optimizer(self.optimizer, self.held.share(moments, owners))
        own = self.run.model.state_dict()
        self.best = self.held.share(checkpoint.strip_prefix("best", tensors), own)
        self.run.passed = checkpoint.strip_prefix("passed", tensors)
        arithmetic.set_random_states(tensors)
        if self.averaged is not None:
            self.averaged.load_state_dict(checkpoint.strip_prefix("averaged", tensors))
        if scaler := values.pop("precision", None):
            self.fabric.strategy.precision.load_state_dict(scaler)
        compiled = values.pop("compiled", None)
        if self.forward is not None:
            self.forward.expected = compiled
        self.state = TrainingState(**values)
        self.monitor.start_from(self.state.step)
        return True
