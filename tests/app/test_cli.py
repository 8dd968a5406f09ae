"""The command line: what it does, what it says, and with which status it ends."""

import inspect
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch

from reidlib import data, evaluation, methods, twins
from reidlib.app import cli, commands, figures
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger, measures, studies, sweep
from reidlib.paths import MANIFEST
from reidlib.training import runs

PROTOCOL = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)  # of the fixture on_frame

pytestmark = pytest.mark.usefixtures("isolated_home", "own_ledger")


# ---- help and errors


def test_help_names_every_command_and_every_option(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    overview = capsys.readouterr().out
    for command in commands.COMMANDS:
        name = command.__name__.removesuffix("_")
        assert f"• {name}" in overview
        with pytest.raises(SystemExit) as ended:
            cli.main([name, "--help"])
        page = capsys.readouterr().out
        assert ended.value.code == 0 and command.__doc__.split(".")[0][:50] in page
        for option, parameter in inspect.signature(command).parameters.items():
            if parameter.kind != parameter.POSITIONAL_ONLY:
                assert f"--{'set' if option == 'changes' else option.replace('_', '-')}" in page
            if option != "what":
                texts = [each.help for each in get_args(parameter.annotation) if hasattr(each, "help")]
                assert len(texts) == 1 and texts[0].endswith("."), option


def test_the_installed_command_is_this_one(repository: Path) -> None:
    assert 'reidlib = "reidlib.app.cli:main"' in (repository / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [["sweep", "--help"], ["--version"], ["--tyro-print-completion", "bash"]])
def test_help_is_quick(arguments: list[str]) -> None:
    heavy = "[name for name in ('torch', 'pandas', 'numpy', 'matplotlib') if name in sys.modules]"
    code = f"""
import sys
from reidlib.app import cli
try:
    cli.main({arguments})
except SystemExit:
    pass
print({heavy})
"""
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert completed.stdout.splitlines()[-1] == "[]", completed.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parent.parent), "TQDM_DISABLE": "1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "train nothing",
            "unknown method 'nothing'; choose one of: baseline, ",
        ),
        ("train baseline --profile tiny", "unknown profile 'tiny'; choose one of: ci, screen, cpu, gpu, paper"),
        ("train baseline --profile paper", "no root was given for 'sysu' and REIDLIB_DATA is not set"),
        ("train baseline --root absent", "there is no folder absent"),
        ("train baseline --seed -1 --profile ci", "seed must be a whole number from 0"),
        ("train baseline --profile ci --twin huge", "the twin of 'sysu' has no profile 'huge'; choose one of: ci,"),
        ("evaluate absent", "absent holds no run: there is no recipe.json"),
        ("sweep nothing", "unknown study 'nothing'; choose one of: baseline-ingredients, baseline-regime, "),
        ("sweep null-control --profile ci --root absent", "there is no folder absent"),
        ("sweep null-control --profile ci --measures beauty", "unknown measure 'beauty'; choose from: cameras, "),
        ("figures nothing", "unknown figure 'nothing'; choose from: "),
        ("check market", "unknown data set 'market'; choose one of: sysu"),
        ("check sysu --root absent", "there is no folder absent. Give --root with"),
        ("check sysu --split 3", "--split 3 is not possible for 'sysu'; use none: this data set has a single split"),
        ("check regdb --twin ci", "'regdb' has several splits: choose one with --split, of [1, 2"),
        ("train baseline --profile ci --device cuda:7", "there is no device cuda:7: torch finds"),
        ("train baseline --profile ci --device meta", "--device meta: this machine cannot compute there"),
        ("train baseline --profile ci --device gpu", "unknown device 'gpu'; write, for example, cpu or cuda:0"),
        ("train baseline --profile ci --batch-size 0", "--batch-size must be at least 1, not 0"),
        ("train baseline --profile ci --protocol search=garden", "--protocol search=garden is unknown; known: 'all'"),
        ("train baseline --profile ci --protocol serch=all", "protocol 'sysu' has no option serch; known: flip"),
        ("evaluate absent --device cuda:7", "there is no device cuda:7"),
        ("sweep null-control --profile ci --protocol shots=3", "--protocol shots=3 is unknown; known: 1, 10"),
        ("sweep null-control --profile ci --workers 0", "--workers must be at least 1, not 0"),
        ("twin nothing --profile ci", "there is no twin of 'nothing'; choose one of: sysu"),
        ("twin sysu --profile paper", "the twin of 'sysu' has no profile 'paper'; choose one of: ci, screen"),
    ],
)
def test_mistakes_end_in_one_line_before_a_twin_is_rendered(
    capsys: pytest.CaptureFixture, isolated_home: Path, arguments: str, message: str
) -> None:
    assert cli.main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.startswith("reidlib: ") and captured.err.count("\n") == 1
    assert not list(isolated_home.rglob(MANIFEST)), "a twin was rendered"


