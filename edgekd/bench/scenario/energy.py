"""Energy of an inference from counters the machine itself keeps; null with the reason where it has none.

Sources in this order: RAPL through powercap (cumulative microjoules that wrap), a power meter's rail
in hwmon, a battery that is being drained. Estimates from a data sheet are not made. Standard library
only: this runs on the device.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

NO_COUNTER = "no readable counter"
MIN_UPDATES = 200
"""A window with fewer distinct readings says little about its energy."""
UJ_PER_J = 1_000_000
NS_PER_S = 1_000_000_000
RAPL_PARTS = re.compile(r"package-\d+|dram")
"""Zones that do not overlap; `core` and `uncore` lie inside a package, `psys` around it."""
METER_CHIPS = {"ina209", "ina219", "ina220", "ina226", "ina230", "ina231", "ina238", "ina260"}
METER_CHIPS |= {"ina2xx", "power_meter"}
TOTAL_LABELS = {"VDD_IN", "POM_5V_IN", "VIN_SYS_5V0", "5V_IN", "VIN"}
"""Rails that feed the whole board; a chip's other rails are parts of them."""


class Counter(NamedTuple):
    """A file of microjoules that only grows, until it wraps."""

    path: Path
    range_uj: int
    """Where it starts again at 0; 0 if it never does."""


class Gauge(NamedTuple):
    """Files whose product, times `scale`, is the power in watts at this moment."""

    paths: tuple[Path, ...]
    scale: float


class EnergySource(NamedTuple):
    """Files that energy is read from, and the parts of the machine they cover."""

    name: str
    counters: tuple[Counter, ...] = ()
    gauges: tuple[Gauge, ...] = ()


class Window(NamedTuple):
    """A while of work, or of none."""

    joules: float
    seconds: float
    inferences: int
    updates: int
    """Distinct readings."""


class EnergyCost(NamedTuple):
    """Joules of inferences, a value a window."""

    gross_j: list[float]
    net_j: list[float]
    """Less what the idle machine would have taken meanwhile."""
    idle_w: float


def cost_per_inference(busy: Sequence[Window], idle: Sequence[Window]) -> EnergyCost:
    """Joules of one inference by window.

    Raises:
        ValueError: if a window is empty.
    """
    spent_s = sum(window.seconds for window in idle)
    if not busy or spent_s <= 0 or any(window.inferences < 1 for window in busy):
        raise ValueError("want windows of work and idle ones of some length")
    idle_w = sum(window.joules for window in idle) / spent_s
    gross = [window.joules / window.inferences for window in busy]
    net = [(w.joules - idle_w * w.seconds) / w.inferences for w in busy]
    return EnergyCost(gross, net, idle_w)


class Meter:
    """Joules since it was made; to be read often, so that no wrap is missed and a gauge is followed."""

    def __init__(self, source: EnergySource, clock: Callable[[], int]) -> None:
        self._source, self._clock = source, clock
        self._joules = 0.0
        self.updates = 0
        self._at_ns, self._counts, self._watts = clock(), self._count(), self._power()

    def read(self) -> float:
        """Joules so far.

        Raises:
            OSError: if a counter is gone.
        """
        at_ns, counts, watts = self._clock(), self._count(), self._power()
        pairs = zip(self._source.counters, self._counts, counts, strict=True)
        self._joules += sum(counted_uj(old, new, c.range_uj) for c, old, new in pairs) / UJ_PER_J
        if self._source.gauges:
            self._joules += (self._watts + watts) / 2 * (at_ns - self._at_ns) / NS_PER_S
        self.updates += counts != self._counts or watts != self._watts
        self._at_ns, self._counts, self._watts = at_ns, counts, watts
        return self._joules

    def _count(self) -> list[int]:
        return [_number(counter.path) for counter in self._source.counters]

    def _power(self) -> float:
        total = 0.0
        for gauge in self._source.gauges:
            watts = gauge.scale
            for path in gauge.paths:
                watts *= abs(_number(path))  # a draining battery's current may be negative
            total += watts
        return total


def counted_uj(old: int, new: int, range_uj: int) -> int:
    """Microjoules between two readings of a counter that wrapped at most once."""
    return new - old if new >= old or not range_uj else new + range_uj - old


