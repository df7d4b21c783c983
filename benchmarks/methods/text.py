"""Writes the tables of results.json as Markdown."""

from __future__ import annotations

from typing import Any

from compare import Row
from compare import interval
from draw import ordered
from words import CONTROL
from words import KD
from words import PAIRS
from words import SEEDS
from words import SKIPPED
from words import STANDARDIZED
from words import STUDENTS_TRAIN
from words import SUBSET
from words import methods

POINTS = 100
ABOUT = """\
# Every method beside the same student without it

Fashion-MNIST. Teachers learned from 20,000 images; each student learns from the same {subset:,}, {epochs} epochs,
batch {batch}, mirrored and shifted views, one cycle up to a rate of {rate}, on one thread of {cpu}. Seeds
{seeds}: they change the first weights and the order of images, for all methods alike. What is given is the accuracy of the
last weights on the 10,000 test images, in float32.

- `control` learns from labels alone, in as many steps. `kd` is 0.9 of kd at temperature 4 and 0.1 of the labels'
  cross-entropy; `kd-standardized` is kd of z-scores with its authors' temperature 2 and weights 9 and 0.1.
- Every other loss is added to the labels' cross-entropy, whose weight is 1, with its own default weight and layers. That is
  the literature's weight but for a few: with their authors' `mlkd` ends at chance here, `semckd` is nan after 39 steps and
  `fsp` inf after 139; what each has instead, and why, `edgekd methods NAME` says. None has kd beside it, though some of their
  papers add it: so a row shows what the method gives by itself, and some stand lower than they would in their papers.
- A scheme has the losses that its documentation names, or those of `kd`. `densely-guided` and `adaptive` hear both
  teachers.
- Weights are those of papers on other data and longer training. Nothing was tuned here but the rate: for each pair
  the better one of 0.1 and 0.2 for the control, by its validation accuracy. With Nesterov's momentum, as here, a loss becomes
  unstable at about a third of the rate that plain momentum, most papers' own, allows.
- Differences are in points, over the seeds that both have. One seed says what came out once: such a row has no interval and
  is called neither better nor worse. Two or three seeds of one method say little of how far it moves from seed to seed; all
  methods of the same pair together say it well: after what a seed does to all alike is taken off, the difference of two runs
  has a standard deviation of {deviations}. A 95 % interval comes from that, as if all methods
  of its pair moved alike; no pair's intervals come from another's runs. With {count} methods, about one in twenty misses the
  truth by chance.
- Time is a step's CPU time beside the control's; other work shared the cores, so a tenth or two says nothing. Methods that compare answers alone read the teacher's stored ones; those
  that look inside, and some schemes, run the teacher at every step. Parameters are those trained beside the student,
  which are not shipped; `simkd` alone makes the student itself larger.

{state} The budget was a few hours of two cores, beside other work: `control` and `kd` come first, with
all seeds, then every method once for each pair, then further seeds. Made by `{command}` and `python benchmarks/methods/render.py WORK`; torch {torch}. All runs: `results.json`.
"""


def readme(found: Row) -> str:
    """All of it."""
    lines, runs = found["lines"], found["runs"]
    done, wanted = len(runs), found["wanted_runs"]
    state = (
        "All runs are there." if done >= wanted else f"{done} of {wanted} runs are there so far."
    )
    about = ABOUT.format(
        subset=SUBSET,
        epochs=STUDENTS_TRAIN["epochs"],
        batch=STUDENTS_TRAIN["batch_size"],
        rate=" or ".join(sorted({f"{pair.learning_rate:g}" for pair in PAIRS.values()})),
        cpu=found["machine"]["cpu"],
        seeds=", ".join(map(str, SEEDS)),
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
    return "\n".join([*parts, _broken(lines), _skipped()])


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
    apart = f"{_apart(row['control'])} | {_apart(row['kd'])}"
    named = f"| {row['family']} | `{row['method']}` | {len(row['seeds'])}{flags} "
    return f"{named}| {accuracy} | {apart} | {time} | {extra} |"


def _apart(found: Any) -> str:
    if found is None:
        return ""
    mean, ends = f"{POINTS * found['mean']:+.2f}", interval(found)
    return mean if ends is None else f"{mean} [{POINTS * ends[0]:+.2f}, {POINTS * ends[1]:+.2f}]"


def _deviations(each: Row) -> str:
    return ", ".join(
        f"{POINTS * value:.2f} points (`{pair}`)"
        if value
        else f"nobody knows what (`{pair}`: too few methods have several seeds)"
        for pair, value in each.items()
    )


def _said(lines: list[Row]) -> str:
    """Which methods hurt, and which help, in sentences: those that have an interval."""
    control, kd = (
        {row["method"]: row[other] for row in lines if row[other] and interval(row[other])}
        for other in (CONTROL, KD)
    )
    if not control and not kd:
        return "Too few methods have several seeds to call any better or worse."
    hurt = [name for name, apart in control.items() if apart["high"] < 0]
    help_ = [name for name, apart in control.items() if apart["low"] > 0]
    below = [name for name, apart in control.items() if apart["mean"] < 0]
    above = [name for name, apart in kd.items() if apart["low"] > 0]
    return (
        f"These hurt, their whole interval lies below the control: {_listed(hurt)}. "
        f"{len(below)} of {len(control)} methods with an interval are below it in the mean, "
        f"{len(help_)} above it with their whole interval. "
        f"Above `kd` with it: {_listed(above)}."
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


def _skipped() -> str:
    told = [f"- `{name}`: {why}." for name, why in SKIPPED.items()]
    note = f"`{STANDARDIZED}` is `kd` with `standardize: true`.\n"
    return "## Left out\n\n" + "\n".join(told) + f"\n\n{note}"
