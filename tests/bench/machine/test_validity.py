from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.bench.machine import validity

QUIET = {
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "7",
    "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "0",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "3000000",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "800000",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance",
    "sys/class/thermal/thermal_zone0/temp": "45000",
    "sys/class/power_supply/AC/type": "Mains",
    "sys/class/power_supply/AC/online": "1",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0x0",
    "proc/self/cgroup": "0::/",
    "sys/fs/cgroup/cpu.stat": "usage_usec 5\nnr_periods 3\nnr_throttled 2",
    "proc/stat": "cpu  1000 0 500 90000 10 0 5 20 0 0\ncpu0 1 2 3",
    "proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000\nfull total=0",
    "proc/loadavg": "0.20 0.10 0.05 1/97 133",
    "proc/vmstat": "pgpgin 5\npswpin 11\npswpout 3",
}
PROCESS = {"majflt": 0, "nivcsw": 4, "cpu_s": 0.25, "iters_ns": [1]}


def machine(root: Path, **changed: str) -> dict[str, Any]:
    """A snapshot of a quiet machine but for what is `changed` (a part of a path to its text)."""
    for path, text in QUIET.items():
        changes = [new for part, new in changed.items() if part in path]
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text((changes or [text])[0] + "\n")
    made = validity.take_snapshot(root)
    return {**made, "time_ns": 10**9, "cores": 2}


def later(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Ten seconds on."""
    return {**snapshot, "time_ns": 11 * 10**9}


def test_a_snapshot_reads_what_the_kernel_says(tmp_path: Path) -> None:
    found = machine(tmp_path)
    assert found["throttles"] == {
        "cpu0/thermal_throttle/core_throttle_count": 7,
        "cpu1/thermal_throttle/core_throttle_count": 0,
        "cgroup nr_throttled": 2,
    }
    assert found["temperatures_c"] == {"thermal_zone0": 45.0}
    assert sorted(found["frequencies_khz"].values()) == [800_000, 3_000_000]
    assert found["governors"] == ["performance"]
    assert (found["ticks"], found["steal_ticks"]) == (91535, 20)
    assert (found["pressure_us"], found["load_1min"], found["swapped_in"]) == (1000, 0.2, 11)
    assert (found["firmware_throttled"], found["on_battery"]) == (0, False)


def test_a_quiet_machine_is_fit(tmp_path: Path) -> None:
    before = machine(tmp_path)
    assert validity.judge(before, later(before), [PROCESS] * 30) == (True, (), ())


def test_a_machine_that_tells_nothing_is_not_blamed(tmp_path: Path) -> None:
    bare = validity.take_snapshot(tmp_path)
    assert bare["ticks"] is None and bare["on_battery"] is None
    assert validity.judge(bare, bare, []) == (True, (), ())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"cpu1/thermal_throttle": "1"}, "cpu1/thermal_throttle/core_throttle_count rose by 1"),
        ({"cgroup/cpu.stat": "nr_throttled 3"}, "cgroup nr_throttled rose by 1"),
        ({"get_throttled": "0x4"}, "the firmware says throttled"),
        ({"get_throttled": "0x10000"}, "the firmware says under-voltage"),
        ({"vmstat": "pswpin 12"}, "1 pages came back from swap"),
    ],
)
def test_what_spoils_the_numbers(tmp_path: Path, changed: dict[str, str], reason: str) -> None:
    before = machine(tmp_path)
    found = validity.judge(before, later(machine(tmp_path, **changed)), [PROCESS])
    assert not found.ok and len(found.reasons) == 1 and reason in found.reasons[0]
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("changed", "warning"),
    [
        ({"thermal_zone0": "56000"}, "rose from 45 to 56 °C"),
        ({"scaling_cur_freq": "2000000"}, "between 2000 and 3000 MHz"),
        # 900 more ticks, 50 of them stolen
        ({"proc/stat": "cpu  1800 0 500 90050 10 0 5 70 0 0"}, "took 5.6% of the time"),
        ({"pressure": "some avg10=1 total=701000"}, "waited for a core in 7% of the time"),
        ({"AC/online": "0"}, "runs on battery"),
    ],
)
def test_what_widens_them(tmp_path: Path, changed: dict[str, str], warning: str) -> None:
    before = machine(tmp_path)
    found = validity.judge(before, later(machine(tmp_path, **changed)), [PROCESS])
    assert found.ok and len(found.warnings) == 1 and warning in found.warnings[0]


def test_a_busy_start_is_told(tmp_path: Path) -> None:
    before = machine(tmp_path, loadavg="3.5 1 1 1/1 1")
    (warning,) = validity.judge(before, later(before), []).warnings
    assert "the load was 3.5 on 2 cores" in warning


def test_what_processes_suffered_counts(tmp_path: Path) -> None:
    quiet = machine(tmp_path)
    paged = validity.judge(quiet, later(quiet), [{**PROCESS, "majflt": 2}, PROCESS])
    assert paged.reasons == ("paged: 2 page faults read the disk",)
    switched = validity.judge(quiet, later(quiet), [{**PROCESS, "nivcsw": 40}])
    assert switched.ok and "160 times a second" in switched.warnings[0]


def test_heat_on_the_way_is_seen(tmp_path: Path) -> None:
    before = machine(tmp_path)
    hot = machine(tmp_path, thermal_zone0="80000")
    (warning,) = validity.judge(before, later(before), [], between=[hot]).warnings
    assert "thermal_zone0" in warning


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"throttles": {"\x1b[31m": 1}, "temperatures_c": {}, "frequencies_khz": {}},
        {"throttles": {}, "temperatures_c": {"zone": "hot"}, "frequencies_khz": {}},
        {"throttles": {}, "temperatures_c": {}, "frequencies_khz": {}, "ticks": float("nan")},
        {"throttles": [], "temperatures_c": {}, "frequencies_khz": {}},
        {"throttles": {}, "temperatures_c": {}, "frequencies_khz": {}, "firmware_throttled": 1.5},
    ],
)
def test_what_is_no_snapshot_is_refused(tmp_path: Path, strange: dict[str, Any]) -> None:
    good = machine(tmp_path)
    with pytest.raises(ValueError, match="cannot be read"):
        validity.judge(good, strange, [])


def test_this_machine_gives_an_account_that_is_json() -> None:
    told = validity.take_snapshot()
    assert validity.is_well_formed(told) and told["time_ns"] > 0
    json.dumps(told)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 10**400, -(2**63), "5"]
)
@pytest.mark.parametrize("name", [*validity.SCALARS, "throttles", "temperatures_c"])
def test_an_account_holds_numbers_that_can_be_reckoned_with(name: str, value: object) -> None:
    told = validity.take_snapshot()
    bad = {"a": value} if name in ("throttles", "temperatures_c") else value
    assert not validity.is_well_formed({**told, name: bad})