@pytest.mark.parametrize("arguments", ["", "nothing", "train", "train baseline --seed one", "check sysu --decoed"])
def test_what_cannot_be_read_as_a_command_has_status_2(capsys: pytest.CaptureFixture, arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments.split())
    assert ended.value.code == 2 and "Traceback" not in capsys.readouterr().err


def test_only_mistakes_of_our_own_lose_their_traceback(monkeypatch, capsys: pytest.CaptureFixture) -> None:
    for error, is_expected in [
        (sweep.Interrupted("the code has changed"), True),
        (torch.OutOfMemoryError("the GPU has no room\nfor this batch"), True),
        (ValueError("this is no tree:\n  cam1/\n  cam2/\n"), True),
        (FloatingPointError("loss is nan"), True),
        (RuntimeError("shapes differ"), False),
        (TypeError("a slip"), False),
        (ZeroDivisionError("a slip"), False),
    ]:

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(twins, "ensure", fail)
        if is_expected:
            assert cli.main(["twin", "sysu", "--profile", "ci"]) == 2
            shown = str(error) if isinstance(error, ValueError) else f"{' '.join(str(error).split())}\n"
            assert capsys.readouterr().err == f"reidlib: {shown}", "a tree keeps its lines, what torch says does not"
        else:
            with pytest.raises(type(error)):
                cli.main(["twin", "sysu", "--profile", "ci"])


