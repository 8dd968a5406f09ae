"""Options of the command line: names it knows without torch, changes of a recipe, which data are opened."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reidlib import data, evaluation, methods, training
from reidlib.app import changes, cli, options
from reidlib.console import spelling
from reidlib.experiments import ledger, studies
from reidlib.networks.backbone import Stages
from reidlib.paths import MANIFEST

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)

pytestmark = pytest.mark.usefixtures("isolated_home", "own_ledger")

# ---- names


def test_names_that_help_knows_are_those_there_are() -> None:
    assert sorted(options.method_names()) == sorted(methods.names()) and "maum-p" in options.method_names()
    assert options.dataset_names() == list(data.names())
    assert sorted(options.study_names()) == sorted(studies.registered())


def test_a_method_from_outside_is_taken_too(on_frame, new_method, monkeypatch) -> None:
    new_method("other")
    assert cli.main(["train", "other", "--profile", "ci"]) == 0 and on_frame[1] == ("other", "ci", 0)
    entries = [type("Entry", (), {"name": "installed"})]
    monkeypatch.setattr(options, "entry_points", lambda group: entries if group == "reidlib.methods" else [])
    assert options.method_names()[-1] == "installed"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_values(shell: str, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["--tyro-print-completion", shell]) == 0
    script = capsys.readouterr().out
    start, end = script.index("COMPLETION_SPEC = "), script.index("if __name__ ==")
    scope: dict = {}
    text = script[start:end] if shell != "fish" else re.sub(r'\\([\\"$])', r"\1", script[start:end])  # it reads quotes
    exec(text, scope)

    def completed(line: str) -> list[str]:
        words = ["reidlib", *line.split(" ")]
        found = scope["get_completions"](words, len(words) - 1, scope["COMPLETION_SPEC"])
        return [each.partition("\t")[0] for each in found]

    assert completed("tra") == ["train"] and completed("list meth") == ["methods"]
    assert completed("train m") == ["maum", "maum-p"]
    assert completed("sweep maum-m") == ["maum-memory-length", "maum-memory-interval", "maum-map"]
    assert completed("train maum --datas") == ["--dataset"]
    assert completed("train maum --dataset s") == ["sysu", "shoe"] and completed("check sysu --tw") == ["--twin"]


def test_what_there_is_is_listed(capsys: pytest.CaptureFixture) -> None:
    def listed(what: str) -> dict[str, str]:
        assert cli.main(["list", what]) == 0
        return dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())

    assert listed("methods").keys() == set(methods.names()) and "MAUM · sysu, regdb, llcm" in listed("methods")["maum"]
    assert "RegDB · visible and thermal · splits 1 2" in listed("datasets")["regdb"]
    assert listed("studies").keys() == studies.registered().keys()
    assert "64×32" in listed("profiles")["ci"] and "search=all shots=1" in listed("protocols")["sysu"]
    assert "MAUM" in listed("measures")["relay"] and listed("claims")["M1"].strip().startswith("MAUM · One proxy")
    assert cli.main(["--version"]) == 0 and capsys.readouterr().out.startswith("reidlib 0.")


# ---- changes of a recipe


@pytest.fixture
def baseline() -> methods.Recipe:
    return methods.recipe("baseline", profile="ci")


def test_changes_reach_the_recipe_and_its_digest(baseline) -> None:
    typed = ["epochs=40", "loss_weights.triplet=0.5", "model.neck=false", "augmentation.erase_scale=[0.1,0.2]"]
    changed = changes.apply(baseline, [typed, ["amp=off", "subsample.modality=1", "subsample.images=0.5"]])
    assert changed == baseline.replace(
        epochs=40,
        loss_weights={"triplet": 0.5},
        model={"neck": False},
        augmentation={"erase_scale": (0.1, 0.2)},
        amp="off",
        subsample={"modality": 1, "images": 0.5},
    )
    assert changes.apply(baseline, []) is baseline
    added = changes.apply(methods.recipe("maum", profile="ci"), [["model.memory_length=2"]])
    assert added.model["memory_length"] == 2


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("epocs=4", "--set epocs: a recipe has no such field; choose from: amp, .*; did you mean epochs"),
        ("epochs=forty", "--set epochs: must be a number, not 'forty'"),
        ("epochs=true", "--set epochs: must be a number, not True"),
        ("epochs=0", "epochs must be a whole number from 1, not 0"),
        ("epochs.x=2", "epochs has no parts; write epochs=VALUE"),
        ("seed=3", "--set seed: this is chosen by --seed"),
        ("augmentation=1", "write augmentation.NAME=VALUE; choose from: edges, erase, "),
        ("augmentation.flipp=1", "no such option; choose from: edges, erase, .*did you mean flip"),
        ("augmentation.flip=3", "flip is a probability, 0 to 1, not 3"),
        ("augmentation.flip=often", "--set augmentation.flip: must be a number, not 'often'"),
        ("augmentation.erase_scale=[0.1]", r"must be 2 numbers, such as \[0.02, 0.33\], not \[0.1\]"),
        ("model.nek=false", "baseline has no such option; choose from: inert, .*did you mean neck"),
        ("model.neck=maybe", "--set model.neck: must be true or false, not 'maybe'"),
        ("model.pool=median", "unknown pooling 'median'; choose one of: gem, average"),
        ("loss_weights.tripplet=1", "baseline has no such term; choose from: identity, triplet; did you mean triplet"),
        ("loss_weights.triplet=heavy", "--set loss_weights.triplet: must be a number"),
        ("loss_weights.triplet=null", "has the loss terms identity, triplet; add --set loss_weights.triplet=1"),
        ("backbone=resnet51", "unknown backbone 'resnet51'; choose one of: tiny, small"),
        ("weights=imagenet", "backbone 'tiny' has no ImageNet weights; use --set weights=null"),
        ("backbone=vit_b_16", "vision transformer has no five stage maps and is not trained here"),
        ("weights=imagnet", "weights must be None, 'twin', 'imagenet', or a file that ends with"),
        ("weights=nowhere.pth", "weights file nowhere.pth .* cannot be read: No such file"),
        ("subsample.images=0.5", "must name a modality, as in --set subsample.modality=1"),
        ("milestones=3", "--set milestones: must be a list"),
        ("epochs", "'epochs' is no option; write name=value"),
        ("epochs=4 epochs=5", "epochs is given twice"),
    ],
)
def test_a_change_that_does_not_fit_is_refused_before_a_twin_is_rendered(typed, message, isolated_home, capsys) -> None:
    assert cli.main(["train", "baseline", "--profile", "ci", "--set", *typed.split()]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and re.search(message, said), said
    assert not list(isolated_home.rglob(MANIFEST)), "a twin was rendered"


def test_train_and_sweep_take_changes(on_frame, monkeypatch, capsys) -> None:
    made = []
    fit = training.fit
    monkeypatch.setattr(
        training, "fit", lambda recipe, *others, **named: made.append(recipe) or fit(recipe, *others, **named)
    )
    assert (
        cli.main(["train", "baseline", "--profile", "ci", "--set", "epochs=7", "--set", "loss_weights.triplet=0.5"])
        == 0
    )
    assert (made[0].epochs, made[0].loss_weights["triplet"]) == (7, 0.5)
    assert ledger.table()["recipe"].tolist() == [made[0].digest]
    assert cli.main(["sweep", "null-control", "--profile", "ci", "--seeds", "0", "--set", "epochs=5", "warmup=0"]) == 0
    assert [recipe.epochs for recipe in made[1:]] == [5, 5]
    assert cli.main(["sweep", "null-control", "--profile", "ci", "--seeds", "0", "--set", "model.inert=true"]) == 2
    assert "--set model.inert: the study 'null-control' decides this itself" in capsys.readouterr().err
    assert cli.main(["sweep", "maum-ladder", "--profile", "ci", "--set", "model.memory_interval=2"]) == 2
    assert "variant 'baseline' (baseline): --set model.memory_interval" in capsys.readouterr().err
    assert len(made) == 3


def test_trunk_and_weights_have_options_of_their_own(on_frame, monkeypatch, tmp_path, capsys) -> None:
    made = []
    fit = training.fit
    monkeypatch.setattr(
        training, "fit", lambda recipe, *others, **named: made.append(recipe) or fit(recipe, *others, **named)
    )
    file = tmp_path / "my weights.pth"
    torch.save(Stages("small").state_dict(), file)
    train = ["train", "baseline", "--profile", "ci"]
    assert cli.main([*train, "--backbone", "small", "--weights", str(file)]) == 0
    assert made[0].backbone == "small" and made[0].weights.startswith(f"{file}#sha256=")
    assert ledger.table()["recipe"].tolist() == [made[0].digest]
    assert cli.main([*train, "--weights", "null"]) == 0 and made[1].weights is None
    assert cli.main([*train, "--backbone", "small", "--set", "backbone=tiny"]) == 2
    assert "backbone is given twice" in capsys.readouterr().err
    assert cli.main([*train, "--weights", str(file)]) == 2
    assert "another network's" in capsys.readouterr().err
    assert changes.apply(methods.recipe("baseline", profile="paper"), [["weights=null"]]).weights is None


# ---- data and protocol


def test_a_licensed_tree_is_used_or_the_twin_is_asked_for(on_frame, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    for command in ("train baseline --profile ci", "sweep null-control --profile ci --seeds 0"):
        for there, more, opened in [
            (False, "", ("sysu", None, "ci", None)),
            (True, "", ("sysu", None, None, None)),
            (True, " --twin cpu", ("sysu", None, "cpu", None)),
        ]:
            (tmp_path / "sysu").mkdir(exist_ok=True) if there else None
            on_frame.clear()
            assert cli.main((command + more).split()) == 0 and on_frame[0] == opened
        (tmp_path / "sysu").rmdir()


def test_a_link_to_a_drive_that_is_not_there_is_no_reason_for_a_twin(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    (tmp_path / "sysu").symlink_to(tmp_path / "unmounted")
    for command in ("train baseline --profile ci", "sweep null-control --profile ci", "check sysu"):
        assert cli.main(command.split()) == 2
        assert f"sysu is a link to {tmp_path / 'unmounted'}, which is not there" in capsys.readouterr().err


def test_sysu_without_its_permutations_is_trained_with_other_draws(imageless, monkeypatch, capsys) -> None:
    tree = replace(imageless, root=Path("nowhere"))
    monkeypatch.setattr(data, "open_available", lambda *_: tree)
    monkeypatch.setattr(training, "fit", lambda *_, **__: pytest.fail("trained before it was said"))
    assert cli.main(["train", "baseline", "--profile", "ci"]) == 2
    said = capsys.readouterr().err
    assert "copy evaluation/data_split/rand_perm_cam.mat" in said and "--protocol gallery=agw" in said
    with pytest.raises(FileNotFoundError, match=r"rand_perm_cam\.mat from .* or .*gallery='agw'"):
        evaluation.protocols.get("sysu").trials(tree)
    reached = []
    monkeypatch.setattr(
        training, "fit", lambda *_, **__: reached.append(1) or (_ for _ in ()).throw(ValueError("here"))
    )
    assert cli.main(["train", "baseline", "--profile", "ci", "--protocol", "gallery=agw"]) == 2 and reached


def test_options_reach_training_and_evaluation(on_frame, monkeypatch, capsys) -> None:
    given = {}
    fit, evaluate = training.fit, evaluation.evaluate
    monkeypatch.setattr(training, "fit", lambda *on, **named: given.update(named) or fit(*on, **named))
    monkeypatch.setattr(evaluation, "evaluate", lambda *on, **named: given.update(named) or evaluate(*on, **named))
    typed = "--batch-size 32 --images-on host --checkpoint-every 5 --compiled --extends there --quiet"
    assert cli.main(f"train baseline --profile ci {typed}".split()) == 0
    wanted = {"batch_size": 32, "images_on": "host", "checkpoint_every": 5, "compiled": True}
    assert given == {**wanted, "extends": Path("there"), "device": None, "progress": False}
    printed = capsys.readouterr()
    assert printed.out.startswith("sysu (synthetic twin") and "run folder" not in printed.out and not printed.err


def test_evaluate_opens_what_the_run_was_trained_on(
    on_frame, imageless, finished, monkeypatch, tmp_path, capsys
) -> None:
    run, _ = finished(methods.recipe("baseline", profile="ci"), replace(imageless, profile="ci"), PROTOCOL)
    monkeypatch.setattr(training.runs, "load", lambda folder, device: run)
    given = []

    def evaluate(model, images, rules, **named) -> evaluation.EvaluationResult:
        given.append(named)
        return finished(run.recipe, images, rules)[1]

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    (tmp_path / "sysu").mkdir()  # it was trained on the twin, and the twin it is
    assert cli.main(["evaluate", "there", "--batch-size", "16", "--allow-seen"]) == 0
    assert on_frame == [("sysu", None, "ci", None)] and given == [{"batch_size": 16, "allow_seen": True}]
    assert "row in" in capsys.readouterr().out and len(ledger.table()) == 1
    assert cli.main(["evaluate", "there", "--twin", "screen", "--quiet"]) == 0 and on_frame[1][2] == "screen"
    assert capsys.readouterr().out.startswith("sysu (synthetic twin 1, screen)") and len(ledger.table()) == 1
    assert cli.main(["evaluate", "there", "--root", "somewhere"]) == 0 and on_frame[2][1:3] == (Path("somewhere"), None)


def test_spelling_says_what_the_reader_types() -> None:
    said = [
        spelling.argument("batch_size", 8),
        spelling.argument("triplet", 0.5, of="recipe"),
        spelling.argument("root"),
    ]
    assert said == ["batch_size=8", "triplet=0.5", "root="]
    with spelling.for_command_line():
        assert spelling.argument("batch_size") == "--batch-size" and spelling.argument("k1", None, of="protocol")
        assert spelling.argument("root", Path("a b")) == "--root 'a b'"
        assert spelling.argument("weights", None, of="recipe") == "--set weights=null"
    assert spelling.either("here", "there") == "here"


# ---- two processes


@pytest.mark.slow
@pytest.mark.integration
def test_two_processes_of_torchrun_evaluate_print_and_record_once(ci_twin: Path, own_ledger: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "reidlib.app.cli", "train", "baseline", "--profile", "ci", "--root", str(ci_twin)]
    changed = ["--set", "epochs=1", "warmup=0", "--device", "cpu", "--protocol", "num_trials=1"]
    done = subprocess.run([*torchrun, *command, *changed], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run folder") == done.stdout.count("data: ") == 1
    assert len(own_ledger.read_text().splitlines()) == 2, "a heading and one row"
    sweep = subprocess.run(
        [*torchrun, *command[:2], "sweep", "null-control"], capture_output=True, text=True, timeout=300
    )
    assert sweep.returncode and "torchrun starts no sweep" in sweep.stderr
