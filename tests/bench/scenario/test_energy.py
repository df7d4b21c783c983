from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.bench.scenario import energy

MS = 1_000_000
S = 1000 * MS


def write(root: Path, files: dict[str, object]) -> Path:
    for name, value in files.items():
        path = root / "sys/class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return root


def rapl(root: Path, **more: object) -> Path:
    return write(
        root,
        {
            "powercap/intel-rapl:0/name": "package-0",
            "powercap/intel-rapl:0/energy_uj": 5,
            "powercap/intel-rapl:0/max_energy_range_uj": 1000,
            **more,
        },
    )


class Machine:
    """A clock and a counter that a fake model moves: `watts` at work, `idle_watts` at rest."""

    def __init__(self, root: Path, start_uj: int = 0, range_uj: int = 10**12) -> None:
        self.ns, self.uj, self._range = 0, start_uj, range_uj
        zone = "powercap/intel-rapl:0/"
        rapl(root, **{f"{zone}energy_uj": start_uj, f"{zone}max_energy_range_uj": range_uj})
        self._file = root / f"sys/class/{zone}energy_uj"

    def clock(self) -> int:
        return self.ns

    def spends(self, watts: float, ns: int) -> Callable[[int], None]:
        def step(index: int) -> None:
            self.ns += ns
            self.uj += round(watts * ns / 1000)
            self._file.write_text(str(self.uj % self._range))

        return step


def found(root: Path) -> energy.EnergySource:
    source = energy.find_source(root)
    assert isinstance(source, energy.EnergySource), source
    return source


def test_joules_of_an_inference_are_what_the_model_took(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = energy.Meter(found(tmp_path), machine.clock)
    work, rest = machine.spends(15.0, 20 * MS), machine.spends(5.0, 25 * MS)
    idle = [energy.measure_window(meter, rest, machine.clock, 10 * S, 25 * MS)]
    busy = [energy.measure_window(meter, work, machine.clock, 10 * S, 25 * MS) for _ in range(6)]
    idle += [energy.measure_window(meter, rest, machine.clock, 10 * S, 25 * MS)]
    cost = energy.cost_per_inference(busy, idle)
    # 15 W for 20 ms, of which 5 W would have been taken anyway
    assert cost.gross_j == pytest.approx([0.3] * 6) and cost.net_j == pytest.approx([0.2] * 6)
    assert cost.idle_w == pytest.approx(5.0)
    assert min(w.updates for w in (*busy, *idle)) >= energy.MIN_UPDATES
    assert [w.inferences for w in busy] == [500] * 6


def test_a_counter_that_wraps_often_loses_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, start_uj=900_000, range_uj=1_000_000)  # a wrap each 0.1 s
    meter = energy.Meter(found(tmp_path), machine.clock)
    window = energy.measure_window(
        meter, machine.spends(10.0, 5 * MS), machine.clock, 10 * S, 25 * MS
    )
    assert window.joules == pytest.approx(100.0)


def test_grown_uj() -> None:
    assert energy.counted_uj(5, 9, 10) == 4
    assert energy.counted_uj(9, 2, 10) == 3
    assert energy.counted_uj(9, 9, 10) == 0


def test_a_counter_that_hardly_moves_draws_the_window_out(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    meter = energy.Meter(found(tmp_path), machine.clock)
    window = energy.measure_window(meter, machine.spends(0.0, 20 * MS), machine.clock, S, 25 * MS)
    assert window.seconds == pytest.approx(4.0) and window.updates == 0


def test_packages_and_memory_count_and_their_parts_do_not(tmp_path: Path) -> None:
    rapl(tmp_path)
    for zone, name in {
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "dram",
        "intel-rapl:1": "package-1",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
    }.items():
        write(tmp_path, {f"powercap/{zone}/name": name, f"powercap/{zone}/energy_uj": 1})
    assert [counter.path.parent.name for counter in found(tmp_path).counters] == [
        "intel-rapl:0",
        "intel-rapl:0:1",
        "intel-rapl:1",
    ]


def test_what_cannot_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert energy.find_source(tmp_path) == "no readable counter"
    rapl(tmp_path)

    def refused(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(energy, "_number", refused)  # root may read all files
    assert energy.find_source(tmp_path) == "EACCES /sys/class/powercap/intel-rapl:0/energy_uj"


def test_a_counter_that_is_no_number(tmp_path: Path) -> None:
    rapl(tmp_path, **{"powercap/intel-rapl:0/energy_uj": "none"})
    assert energy.find_source(tmp_path) == "powercap package-0: got no number"


def test_a_board_s_input_rail_and_not_its_parts(tmp_path: Path) -> None:
    chip = "hwmon/hwmon3/"
    write(
        tmp_path,
        {
            f"{chip}name": "ina3221",
            f"{chip}in1_label": "VDD_CPU",
            f"{chip}in1_input": 1,
            f"{chip}curr1_input": 1,
            f"{chip}in2_label": "VDD_IN",
            f"{chip}in2_input": 5000,
            f"{chip}curr2_input": 2000,
        },
    )
    now = [0]
    meter = energy.Meter(found(tmp_path), lambda: now[0])
    now[0] = 3 * S
    assert meter.read() == pytest.approx(30.0)  # 5 V, 2 A, 3 s
    (tmp_path / "sys/class" / chip / "curr2_input").write_text("4000")
    now[0] = 4 * S
    assert meter.read() == pytest.approx(30.0 + 15.0)  # from 10 W to 20 W in a second


def test_a_graphics_card_s_meter_is_not_the_machine_s(tmp_path: Path) -> None:
    write(tmp_path, {"hwmon/hwmon0/name": "amdgpu", "hwmon/hwmon0/power1_average": 9_000_000})
    assert energy.find_source(tmp_path) == "no readable counter"


@pytest.mark.parametrize(
    "gauge", [{"power_now": 4_000_000}, {"current_now": -2_000_000, "voltage_now": 2_000_000}]
)
def test_a_draining_battery(tmp_path: Path, gauge: dict[str, int]) -> None:
    folder = "power_supply/BAT0/"
    about = {f"{folder}{name}": value for name, value in gauge.items()}
    write(tmp_path, {f"{folder}type": "Battery", f"{folder}status": "Discharging", **about})
    now = [0]
    meter = energy.Meter(found(tmp_path), lambda: now[0])
    now[0] = 10 * S
    assert meter.read() == pytest.approx(40.0)


def test_a_battery_that_charges(tmp_path: Path) -> None:
    folder = "power_supply/BAT0/"
    write(tmp_path, {f"{folder}type": "Battery", f"{folder}status": "Charging"})
    assert energy.find_source(tmp_path) == "BAT0 is charging, not discharging"


def test_the_first_source_that_can_be_read_wins(tmp_path: Path) -> None:
    chip = {"hwmon/hwmon0/name": "ina226", "hwmon/hwmon0/power1_input": 3_000_000}
    assert found(write(tmp_path, chip)).name == "hwmon ina226"
    assert found(rapl(tmp_path)).name == "powercap package-0"


def test_windows_that_are_none() -> None:
    window = energy.Window(1.0, 1.0, 1, 1)
    for busy, idle in (([], [window]), ([window], []), ([window._replace(inferences=0)], [window])):
        with pytest.raises(ValueError, match="want windows"):
            energy.cost_per_inference(busy, idle)