def test_without_tyro_it_says_what_to_install(monkeypatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert cli.main(["twin", "sysu"]) == 2
    assert "pip install tyro" in capsys.readouterr().err


# ---- commands


def test_train_opens_the_twin_of_the_profile_or_the_folder_that_is_named(on_frame, capsys) -> None:
    assert cli.main(["train", "baseline", "--profile", "ci", "--seed", "3"]) == 0
    assert on_frame == [("sysu", None, "ci", None), ("baseline", "ci", 3)]
    printed = capsys.readouterr().out
    assert printed.startswith("data: SYSU-MM01 (synthetic twin 1, ci), ")
    assert "mAP" in printed and "synthetic twin" in printed and str(ledger.local()) in printed
    assert ledger.table()[["profile", "seed"]].to_numpy().tolist() == [["ci", 3]]
    for arguments, opened in [
        ("--profile screen --twin ci", ("sysu", None, "ci", None)),
        ("--profile ci --root somewhere --split 2", ("sysu", Path("somewhere"), None, 2)),
        ("--profile paper", ("sysu", None, None, None)),
    ]:
        on_frame.clear()
        assert cli.main(["train", "baseline", *arguments.split()]) == 0
        assert on_frame[0] == opened


def test_sweep_runs_a_study_and_shows_its_table(on_frame, capsys) -> None:
    assert cli.main(["sweep", "baseline-ingredients", "--profile", "ci", "--seeds", "3", "4"]) == 0
    variants = list(studies.get("baseline-ingredients", dataset="sysu", profile="ci"))
    rows = ledger.table()
    assert rows["variant"].tolist() == 2 * variants and rows["seed"].tolist() == [3] * len(variants) + [4] * len(
        variants
    )
    printed = capsys.readouterr().out
    assert "synthetic twin 1, ci" in printed and PROTOCOL.name in printed and "seeds 3 4" in printed
    assert all(variant in printed for variant in variants)


def test_sweep_ends_with_status_1_if_a_run_failed(on_frame, capsys, new_study) -> None:
    diverging = methods.Study("baseline", {"full": {}, "diverges": {"learning_rate": 666}})
    new_study("hopeless", diverging)
    assert cli.main(["sweep", "hopeless", "--profile", "ci", "--seeds", "0", "1"]) == 1
    assert re.search(r"2 of 4 runs failed; the column error of .*ledger\.csv says why", capsys.readouterr().err)


def test_sweep_takes_the_measures_of_the_study_and_those_named(on_frame, capsys, new_study, new_measure) -> None:
    def odd(run: runs.Run, dataset: ReIDDataset) -> dict[str, float]:
        if run.recipe.seed == 2:
            raise ZeroDivisionError("a seed that is even")
        return {"seed": run.recipe.seed / 2}

    new_measure("odd", odd)
    new_measure("other", lambda run, dataset: {"images": 12345.0})
    study = methods.Study("baseline", {"full": {}, "longer": {"epochs": 4}}, ("odd",))
    new_study("measured", study)
    command = ["sweep", "measured", "--profile", "ci", "--measures", "other", "odd"]
    assert cli.main([*command, "--seeds", "1", "3"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^odd +seed +full +1\.000 +0\.707$", printed, re.MULTILINE) and "12345.000" in printed
    assert measures.table()["measure"].tolist() == 4 * ["odd", "other"]
    assert cli.main([*command, "--seeds", "2"]) == 1
    assert "2 of 2 runs lack a measure (odd of full, seed 2)" in capsys.readouterr().err
    assert ledger.table(seed=2, error=None)["variant"].tolist() == ["full", "longer"]


def test_sweep_goes_to_a_cluster(on_frame, capsys, monkeypatch) -> None:
    assert cli.main(["sweep", "null-control", "--profile", "ci", "--seeds", "0", "--cluster", "debug"]) == 0
    assert ledger.table()["variant"].tolist() == ["baseline", "baseline + inert module"]
    handed_in = []
    monkeypatch.setattr(sweep, "submit", lambda jobs, **options: handed_in.append((len(jobs), options)) or ["job 7"])
    on_frame.clear()
    options = "--seeds 0 1 --cluster slurm --parameters timeout_min=30 slurm_partition=short"
    assert cli.main(f"sweep null-control --profile ci {options}".split()) == 0
    assert handed_in == [(4, {"cluster": "slurm", "threads": None, "timeout_min": 30, "slurm_partition": "short"})]
    assert "1 of 4 runs were handed in" in capsys.readouterr().out
    assert cli.main(["sweep", "null-control", "--profile", "ci", "--cluster", "debug", "--parameters", "timeout"]) == 2
    assert "'timeout' is no option; write name=value" in capsys.readouterr().err


def test_check_ends_with_1_whatever_is_wrong_with_a_folder_that_is_there(imageless, monkeypatch, tmp_path, capsys):
    """What cannot be looked at at all is among the mistakes above."""
    assert cli.main(["check", "sysu", "--root", str(tmp_path)]) == 1
    assert "cannot be read" in (printed := capsys.readouterr().out)
    assert f"{tmp_path} lacks cam1, cam2" in printed and "\n  exp/val_id.txt\n" in printed
    without_files = replace(imageless, is_twin=False, twin_version=None, profile=None)
    monkeypatch.setattr(data, "open", lambda name, **options: without_files)
    assert cli.main(["check", "sysu", "--root", str(tmp_path)]) == 1
    assert "the file has gone" in capsys.readouterr().out


def test_figures_are_redrawn_by_name(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(figures, "redraw_all", asked.append)
    assert cli.main(["figures"]) == cli.main(["figures", "ranked_strip", "modality_gap"]) == 0
    assert asked == [None, ["ranked_strip", "modality_gap"]]


# ---- with a twin


@pytest.mark.slow
@pytest.mark.integration
def test_from_a_twin_to_a_row_in_the_ledger(ci_twin: Path, own_ledger: Path, isolated_home: Path) -> None:
    def reidlib(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "reidlib.app.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment())

    there = isolated_home / "data" / "twins" / "ci"
    there.mkdir(parents=True)
    (there / "sysu").symlink_to(ci_twin)
    built = reidlib("twin", "sysu", "--profile", "ci")
    assert (built.returncode, built.stdout.strip()) == (0, str(there / "sysu")), built.stderr
    checked = reidlib("check", "sysu", "--twin", "ci", "--decode")
    assert checked.returncode == 0 and "nothing missing, nothing odd" in checked.stdout, checked.stderr

    trained = reidlib("train", "baseline", "--profile", "ci")
    assert trained.returncode == 0, trained.stderr
    folder = re.search(r"run folder (.*), row in", trained.stdout)[1]
    (row,) = ledger.table().to_dict("records")
    assert f"{100 * row['mAP']:.2f}" in trained.stdout and len(ledger.identities()) > 1

    again = reidlib("evaluate", folder, "--protocol", "search=indoor", "num_trials=2")
    assert again.returncode == 0 and "sysu-indoor-1shot-official-first2" in again.stdout, again.stderr
    assert ledger.table()["protocol"].tolist() == ["sysu-all-1shot-official", "sysu-indoor-1shot-official-first2"]
    elsewhere = reidlib("evaluate", folder, "--root", ci_twin, "--protocol", "search=garden")
    assert elsewhere.returncode == 2 and elsewhere.stderr.count("\n") == 1
    assert "--protocol search=garden is unknown; known: 'all', 'indoor'" in elsewhere.stderr