def measure_window(
    meter: Meter,
    step: Callable[[int], object],
    clock: Callable[[], int],
    span_ns: int,
    every_ns: int,
) -> Window:
    """Repeat `step` for at least `span_ns`, reading the meter between two every now and then.

    A window whose counter moves too seldom is drawn out, up to four times its length.
    """
    begin, before_j, before = clock(), meter.read(), meter.updates
    last, done = begin, 0
    while True:
        step(done)
        done += 1
        now = clock()
        if now - last >= every_ns:
            meter.read()
            last = now
        enough = meter.updates - before >= MIN_UPDATES or now - begin >= 4 * span_ns
        if now - begin >= span_ns and enough:
            joules = meter.read() - before_j
            return Window(joules, (clock() - begin) / NS_PER_S, done, meter.updates - before)


def find_source(root: Path = Path("/")) -> EnergySource | str:
    """The first source that can be read, or why there is none.

    Args:
        root: where /sys hangs; another folder in tests.
    """
    reasons = []
    for candidate in _candidates(root / "sys/class"):
        if isinstance(candidate, str):
            reasons.append(candidate)
            continue
        try:
            Meter(candidate, lambda: 0)
        except (OSError, ValueError) as error:
            reasons.append(_refused(error, candidate, root))
        else:
            return candidate
    return "; ".join(dict.fromkeys(reasons)) or NO_COUNTER


def _candidates(classes: Path) -> Iterator[EnergySource | str]:
    yield from _powercap(classes / "powercap")
    for chip in sorted(classes.glob("hwmon/hwmon*")):
        yield from _hwmon(chip)
    for supply in sorted(classes.glob("power_supply/*")):
        yield from _battery(supply)


def _powercap(folder: Path) -> Iterator[EnergySource]:
    zones = {path.parent: _text(path.parent / "name") for path in folder.glob("*/energy_uj")}
    # the same package counted through another register
    zones = {z: n for z, n in zones.items() if "mmio" not in z.name} or zones
    parts = sorted(zone for zone, name in zones.items() if RAPL_PARTS.fullmatch(name))
    parts = parts or sorted(zone for zone in zones if zone.name.count(":") <= 1)[:1]
    if parts:
        ranges = [_text(zone / "max_energy_range_uj") for zone in parts]
        counters = tuple(
            Counter(zone / "energy_uj", int(text) if text.isdigit() else 0)
            for zone, text in zip(parts, ranges, strict=True)
        )
        yield EnergySource("powercap " + " + ".join(zones[z] or z.name for z in parts), counters)


def _hwmon(chip: Path) -> Iterator[EnergySource]:
    name = _text(chip / "name")
    labelled = {
        path.name.removesuffix("_label"): _text(path) for path in sorted(chip.glob("*_label"))
    }
    total = next((rail for rail, label in labelled.items() if label in TOTAL_LABELS), None)
    if total is None and name not in METER_CHIPS:
        return
    number = re.sub(r"\D", "", total or "") or "1"
    about = f"hwmon {name} {labelled.get(total or '', '')}".strip()
    if (chip / f"energy{number}_input").exists():
        yield EnergySource(about, (Counter(chip / f"energy{number}_input", 0),))
    for kind in ("input", "average"):
        if (chip / f"power{number}_{kind}").exists():
            yield EnergySource(about, gauges=(Gauge((chip / f"power{number}_{kind}",), 1e-6),))
    volts, amperes = chip / f"in{number}_input", chip / f"curr{number}_input"
    if volts.exists() and amperes.exists():
        yield EnergySource(about, gauges=(Gauge((volts, amperes), 1e-6),))


def _battery(supply: Path) -> Iterator[EnergySource | str]:
    if _text(supply / "type") != "Battery":
        return
    status = _text(supply / "status")
    if status != "Discharging":
        yield f"{supply.name} is {status.lower() or 'silent'}, not discharging"
        return
    if (supply / "power_now").exists():
        yield EnergySource(f"battery {supply.name}", gauges=(Gauge((supply / "power_now",), 1e-6),))
    pair = (supply / "current_now", supply / "voltage_now")
    if all(path.exists() for path in pair):
        yield EnergySource(f"battery {supply.name}", gauges=(Gauge(pair, 1e-12),))


def _refused(error: Exception, source: EnergySource, root: Path) -> str:
    """``EACCES /sys/class/powercap/intel-rapl:0/energy_uj``."""
    if isinstance(error, OSError):
        word = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return f"{word} /{Path(str(error.filename)).relative_to(root)}"
    return f"{source.name}: got no number"


def _number(path: Path) -> int:
    return int(path.read_text())


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
