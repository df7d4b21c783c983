from __future__ import annotations

from pathlib import Path

from edgekd.bench.machine import fingerprint

CPUINFO = "processor\t: 0\nmodel name\t: Fast CPU\nstepping\t: 3\nflags\t\t: sse avx2 hypervisor\n"


def tree(root: Path, ram_kb: int = 4_000_000, governor: str = "performance") -> Path:
    for name, text in {
        "proc/cpuinfo": CPUINFO,
        "proc/meminfo": f"MemTotal:  {ram_kb} kB\n",
        "proc/loadavg": "0.5 0.4 0.3 1/2 3\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": governor + "\n",
        ".dockerenv": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_facts_are_read(tmp_path: Path) -> None:
    facts = fingerprint.collect_host_facts(tree(tmp_path))
    assert facts["cpu_model"] == "Fast CPU" and facts["stepping"] == "3"
    assert facts["flags"] == ["avx2", "hypervisor", "sse"]
    assert facts["virtual"] and facts["container"] == "docker"
    assert facts["governor"] == "performance"


def test_the_key_moves_with_what_changes_a_number(tmp_path: Path) -> None:
    def key(name: str, **more: object) -> str:
        return fingerprint.facts_key(fingerprint.collect_host_facts(tree(tmp_path / name, **more)))  # type: ignore[arg-type]

    base = key("a")
    assert key("b") == base
    assert key("c", ram_kb=4_001_000) == base  # another kernel's reservation
    assert key("d", ram_kb=8_000_000) != base
    assert key("e", governor="powersave") != base


def test_load_is_beside_the_key(tmp_path: Path) -> None:
    assert fingerprint.collect_volatile_facts(tree(tmp_path))["load_1min"] == 0.5


def test_a_machine_that_tells_nothing_still_has_a_key(tmp_path: Path) -> None:
    facts = fingerprint.collect_host_facts(tmp_path)
    assert facts["cpu_model"] is None and facts["ram_bytes"] is None
    assert len(fingerprint.facts_key(facts)) == 64


def test_a_gpu_is_in_the_key_and_its_absence_is_not(tmp_path: Path) -> None:
    bare = fingerprint.collect_host_facts(tree(tmp_path))
    assert "gpus" not in bare
    card = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information"
    card.parent.mkdir(parents=True)
    card.write_text("Model: \t\t NVIDIA L4\nIRQ:   \t 30\n")
    (tmp_path / "proc/driver/nvidia/version").write_text("NVRM version: 580.65\nGCC version: 12\n")
    facts = fingerprint.collect_host_facts(tmp_path)
    assert facts == {**bare, "gpus": ["NVIDIA L4"], "gpu_driver": "NVRM version: 580.65"}
    assert fingerprint.facts_key(facts) != fingerprint.facts_key(bare)


def test_this_machine_keeps_its_key() -> None:
    assert fingerprint.machine_key() == fingerprint.facts_key(fingerprint.collect_host_facts())
