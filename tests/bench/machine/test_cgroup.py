from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.bench.machine import cgroup
from edgekd.bench.machine import fingerprint
from edgekd.bench.machine import validity

V2_MOUNT = "30 23 0:26 {top} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = (
    "32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
)


def write(root: Path, **texts: str) -> Path:
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def version_2(root: Path, path: str = "/user/job", top: str = "/") -> Path:
    """The process in a group of its own, whose parent allows it a fifth of a core."""
    group = "sys/fs/cgroup/" + path.removeprefix(top).strip("/")
    return write(
        root,
        **{
            "proc/self/cgroup": f"0::{path}\n",
            "proc/self/mountinfo": V2_MOUNT.format(top=top),
            "sys/fs/cgroup/cpu.stat": "usage_usec 1\nnr_throttled 0\n",
            f"{group}/../cpu.max": "20000 100000\n",
            f"{group}/../cpu.stat": "nr_periods 218\nnr_throttled 217\n",
            f"{group}/../memory.max": "1048576\n",
            f"{group}/cpu.max": "max 100000\n",
            f"{group}/cpu.stat": "nr_periods 0\nnr_throttled 0\n",
            f"{group}/memory.max": "max\n",
        },
    )


def version_1(root: Path, path: str = "/user/job", top: str = "/") -> Path:
    group = "sys/fs/cgroup/cpu,cpuacct/" + path.removeprefix(top).strip("/")
    return write(
        root,
        **{
            "proc/self/cgroup": f"5:cpuset:/\n3:cpu,cpuacct:{path}\n2:memory:/m\n0::/elsewhere\n",
            "proc/self/mountinfo": V1_MOUNT.format(top=top),
            f"{group}/../cpu.cfs_quota_us": "20000\n",
            f"{group}/../cpu.cfs_period_us": "100000\n",
            f"{group}/../cpu.stat": "nr_periods 218\nnr_throttled 217\n",
            f"{group}/cpu.cfs_quota_us": "-1\n",
            f"{group}/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/m/memory.limit_in_bytes": "1048576\n",
        },
    )


@pytest.mark.parametrize("tree", [version_1, version_2])
def test_a_limit_of_a_group_above_the_process_is_its_own(tmp_path: Path, tree: object) -> None:
    root = tree(tmp_path)  # type: ignore[operator]
    assert cgroup.read_quota_cores(root) == 0.2
    assert cgroup.count_throttled(root) == 217
    assert cgroup.read_memory_limit(root) == 2**20
    assert [group.name for group in cgroup.group_folders(root, "cpu")][:2] == ["job", "user"]


@pytest.mark.parametrize("tree", [version_1, version_2])
def test_inside_a_container_the_mount_shows_a_part(tmp_path: Path, tree: object) -> None:
    root = tree(tmp_path, "/docker/abc/user/job", "/docker/abc")  # type: ignore[operator]
    assert cgroup.read_quota_cores(root) == 0.2
    assert [group.name for group in cgroup.group_folders(root, "cpu")][:2] == ["job", "user"]


def test_a_group_outside_of_the_mount_is_seen_at_the_top(tmp_path: Path) -> None:
    root = version_2(tmp_path)
    (root / "proc/self/cgroup").write_text("0::/../other\n")
    (root / "sys/fs/cgroup/cpu.max").write_text("150000 100000")
    assert cgroup.read_quota_cores(root) == 1.5


def test_the_tightest_counts(tmp_path: Path) -> None:
    root = version_2(tmp_path)
    (root / "sys/fs/cgroup/user/job/cpu.max").write_text("10000 100000")
    assert cgroup.read_quota_cores(root) == 0.1


def test_without_a_word_from_the_kernel_there_is_no_limit(tmp_path: Path) -> None:
    assert cgroup.group_folders(tmp_path, "cpu") == []
    assert cgroup.read_quota_cores(tmp_path) is None and cgroup.count_throttled(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("nonsense\n1 2 - x\n")
    (tmp_path / "proc/self/cgroup").write_text("nonsense\n0::/a\n")
    write(tmp_path, **{"sys/fs/cgroup/a/cpu.max": "50000 100000"})
    assert cgroup.read_quota_cores(tmp_path) == 0.5  # where it hangs by default


def test_a_throttled_process_is_told_with_its_cause(tmp_path: Path) -> None:
    root = version_2(tmp_path)
    before = validity.take_snapshot(root)
    (root / "sys/fs/cgroup/user/cpu.stat").write_text("nr_periods 500\nnr_throttled 434\n")
    found = validity.judge(before, validity.take_snapshot(root), [])
    says = "throttled: cgroup nr_throttled rose by 217, under a CPU quota of 0.2 cores"
    assert not found.ok and found.reasons == (says,)


def test_threads_beyond_the_affinity_or_the_quota_are_told(tmp_path: Path) -> None:
    free = validity.take_snapshot(tmp_path)
    fits, crowded = {"threads": 2, "affinity": [0, 3]}, {"threads": 2, "affinity": [0]}
    assert validity.judge(free, free, [fits, {"threads": 2}]).ok
    found = validity.judge(free, free, [fits, crowded, crowded])
    assert found.reasons == ("crowded: 2 threads on 1 of the cores (affinity)",)
    held = {**free, "quota_cores": 1.5}
    found = validity.judge(held, held, [fits])
    assert found.reasons == ("crowded: threads: 2, CPU quota: 1.5 cores",)
    assert validity.judge(held, held, [{"threads": 1, "affinity": [0]}]).ok


def test_the_fingerprint_holds_both(tmp_path: Path) -> None:
    facts = fingerprint.collect_host_facts(version_2(tmp_path))
    assert facts["quota_cores"] == 0.2 and facts["quota_memory_bytes"] == 2**20
    assert facts["cores_allowed"] >= 1
    (tmp_path / "sys/fs/cgroup/user/cpu.max").write_text("30000 100000")
    assert fingerprint.facts_key(fingerprint.collect_host_facts(tmp_path)) != fingerprint.facts_key(
        facts
    )
