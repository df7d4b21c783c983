from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd import cli
from edgekd.bench.machine import fingerprint
from edgekd.cli import doctor
from edgekd.learn.data import SOURCES
from edgekd.runtimes import RUNTIMES


def test_json_and_text_say_the_same(tmp_path: Path) -> None:
    found = json.loads(
        CliRunner().invoke(cli.main, ["doctor", "--json", "--store", str(tmp_path)]).stdout
    )
    assert [engine["name"] for engine in found["engines"]] == list(RUNTIMES)
    assert {"learn", "timm"} <= {extra["name"] for extra in found["extras"]}
    assert found["torch"]["version"] and found["machine"]["platform"]
    assert {source["name"] for source in found["data"]} <= set(SOURCES)
    assert found["machine"]["cores"] >= 1 and found["store"]["free_bytes"] > 0
    text = CliRunner().invoke(cli.main, ["doctor"]).stdout
    for engine in found["engines"]:
        assert (engine["why_not"] or engine["version"]) in text


@pytest.mark.parametrize(
    ("flags", "want"),
    [
        ("fpu avx2 avx512f avx512_vnni amx_tile amx_bf16", "avx2 avx512 vnni amx bf16"),
        ("fpu sse avx", ""),
        ("avx2 avx_vnni", "avx2 vnni"),
        ("fp asimd asimddp bf16", "bf16 neon dotprod"),
        ("", ""),
    ],
)
def test_instruction_sets(flags: str, want: str) -> None:
    assert " ".join(doctor.list_instruction_sets(flags.split())) == want


def test_an_emulated_processor_is_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {**fingerprint.collect_host_facts(), "emulated": "qemu-user"}
    monkeypatch.setattr(fingerprint, "collect_host_facts", lambda: facts)
    assert "emulated by qemu-user" in CliRunner().invoke(cli.main, ["doctor"]).stdout


def test_data_that_is_not_there_says_why(tmp_path: Path) -> None:
    rows = {row["name"]: row for row in doctor.list_data_sets(tmp_path)}
    assert rows["digits"]["folder"]
    assert all(bool(row["folder"]) != bool(row["why_not"]) for row in rows.values())


def test_a_store_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    found = doctor.describe_disk(tmp_path / "a" / "b")
    assert found["free_bytes"] > 0 and list(tmp_path.iterdir()) == []
