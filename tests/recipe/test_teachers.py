"""Who teaches is there, before anything runs; else one line says what and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import recipe
from edgekd.errors import InputError

BASE = """\
name: small
data: {source: digits}
teacher: {model: resnet20%(teacher)s}
%(more)s
student: {model: {name: resnet8, base: 8}}
learn: %(learn)s
targets: [{runtime: onnxruntime}]
"""


def load(folder: Path, learn: str, *, more: str = "", teacher: str = "") -> recipe.Recipe:
    path = folder / "r.yaml"
    path.write_text(BASE % {"learn": learn, "more": more, "teacher": teacher})
    return recipe.load(path)


CHAIN = """[{step: distil, model: resnet14, losses: [kd]},
  {step: distil, start: fresh, teachers: [distil-1], losses: [kd]},
  {step: distil, start: fresh, teachers: [teacher, distil-1, distil-2], scheme: densely-guided, losses: [kd]}]"""


def test_a_chain_of_assistants_and_generations(tmp_path: Path) -> None:
    learn = load(tmp_path, CHAIN).learn
    assert [str(words.model) for words in learn] == ["resnet14", "None", "None"]
    assert learn[2].teachers == ("teacher", "distil-1", "distil-2")


def test_further_teachers_by_name(tmp_path: Path) -> None:
    more = "teachers: {wide: {model: wrn-16-2}}"
    learn = "[{step: distil, teachers: [teacher, wide], combine: {rule: entropy}, losses: [kd]}]"
    loaded = load(tmp_path, learn, more=more)
    assert set(loaded.teachers) == {"wide"} and loaded.learn[0].combine.rule == "entropy"


@pytest.mark.parametrize(
    ("learn", "told"),
    [
        (
            "[{step: distil, teachers: [wide], losses: [kd]}]",
            r"teachers\.0: got 'wide', want one of teacher",
        ),
        (
            "[{step: distil, teachers: [distil-2], losses: [kd]}, {step: distil, losses: [kd]}]",
            "got 'distil-2'",
        ),
        ("[{step: distil, model: resnet14, losses: [kd]}]", "want the student's"),
        (
            "[{step: distil, knowledge: stored, losses: [simkd]}]",
            "knowledge: got 'stored', want 'online'",
        ),
        (
            "[{step: distil, scheme: densely-guided, losses: [fitnet]}]",
            "scheme 'densely-guided' shows none",
        ),
        (
            "[{step: distil, only: ['1'], knowledge: stored, losses: [kd]}]",
            "numbers the samples anew",
        ),
        ("[{step: distil, scheme: adaptive, losses: [kd]}]", "want two `teachers` or more"),
        ("[{step: distil, scheme: {name: lwf, old: 5}, losses: [kd]}]", "want `only` to name"),
        ("[{step: distil, scheme: route, losses: [kd]}]", "with `waypoints`"),
        ("[{step: distil, inherit: {teacher: x}, losses: [kd]}]", "inherit.teacher: got 'x'"),
        ("[{step: distil, losses: [{name: kd, layers: 0.5}]}]", "which reads no layers"),
        (
            "[{step: distil, losses: [{name: fitnet, standardize: true}]}]",
            "takes no teacher's logits",
        ),
        ("[{step: distil, scheme: {name: dnl}, losses: [kd]}]", "did you mean 'dml'"),
        (
            "[{step: distil, losses: [kd]}, {step: quantize, losses: [fitnet]}]",
            "a quantized student is traced",
        ),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, learn: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        load(tmp_path, learn)
    assert caught.value.exit_code == 2 and "r.yaml:" in str(caught.value)


PRUNED = "[{step: distil, losses: [kd]}, {step: prune, macs: 0.5, recover: {%s}}]"


@pytest.mark.parametrize(
    ("learn", "told"),
    [
        (
            "[{step: distil, losses: [fitnet]}]",
            r"learn\.0\.losses: got \[fitnet\], which leaves the classifier untaught, want a loss on logits",
        ),
        (
            "[{step: distil, losses: [rkd, maskd]}]",
            r"learn\.0\.losses: got \[rkd, maskd\], which leave the classifier untaught",
        ),
        (PRUNED % "losses: [sp]", r"learn\.1\.recover\.losses: got \[sp\], which leaves"),
        (
            PRUNED % "losses: [kd, simkd], knowledge: stored",
            r"learn\.1\.recover\.knowledge: got 'stored', want 'online'",
        ),
        (
            "[{step: distil, scheme: dml, teachers: [wide], losses: [kd]}]",
            r"learn\.0\.teachers: got 'wide', want it left out: scheme 'dml' has no teacher",
        ),
        (
            "[{step: distil, scheme: cs-kd, teachers: [teacher, wide], losses: [kd]}]",
            r"learn\.0\.teachers: got 'teacher', want it left out: scheme 'cs-kd' has no teacher",
        ),
        (
            "[{step: distil, scheme: tf-kd, knowledge: stored, losses: [kd]}]",
            r"learn\.0\.knowledge: got 'stored', want it left out: scheme 'tf-kd' has no teacher",
        ),
        (
            "[{step: distil, scheme: ema, knowledge: online, losses: [kd]}]",
            r"learn\.0\.knowledge: got 'online', want it left out",
        ),
        (
            "[{step: distil, scheme: sskd, teachers: [teacher, wide], losses: [kd]}]",
            r"learn\.0\.teachers\.1: got 'wide', want one: scheme 'sskd' hears one teacher",
        ),
        (
            "[{step: distil, combine: {rule: entropy}, losses: [kd]}]",
            r"learn\.0\.combine: got it, want it left out: there is one teacher",
        ),
        (
            "[{step: distil, scheme: adaptive, teachers: [teacher, wide], combine: {rule: entropy},"
            " losses: [kd]}]",
            r"learn\.0\.combine: got it, want it left out: scheme 'adaptive' combines none",
        ),
    ],
)
def test_what_would_do_nothing(tmp_path: Path, learn: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        load(tmp_path, learn, more="teachers: {wide: {model: wrn-16-2}}")
    assert caught.value.exit_code == 2 and "r.yaml:" in str(caught.value)


@pytest.mark.parametrize(
    "learn",
    [
        "[{step: distil, losses: [simkd]}]",
        "[{step: distil, losses: [irg]}]",
        "[{step: distil, losses: [cross-entropy, fitnet]}]",
        "[{step: distil, scheme: dml, teachers: [teacher], combine: {}, losses: [kd]}]",
        "[{step: distil, scheme: ard, teachers: [teacher, wide], combine: {rule: entropy}, losses: [kd]}]",
        PRUNED % "losses: [kd, fitnet]",
    ],
)
def test_what_counts_is_taken(tmp_path: Path, learn: str) -> None:
    load(tmp_path, learn, more="teachers: {wide: {model: wrn-16-2}}")


KD = "[{step: distil, losses: [kd]}]"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("waypoints: 20", "waypoints: got 20, want fewer than its epochs, 20"),
        ("waypoints: 3, train: {epochs: 3}", "waypoints: got 3, want fewer than its epochs, 3"),
        (
            "waypoints: 2, train: {early_stop_epochs: 5}",
            "waypoints: got 2, want it without train.early_stop_epochs",
        ),
        ("weights: w.pt, waypoints: 2", "waypoints: got it beside `weights`"),
        ("weights: w.pt, only: ['1']", "only: got it beside `weights`, want `train` beside them"),
        ("classes: ['1', '0']", "classes: got it for a teacher that is trained here"),
        ("allow: [extra]", "allow: got it for a teacher that is trained here"),
        ("train: {freeze: 1}", "train.freeze: got it without `weights`"),
        ("only: ['0', '0']", "only: got '0' twice, want it once"),
    ],
)
def test_what_a_teacher_cannot_have(tmp_path: Path, words: str, told: str) -> None:
    with pytest.raises(InputError, match=f": teacher.{told}"):
        load(tmp_path, KD, teacher=f", {words}")
    with pytest.raises(InputError, match=f": teachers.wide.{told}"):
        load(tmp_path, KD, more=f"teachers: {{wide: {{model: wrn-16-2, {words}}}}}")


def test_what_a_teacher_can_have(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"")
    load(tmp_path, KD, teacher=", waypoints: 2, only: ['1', '0'], train: {epochs: 3}")
    trained = "train: {epochs: 3, layer_decay: 0.7, freeze: [conv1, layer1]}"
    load(tmp_path, KD, teacher=f", weights: w.pt, classes: ['1', '0'], waypoints: 2, {trained}")


@pytest.mark.parametrize("words", ["layer_decay: 0.5", "freeze: 1"])
def test_a_quantized_student_has_no_stages(tmp_path: Path, words: str) -> None:
    name = words.partition(":")[0]
    steps = f"{KD[:-1]}, {{step: quantize, losses: [kd], train: {{{words}}}}}]"
    with pytest.raises(InputError, match=f"learn.1.train.{name}: got it for quantize"):
        load(tmp_path, steps)


def test_a_teacher_may_not_be_called_teacher(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which is the first teacher's name"):
        load(tmp_path, "[{step: distil, losses: [kd]}]", more="teachers: {teacher: {model: vgg8}}")


def test_a_loss_s_weight_is_the_literature_s_unless_it_is_said(tmp_path: Path) -> None:
    learn = "[{step: distil, losses: [kd, sp, {name: fitnet, weight: 2}]}]"
    assert [term.weight for term in load(tmp_path, learn).learn[0].losses] == [1.0, 3000.0, 2.0]


def test_ramps_and_layers_are_read(tmp_path: Path) -> None:
    written = (
        "[{step: distil, losses: [{name: kd, ramp: {epochs: 5}},"
        " {name: at, layers: [{student: layer1, teacher: layer2}]}, {name: fitnet, layers: 1}]}]"
    )
    ramped, pair, deep = load(tmp_path, written).learn[0].losses
    assert ramped.ramp.epochs == 5 and pair.layers[0].teacher == "layer2" and deep.layers == 1.0


def test_a_quantized_student_has_no_auxiliary_logits(tmp_path: Path) -> None:
    own = "train: {epochs: 1, auxiliary: 0.3}"
    distil = f"{{step: distil, losses: [kd], {own}}}"
    load(tmp_path, f"[{distil}]")
    with pytest.raises(InputError, match=r"learn.1.train.auxiliary: got it for quantize, want 0"):
        load(tmp_path, f"[{distil}, {{step: quantize, {own}}}]")


TAGS = """\
name: tags
task: token-classification
data: {source: "tagged-text:sentences.jsonl"}
teacher: {model: text-tagger}
student: {model: text-tagger}
learn: [{step: distil, losses: [%s]%s}, {step: quantize%s}]
targets: [{runtime: onnxruntime}]
"""


@pytest.mark.parametrize("losses", ["kd", "kd, fitnet", "cross-entropy, kd"])
def test_teachers_of_tags_answer_live_where_nothing_is_said(losses: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(TAGS % (losses, "", ""))
    distil, quantize = recipe.load(path).steps
    assert (distil.answers, quantize.answers) == ("online", "online")
    assert (distil.may_store_layers, distil.reads_stored_layers) == (False, False)  # type: ignore[attr-defined]
    assert quantize.words.knowledge == "online"  # type: ignore[union-attr]


@pytest.mark.parametrize(("place", "key"), [(0, "learn.0"), (1, "learn.1")])
def test_answers_as_long_as_their_texts_cannot_be_stored(
    place: int, key: str, tmp_path: Path
) -> None:
    said = ["", ""]
    said[place] = ", knowledge: stored"
    path = tmp_path / "r.yaml"
    path.write_text(TAGS % ("kd", *said))
    wanted = f"{key}.knowledge: got 'stored', want 'online': answers are as long as their texts"
    with pytest.raises(InputError, match=wanted):
        recipe.load(path)
