"""Writes the tables of results.json as Markdown."""

from __future__ import annotations

from typing import Any

from compare import FEWEST_SEEDS
from compare import Row
from compare import interval
from draw import ordered
from words import CONTROL
from words import EPOCHS
from words import KD
from words import PAIRS
from words import SEEDS
from words import STUDENTS_TRAIN
from words import SUBSET
from words import methods

POINTS = 100
GREY = '<span style="color:#999999">{}</span>'
"""Around what is known of too few seeds."""
ABOUT = """\
# Methods beside the same student without them

Fashion-MNIST at half its side (14 x 14, means of 2 x 2 pixels), so that a run takes seconds and every row has its seeds. The
teacher learned from 8,800 images; each student learns from the same {subset:,} of them, {epochs} epochs of {steps} steps,
batch {batch}, mirrored and shifted views, one cycle, on one thread of {cpu}. Seeds {seeds}: they change the first weights and the order of
images, for all methods alike. What is given is the accuracy of the last weights on the 10,000 test images, in float32.

## The protocol

- **Rate.** For each pair the peak at which its control has the best mean validation accuracy (1,200 images, all seeds), the best
  inside the grid:

{rates}

  Methods are not tuned one by one: what is given is what a user has who adds a line to a recipe that is tuned without it.
- **Weights.** `control` learns from labels alone, in as many steps. `kd` is 0.9 of kd at temperature 4 and 0.1 of the labels'
  cross-entropy. Every other loss is added to the labels' cross-entropy, whose weight is 1, with its default weight, ramp and layers: the
  literature's, and where the gradient grows with fewer classes (`dkd`, `mlkd`, `wsld`) the literature's for 100 classes
  times 10 / 100. `kd-standardized` has its authors' 9 so scaled, beside 0.1 of the labels. Beside them stand the authors' number as it is
  (`published weight`) and times the root of 10 / 100, which keeps the norm of the gradient (`weight by the root`). `dkd` and `reviewkd` rise
  over a twelfth of the epochs, as their authors' do over 20 of 240; `published weight` and `no ramp` do not.
- **Intervals.** Differences are in points, seed by seed. After what a seed does to all methods of a pair alike is taken off, the
  difference of two runs has a standard deviation of {deviations}: of this pair's own runs, never of another's. The
  95 % interval comes from that; for a method whose own differences spread more than 2.15 times as far, from those alone (Student's t).
- **Calls.** Better or worse is said of a row with {fewest} seeds or more whose interval lies on one side. What has fewer is grey, has no
  interval, and is not called. With {count} rows a pair, about one in twenty misses the truth by chance; nothing is corrected for that.
- **Time** is a step's CPU time beside the control's; other work shared the cores, so a tenth or two says nothing. Methods that
  compare answers alone read the teacher's stored ones; those that look inside run the teacher at every step. Parameters are those
  trained beside the student, which are not shipped; `simkd` alone makes the student itself larger.

## What it does not show

Ten classes, one data set, students that see {subset:,} small images for {total} steps: far from convergence. Soft answers may need longer: in the 253
runs of an earlier protocol (full size, 5,000 images, 780 steps, two rates, weights of papers, one to three seeds, another teacher) `kd` had
gained 1.8 points with three seeds in a pair like `same`; they are not comparable, are left out here, and lie in the history of this file
(before 30 November 2026). For `kd-standardized` the scaled weight is no better than its authors'. Methods are
not tuned one by one, so that a loss that adds much to the gradient meets a rate that was the best without it. Which rule for weights is the
better one was seen on these runs' own validation and test accuracies, after the root had been tried. Nothing here has more than ten
classes. Two pairs of one teacher say little of others.

{state} Made by `{command}` and `python benchmarks/methods/render.py WORK`; torch {torch}. All runs: `results.json`.
"""


def readme(found: Row) -> str:
    """All of it."""
    lines, runs = found["lines"], found["runs"]
    done, wanted = len(runs), found["wanted_runs"]
    state = (
        "All runs are there." if done >= wanted else f"{done} of {wanted} runs are there so far."
    )
    batch = STUDENTS_TRAIN["batch_size"]
    steps = SUBSET // batch
    about = ABOUT.format(
        subset=SUBSET,
        epochs=EPOCHS,
        steps=steps,
        total=steps * EPOCHS,
        batch=batch,
        rates=_rates(found["rates"]),
        cpu=found["machine"]["cpu"],
        seeds=", ".join(map(str, SEEDS)),
        fewest=FEWEST_SEEDS,
        count=len(methods()),
        deviations=_deviations(found["deviations"]),
        state=state,
        command=found["command"],
        torch=found["versions"]["torch"],
    )
    parts = [about]
    for pair in PAIRS:
        here = [row for row in lines if row["pair"] == pair]
        if here:
            parts.append(_pair(pair, here, found))
    return "\n".join([*parts, _broken(lines)])


