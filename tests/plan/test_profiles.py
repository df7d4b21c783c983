from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekd.bench.machine import host
from edgekd.device import Device
from edgekd.plan import profiles
from edgekd.recipe.target import Target
from tests.steps_example import learn

BOARD = Device("board", lambda order: pytest.fail("asked twice"))
AVX2 = ["ssse3", "avx2"]


def told(monkeypatch: pytest.MonkeyPatch, machine: str, flags: list[str]) -> None:
    facts = {"machine": machine, "flags": flags}
    monkeypatch.setattr(host, "describe_host", lambda device: SimpleNamespace(facts=facts))


def recipe(*targets: Target, listed: Any = "auto", quantized: bool = True) -> Any:
    names = ("distil", "quantize") if quantized else ("distil",)
    return SimpleNamespace(steps=learn(*names, profiles=listed), targets=targets)


@pytest.mark.parametrize(
    ("machine", "flags", "want"),
    [
        ("x86_64", [*AVX2, "avx512_vnni"], "x86"),
        ("x86_64", [*AVX2, "avx_vnni"], "x86"),
        ("x86_64", AVX2, "x86-no-vnni"),
        ("aarch64", ["asimddp"], "arm"),
        ("arm64", [], "arm"),
    ],
)
def test_onnx_runtime_takes_what_its_processor_runs(
    monkeypatch: pytest.MonkeyPatch, machine: str, flags: list[str], want: str
) -> None:
    told(monkeypatch, machine, flags)
    found = profiles.target_profiles(recipe(Target(runtime="onnxruntime")), BOARD)
    assert found == {"onnxruntime": want}


def test_the_others_have_their_own_and_no_device_is_asked() -> None:
    targets = (Target(runtime="openvino"), Target(runtime="tensorrt"))
    want = {"openvino": "openvino", "tensorrt": "tensorrt"}
    assert profiles.target_profiles(recipe(*targets), BOARD) == want
    named = Target(runtime="onnxruntime", profile="arm")
    assert profiles.target_profiles(recipe(named), BOARD) == {"onnxruntime": "arm"}


def test_no_int8_no_profile() -> None:
    target = Target(runtime="openvino")
    assert profiles.target_profiles(recipe(target, quantized=False), BOARD) == {}
    fp32 = Target(runtime="openvino", precision=("fp32",))
    assert profiles.target_profiles(recipe(fp32), BOARD) == {}
    beside = Target(runtime="openvino", precision=("int8-bf16",))
    assert profiles.target_profiles(recipe(beside), BOARD).keys() == {"openvino"}


def test_a_list_limits_the_choice_and_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, "x86_64", AVX2)
    targets = (Target(runtime="onnxruntime"), Target(runtime="openvino"))
    asked = recipe(*targets, listed=("x86", "arm"))
    found = profiles.target_profiles(asked, BOARD)
    assert found == {"onnxruntime": "x86", "openvino": "x86"}
    assert profiles.all_profiles(asked, found) == ("x86", "arm")
    assert profiles.target_profiles(recipe(*targets, listed=("arm",)), BOARD) == {
        "onnxruntime": "arm"
    }


def test_this_machine_is_asked_what_it_can_really_use(tmp_path: Path) -> None:
    from edgekd.devices import local

    assert profiles.fastest_profile(local.DEVICE) in ("x86", "x86-no-vnni", "arm")
