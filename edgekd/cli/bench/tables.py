"""Prints a measurement for people: one table, then a line a scenario, then what was odd."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns

if TYPE_CHECKING:
    from edgekd.bench.metric import MeasuredMetric
    from edgekd.bench.result import MeasurementDocument
    from edgekd.bench.result import Scenario
    from edgekd.bench.result import SubjectResult

HEADER = ("model", "engine", "p50 ms", "95 % interval", "status")
MORE = ("model", "engine", "caller's ms", "p90 ms", "peak RSS", "cold start")
Metrics = Mapping[str, "MeasuredMetric"]


def print_document(made: MeasurementDocument) -> None:
    """Print the document of a session."""
    print_columns([HEADER, *map(latency_row, made.results)])
    echo()
    print_columns([MORE, *map(resource_row, made.results)])
    lines = [line for result in made.results for line in scenario_rows(result)]
    if lines:
        echo()
        print_columns(lines)
    warnings: dict[str, None] = {}
    for result in made.results:
        for reason in result.valid.reasons:
            echo(f"{result.subject.name}: the numbers do not count: {reason}")
        warnings |= dict.fromkeys(result.valid.warnings)
    for warning in warnings:
        echo(f"note: {warning}", err=True)


def latency_row(result: SubjectResult) -> tuple[str, ...]:
    """How fast one subject is, and how its measurement went."""
    p50 = _by_name(result.metrics)["latency_p50"]
    brief = result.status in ("ok", "unstable", "invalid")
    status = result.status if brief else f"{result.status}: {result.reason}"
    return (*result.subject.columns, _shown(p50), _interval(p50), status)


def resource_row(result: SubjectResult) -> tuple[str, ...]:
    """What else one subject takes: a caller's time, slow calls, memory, its start."""
    from edgekd.units import bytes_text

    by_name = _by_name(result.metrics)
    peak = by_name["peak_rss"]
    return (
        *result.subject.columns,
        _shown(by_name["latency_caller_p50"]),
        _shown(by_name["latency_p90"]),
        "-" if peak.value is None else bytes_text(peak.value),
        f"{_shown(by_name['tti_ms'])} ms",
    )


def scenario_rows(result: SubjectResult) -> Iterator[tuple[str, ...]]:
    """Tokens a second of a next token; then one line a scenario: its name, whose, what came of it."""
    rate = _by_name(result.metrics).get("decode_tokens_per_s")
    if rate is not None:
        how = ", ".join(f"{what} {said}" for what, said in result.stream.items())
        told = f"{_shown(rate)} tokens/s ({_interval(rate)}), {how}"
        yield "next token", result.subject.name, told
    for scenario in result.scenarios:
        sentence = f"not measured: {scenario.reason}"
        if scenario.status == "ok":
            sentence = SENTENCES[scenario.name](_by_name(scenario.metrics), scenario)
        yield scenario.name.replace("_", " "), result.subject.name, sentence


def _throughput(found: Metrics, scenario: Scenario) -> str:
    rate, batch = found["throughput"], found["throughput_batch"]
    took = found["throughput_latency_p50"]
    return (
        f"{_shown(rate)} samples/s ({_interval(rate)}) at batch {batch.value:.0f}, "
        f"{_shown(took)} ms a batch"
    )


def _cold_start(found: Metrics, scenario: Scenario) -> str:
    return (
        f"{_shown(found['cold_tti_ms'])} ms to the first output, {_shown(found['cold_load_ms'])} of "
        "them loading, files out of the page cache"
    )


def _paced(found: Metrics, scenario: Scenario) -> str:
    late = found["paced_late"].value or 0.0
    return (
        f"p50 {_shown(found['paced_p50'])} ms ({_interval(found['paced_p50'])}) at "
        f"{scenario.settings['rate_hz']:g} Hz, {_shown(found['paced_response_p50'])} ms from when "
        f"it was due, {100 * late:.3g} % began late"
    )


def _sustained(found: Metrics, scenario: Scenario) -> str:
    return (
        f"p50 {_shown(found['sustained_first_p50'])} ms at first, "
        f"{_shown(found['sustained_last_p50'])} ms in the last part: "
        f"{_shown(found['sustained_ratio'])} times"
    )


def _energy(found: Metrics, scenario: Scenario) -> str:
    net, gross = found["energy_per_inference"], found["energy_per_inference_gross"]
    return (
        f"{_shown(net)} J an inference ({_interval(net)}), {_shown(gross)} J with what an idle "
        f"machine takes, {_shown(found['idle_power'])} W"
    )


SENTENCES: dict[str, Callable[[Metrics, Scenario], str]] = {
    "throughput": _throughput,
    "cold_start": _cold_start,
    "paced": _paced,
    "sustained": _sustained,
    "energy": _energy,
}


def _by_name(metrics: tuple[MeasuredMetric, ...]) -> Metrics:
    return {metric.name: metric for metric in metrics}


def _shown(metric: MeasuredMetric) -> str:
    return "-" if metric.value is None else _four_figures(metric.value)


def _interval(metric: MeasuredMetric) -> str:
    return "-" if metric.ci95 is None else " to ".join(map(_four_figures, metric.ci95))


def _four_figures(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{float(f'{value:.4g}'):,.0f}"