def _rates(tuned: Row) -> str:
    """A table: the control's validation accuracy at each rate, the pair's own in bold."""
    rates = list(dict.fromkeys(rate for found in tuned.values() for rate in found))
    rows = ["| pair | " + " | ".join(rates) + " |", "|---" * (len(rates) + 1) + "|"]
    for pair, found in tuned.items():
        own = f"{PAIRS[pair].learning_rate:g}"
        cells = [f"{POINTS * found[rate]:.2f}" if rate in found else "" for rate in rates]
        shown = (f"**{c}**" if rate == own else c for c, rate in zip(cells, rates, strict=True))
        rows.append(f"| `{pair}` | " + " | ".join(shown) + " |")
    return "\n".join(f"  {row}" for row in rows)


def _pair(pair: str, lines: list[Row], found: Row) -> str:
    teacher = found["teachers_validation_accuracy"].get(PAIRS[pair].teacher)
    told = f" The teacher has {POINTS * teacher:.1f} % on validation." if teacher else ""
    control = next((row for row in lines if row["method"] == CONTROL), None)
    head = (
        "| family | method | seeds | accuracy, % | less control | less kd | time | parameters |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    table = "\n".join([head, *(_row(row, control) for row in ordered(lines))])
    return (
        f"## `{pair}`: {PAIRS[pair].about}\n\n{_said(lines)}{told}\n\n"
        f"![differences from the control]({pair}.svg)\n\n{table}\n"
    )


def _row(row: Row, control: Row | None) -> str:
    time = ""
    if row["cpu_step_s"] and control and control["cpu_step_s"]:
        time = f"{row['cpu_step_s'] / control['cpu_step_s']:.2f}"
    accuracy = "–" if row["mean"] is None else f"{POINTS * row['mean']:.2f}"
    if row["spread"] is not None:
        accuracy += f" ± {POINTS * row['spread']:.2f}"
    flags = "".join(f", {number} {flag}" for flag, number in row["flags"].items())
    extra = f"{row['companion_parameters']:,}" if row["companion_parameters"] else ""
    more = row["student_parameters"] - (control or row)["student_parameters"]
    extra += f" (ships {more:,} more)" if more > 0 else ""
    cells = [row["family"], f"`{row['method']}`", f"{len(row['seeds'])}{flags}", accuracy]
    cells += [_apart(row["control"]), _apart(row["kd"]), time, extra]
    if len(row["seeds"]) < FEWEST_SEEDS:
        cells = [GREY.format(cell) if cell else "" for cell in cells]
    return f"| {' | '.join(cells)} |"


def _apart(found: Any) -> str:
    if found is None:
        return ""
    mean, ends = f"{POINTS * found['mean']:+.2f}", interval(found)
    return mean if ends is None else f"{mean} [{POINTS * ends[0]:+.2f}, {POINTS * ends[1]:+.2f}]"


def _deviations(each: Row) -> str:
    return ", ".join(
        f"{POINTS * value:.2f} points (`{pair}`)"
        if value
        else f"nobody knows what (`{pair}`: too few runs)"
        for pair, value in each.items()
    )


def _said(lines: list[Row]) -> str:
    """Which methods hurt, and which help, in sentences: those that have an interval."""
    control, kd = (
        {row["method"]: row[other] for row in lines if row[other] and interval(row[other])}
        for other in (CONTROL, KD)
    )
    if not control and not kd:
        return "Too few methods have enough seeds to call any better or worse."
    hurt = [name for name, apart in control.items() if apart["high"] < 0]
    help_ = [name for name, apart in control.items() if apart["low"] > 0]
    below = [name for name, apart in control.items() if apart["mean"] < 0]
    above = [name for name, apart in kd.items() if apart["low"] > 0]
    under = [name for name, apart in kd.items() if apart["high"] < 0 and name != CONTROL]
    return (
        f"These hurt, their whole interval lies below the control: {_listed(hurt)}. "
        f"{len(below)} of {len(control)} methods with an interval are below it in the mean, "
        f"{len(help_)} above it with their whole interval. "
        f"Above `kd` with it: {_listed(above)}; below: {_listed(under)}."
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _broken(lines: list[Row]) -> str:
    rows = [row for row in lines if row["flags"]]
    if not rows:
        return "No run failed, diverged or stayed at chance.\n"
    told = [
        f"- `{row['pair']}`, `{row['method']}`: "
        + ", ".join(f"{number} {flag}" for flag, number in row["flags"].items())
        + (f" ({row['error']})" if row["error"] else "")
        for row in rows
    ]
    return "## Failed, diverged, or at chance\n\n" + "\n".join(told) + "\n"
