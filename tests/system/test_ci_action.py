"""The CI job's files: action.yml and the examples parse, and every script runs, with a fake `gh`."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import pytest
import yaml

from tests import gate_example

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "ci").glob("*.sh"))
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
GITHUB = yaml.safe_load((ROOT / "ci" / "github-example.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "ci" / "gitlab-example.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]

FAKE = """#!{python}
import json, os, pathlib, sys
name = pathlib.Path(sys.argv[0]).name
with open(os.environ["FAKE_LOG"], "a") as log:
    log.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
told = json.loads(os.environ.get("FAKE_TOLD", "{{}}")).get(" ".join([name, *sys.argv[1:3]]), {{}})
for path, text in told.get("writes", {{}}).items():
    path = path.replace("DIR", sys.argv[sys.argv.index("--dir") + 1] if "--dir" in sys.argv else "")
    pathlib.Path(path).write_text(text)
print(told.get("says", ""))
sys.exit(told.get("code", 0))
"""
"""Writes down how it was called, and does what the test told."""


class Ran(NamedTuple):
    code: int
    stdout: str
    stderr: str
    calls: list[list[str]]
    outputs: dict[str, str]
    folder: Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace with fakes of `gh` and `edgekd` on its path."""
    for name in ("gh", "edgekd"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(FAKE.format(python=sys.executable))
        path.chmod(0o755)
    return tmp_path


def run(place: Path, script: str, told: dict[str, Any] | None = None, **environment: str) -> Ran:
    """One script, as a runner starts it."""
    output, log = place / "output", place / "calls"
    for path in (output, log):
        path.write_text("")
    done = subprocess.run(
        [str(ROOT / "ci" / script)],
        cwd=place,
        env={
            "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(place / "step-summary"),
            "GITHUB_PATH": str(place / "github-path"),
            "GITHUB_REPOSITORY": "someone/something",
            "RUNNER_TEMP": str(place),
            "FAKE_LOG": str(log),
            "FAKE_TOLD": json.dumps(told or {}),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line.split("=", 1) for line in output.read_text().splitlines()]
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    return Ran(done.returncode, done.stdout, done.stderr, calls, dict(lines), place)  # type: ignore[arg-type]


# the files


def test_every_step_runs_a_script_that_exists_and_every_script_has_a_step() -> None:
    named = set()
    for step in STEPS:
        if "run" in step:
            found = re.fullmatch(r'"\$GITHUB_ACTION_PATH/ci/([a-z_]+\.sh)"', step["run"])
            assert found and step["shell"] == "bash", step
            named.add(found.group(1))
    assert named == {path.name for path in SCRIPTS}


def test_nothing_a_user_gives_stands_in_a_shell_line() -> None:
    for text in [step.get("run", "") for step in [*STEPS, *github_steps()]]:
        assert "${{" not in text


def test_scripts_read_only_what_the_steps_give_them() -> None:
    for step in STEPS:
        if "run" not in step:
            continue
        script = ROOT / "ci" / step["run"].rpartition("/")[2].strip('"')
        wanted = set(re.findall(r"\bEDGEKD_[A-Z_]+", script.read_text()))
        given = {name for name in step["env"] if name.startswith("EDGEKD_")}
        assert wanted == given, script.name


def test_every_input_is_used_and_described_and_every_used_one_exists() -> None:
    text = (ROOT / "action.yml").read_text()
    used = set(re.findall(r"inputs\.([a-z-]+)", text))
    assert used == set(ACTION["inputs"])
    assert all(each["description"] and "default" in each for each in ACTION["inputs"].values())
    for job in GITHUB["jobs"].values():
        for step in job["steps"]:
            if step["uses"].startswith("OWNER/"):
                assert set(step["with"]) <= set(ACTION["inputs"])


def github_steps() -> Iterator[dict[str, Any]]:
    for job in GITHUB["jobs"].values():
        yield from job["steps"]


def test_foreign_actions_are_pinned_and_say_so() -> None:
    lines = [
        line
        for name in ("action.yml", "ci/github-example.yml")
        for line in (ROOT / name).read_text().splitlines()
        if re.search(r"^\s+- uses: ", line) and "OWNER/" not in line
    ]
    assert len(lines) >= 4
    for line in lines:
        assert re.search(r"uses: actions/[a-z-]+@(v\d+|[0-9a-f]{40})  # ", line), line


def test_the_example_gates_pull_requests_and_releases_with_little_power() -> None:
    assert GITHUB["permissions"] == {"contents": "read"}
    gate, release = GITHUB["jobs"]["gate"], GITHUB["jobs"]["release"]
    assert gate["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert release["steps"][-1]["with"]["publish-to"] == "${{ github.event.release.tag_name }}"
    named = [step.get("with", {}) for step in github_steps()]
    for key in ("recipe", "policy"):
        assert all((ROOT / given[key]).is_file() for given in named if key in given)


def test_the_gitlab_example_names_real_verbs_and_files(place: Path) -> None:
    job = GITLAB["edgekd"]
    variables = job["variables"]
    assert all((ROOT / variables[name]).is_file() for name in ("EDGEKD_RECIPE", "EDGEKD_POLICY"))
    assert job["artifacts"]["reports"]["junit"] == "$EDGEKD_RUN/gate.xml"
    script = "\n".join(job["script"])
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    (place / "baseline.edgekd").write_text("")
    code = f"set -eu\npython() {{ return 1; }}\n{script}"
    given = {**variables, "EDGEKD_UNRESOLVED": "warn", "FAKE_LOG": str(place / "calls")}
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-c", code], cwd=place, env={**given, "PATH": path}, check=True)
    verbs = [json.loads(line)[1] for line in (place / "calls").read_text().splitlines()]
    assert verbs == ["compress", "bundle", "gate"]


@pytest.mark.parametrize("held", [b"a bundle", None])
def test_the_gitlab_example_fetches_a_baseline_or_none(
    place: Path, monkeypatch: pytest.MonkeyPatch, held: bytes | None
) -> None:
    (code,) = re.findall(r"python -c '([^']+)'", "\n".join(GITLAB["edgekd"]["script"]))
    asked = []

    def urlopen(request: Any, timeout: float) -> io.BytesIO:
        asked.append((request.full_url, request.headers))
        if held is None:
            raise OSError("404")
        return io.BytesIO(held)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.chdir(place)
    names = {"CI_API_V4_URL": "https://x/api/v4", "CI_PROJECT_ID": "7", "CI_JOB_TOKEN": "t"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    with contextlib.suppress(OSError):
        exec(compile(code, "gitlab-example.yml", "exec"), {})  # noqa: S102
    url = "https://x/api/v4/projects/7/releases/permalink/latest/downloads/student.edgekd"
    assert asked == [(url, {"Job-token": "t"})]
    assert (place / "baseline.edgekd").exists() == (held is not None)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_strict_and_parse(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("#!/usr/bin/env bash\n# ") and "\nset -euo pipefail\n" in text
    assert os.access(path, os.X_OK) and "eval" not in text
    subprocess.run(["bash", "-n", str(path)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(path)], check=True)


# the scripts


def fake_python(place: Path) -> str:
    """A `python3` whose virtual environments hold a fake Python too."""
    path = place / "bin" / "python3"
    path.write_text(
        '#!/usr/bin/env bash\nmkdir -p "$3/bin"\ncp "$FAKE_BIN/edgekd" "$3/bin/python"\n'
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("package", "extras", "last"),
    [
        ("", "learn,openvino", f"{ROOT}[learn,openvino]"),
        ("edgekd", "onnxruntime", "edgekd[onnxruntime]"),
        ("edgekd==0.1.0", "", "edgekd==0.1.0"),
    ],
)
def test_install(place: Path, package: str, extras: str, last: str) -> None:
    more = {"PYTHON": fake_python(place), "FAKE_BIN": str(place / "bin")}
    ran = run(place, "install.sh", EDGEKD_PACKAGE=package, EDGEKD_EXTRAS=extras, **more)
    assert ran.code == 0, ran.stderr
    (call,) = ran.calls
    assert call[1:4] == ["-m", "pip", "--disable-pip-version-check"] and call[-1] == last
    assert ("--constraint" in call) == (not package)
    assert (place / "github-path").read_text() == f"{place}/edgekd-venv/bin\n"


@pytest.mark.parametrize(("package", "extras"), [("--index-url=x", ""), ("", "a]; rm -rf /")])
def test_install_takes_no_options_for_names(place: Path, package: str, extras: str) -> None:
    ran = run(place, "install.sh", EDGEKD_PACKAGE=package, EDGEKD_EXTRAS=extras)
    assert (ran.code, ran.calls) == (2, []) and "want" in ran.stderr


HOSTILE = "$(touch hacked) `touch hacked`; touch hacked & * ' \""


def test_compress_and_pack(place: Path) -> None:
    ran = run(
        place,
        "compress.sh",
        EDGEKD_RECIPE=HOSTILE,
        EDGEKD_RUN="runs/ci",
        EDGEKD_COMPRESS_ARGS="--set\n\nname=two words\n  \n--no-wait",
    )
    assert ran.code == 0, ran.stderr
    arguments = [
        "--run-dir=runs/ci",
        "--replace",
        "--set",
        "name=two words",
        "--no-wait",
        "--",
        HOSTILE,
    ]
    assert ran.calls == [
        ["edgekd", "compress", *arguments],
        ["edgekd", "bundle", "--replace", "-o", "runs/ci/student.edgekd", "--", "runs/ci"],
    ]
    assert ran.outputs == {"bundle": "runs/ci/student.edgekd"}
    assert not (place / "hacked").exists()


def test_a_missed_budget_ends_the_job(place: Path) -> None:
    told = {"edgekd compress --run-dir=r": {"code": 1}}
    ran = run(place, "compress.sh", told, EDGEKD_RECIPE="x.yaml", EDGEKD_RUN="r")
    assert ran.code == 1 and len(ran.calls) == 1


TAGS = {"gh release list": {"says": "v3\nv2\nv1"}}
ASSET = {"gh release download": {"writes": {"DIR/student.edgekd": "x"}}}


def baseline(place: Path, told: dict[str, Any] | None = None, **environment: str) -> Ran:
    return run(place, "baseline.sh", told, EDGEKD_ASSET="*.edgekd", **environment)


def test_a_baseline_in_the_workspace_needs_no_release(place: Path) -> None:
    (place / "old.edgekd").write_text("x")
    ran = baseline(place, EDGEKD_BASELINE="old.edgekd")
    assert (ran.code, ran.outputs, ran.calls) == (0, {"path": "old.edgekd"}, [])
    assert baseline(place, EDGEKD_BASELINE="gone.edgekd").code == 2


@pytest.mark.parametrize(
    ("given", "tag"),
    [({}, "v3"), ({"EDGEKD_PUBLISH_TO": "v3"}, "v2"), ({"EDGEKD_RELEASE": "v1"}, "v1")],
)
def test_a_baseline_of_a_release(place: Path, given: dict[str, str], tag: str) -> None:
    ran = baseline(place, {**TAGS, **ASSET}, **given)
    assert ran.code == 0, ran.stderr
    call = ran.calls[-1]
    assert call[:6] == ["gh", "release", "download", tag, "--repo", "someone/something"]
    assert call[6:8] == ["--pattern", "*.edgekd"]
    assert Path(ran.outputs["path"]).read_text() == "x"


@pytest.mark.parametrize("told", [{}, {**TAGS, "gh release download": {"code": 1}}])
def test_the_first_run_has_nothing_to_be_compared_with(place: Path, told: dict[str, Any]) -> None:
    ran = baseline(place, told)
    assert (ran.code, ran.outputs) == (0, {"path": ""}) and "::notice " in ran.stdout
    ran = baseline(place, told, EDGEKD_BASELINE_REQUIRED="true")
    assert ran.code == 2 and "::error " in ran.stdout


def test_two_assets_or_a_tag_that_is_an_option_are_refused(place: Path) -> None:
    two = {"gh release download": {"writes": {"DIR/a.edgekd": "x", "DIR/b.edgekd": "x"}}}
    assert baseline(place, {**TAGS, **two}).code == 2
    assert baseline(place, EDGEKD_RELEASE="--help").code == 2


def gated(place: Path, told: dict[str, Any] | None = None, **environment: str) -> Ran:
    (place / "run").mkdir(exist_ok=True)
    given = {"EDGEKD_RUN": "run", "EDGEKD_BASELINE": "old.edgekd", **environment}
    return run(place, "gate.sh", told, **given)


@pytest.mark.parametrize(
    ("event", "asked", "unresolved"),
    [
        ("pull_request", "", ["--set=unresolved=warn"]),
        ("release", "", []),  # the policy says
        ("pull_request", "fail", ["--set=unresolved=fail"]),
    ],
)
def test_gate_is_told_what_an_open_question_is_worth(
    place: Path, event: str, asked: str, unresolved: list[str]
) -> None:
    more = {"EDGEKD_POLICY": HOSTILE, "EDGEKD_GATE_ARGS": "--set\nlatency.pairs=6"}
    ran = gated(place, GITHUB_EVENT_NAME=event, EDGEKD_UNRESOLVED=asked, **more)
    assert ran.calls == [
        [
            "edgekd",
            "gate",
            "--baseline=old.edgekd",
            f"--policy={HOSTILE}",
            *unresolved,
            "--junit=run/gate.xml",
            "--summary=run/gate.md",
            "--annotations",
            "--set",
            "latency.pairs=6",
            "--",
            "run",
        ]
    ]
    assert not (place / "hacked").exists()


@pytest.mark.parametrize(
    ("code", "verdict"), [(0, "pass"), (1, "fail"), (5, "inconclusive"), (2, "error"), (3, "error")]
)
def test_gate_hands_on_code_and_verdict(place: Path, code: int, verdict: str) -> None:
    writes = {"run/gate.md": "the table\n"}
    ran = gated(place, {"edgekd gate --baseline=old.edgekd": {"code": code, "writes": writes}})
    assert (ran.code, ran.outputs["verdict"]) == (code, verdict)
    assert ran.outputs.get("summary") == (None if verdict == "error" else "run/gate.md")
    summary = place / "step-summary"
    assert summary.exists() == (verdict != "error")


def test_gate_without_a_baseline_compares_nothing(place: Path) -> None:
    ran = gated(place, EDGEKD_BASELINE="")
    assert (ran.code, ran.outputs, ran.calls) == (0, {"verdict": "none"}, [])


def test_gate_with_the_real_thing(place: Path) -> None:
    """No fake but the workspace: a worse model ends the step with 1, table and JUnit in place."""
    (place / "bin" / "edgekd").write_text(
        f'#!/usr/bin/env bash\nexec {sys.executable} -m edgekd "$@"\n'
    )
    worse = gate_example.bundle_at(place / "worse", 5)
    baseline_folder = gate_example.bundle_at(place / "baseline")
    samples = place / "samples.npz"
    np.savez(samples, images=gate_example.images(), labels=gate_example.labels())
    (place / "gates.yaml").write_text("size:\nscore:\n")
    ran = run(
        place,
        "gate.sh",
        EDGEKD_RUN=str(worse),
        EDGEKD_BASELINE=str(baseline_folder),
        EDGEKD_POLICY="gates.yaml",
        EDGEKD_GATE_ARGS=f"--samples={samples}\n--store={place / 'store'}",
    )
    assert (ran.code, ran.outputs["verdict"]) == (1, "fail"), ran.stderr
    assert "::error title=edgekd gate score%3A fail::" in ran.stdout
    assert (place / "step-summary").read_text().startswith("<!-- edgekd-gate -->")
    assert (worse / "gate.xml").read_bytes().startswith(b"<?xml")


QUERY = "gh api --paginate"


def commented(place: Path, told: dict[str, Any] | None = None, number: str = "17") -> Ran:
    (place / "gate.md").write_text("<!-- edgekd-gate -->\ntable\n")
    return run(place, "comment.sh", told, EDGEKD_SUMMARY="gate.md", EDGEKD_PULL_REQUEST=number)


def test_the_first_table_is_a_new_comment_and_the_next_replaces_it(place: Path) -> None:
    ran = commented(place)
    comments = "repos/someone/something/issues/17/comments"
    assert ran.code == 0 and ran.calls[0][2:4] == ["--paginate", comments]
    assert ran.calls[1][2:] == ["--method", "POST", comments, "--field", "body=@gate.md"]
    ran = commented(place, {QUERY: {"says": "4711\n4712"}})
    goal = "repos/someone/something/issues/comments/4711"
    assert ran.calls[1][2:] == ["--method", "PATCH", goal, "--field", "body=@gate.md"]


def test_the_mark_is_the_summarys_own() -> None:
    from edgekd.report.gate_markdown import MARK

    assert f"mark='{MARK}'" in (ROOT / "ci" / "comment.sh").read_text()


def test_a_token_that_may_not_write_changes_no_verdict(place: Path) -> None:
    for told in ({QUERY: {"code": 1}}, {"gh api --method": {"code": 1}}):
        ran = commented(place, told)
        assert ran.code == 0 and "::warning title=edgekd comment::" in ran.stdout
    assert commented(place, number="17; rm -rf /").code == 2


def test_publish(place: Path) -> None:
    ran = run(place, "publish.sh", EDGEKD_BUNDLE="r/student.edgekd", EDGEKD_PUBLISH_TO="v3")
    want = ["gh", "release", "upload", "v3", "r/student.edgekd", "--repo", "someone/something"]
    assert (ran.code, ran.calls) == (0, [[*want, "--clobber"]])
    assert run(place, "publish.sh", EDGEKD_BUNDLE="x", EDGEKD_PUBLISH_TO="--notes").code == 2
