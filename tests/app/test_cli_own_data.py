"""The command line on data of one's own: four commands from a folder to a row, and what is said of mistakes."""

from pathlib import Path

import pytest
from small_folders import write_folder

from reidlib import data
from reidlib.app import cli
from reidlib.experiments import ledger

pytestmark = pytest.mark.usefixtures("isolated_home", "own_ledger")
SMALL = "--set epochs=1 warmup=0 height=32 width=16 --quiet"


def run(command: str, capsys: pytest.CaptureFixture) -> tuple[int, str, str]:
    status = cli.main(command.split())
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "mine", 8, images=2)


def test_checked_trained_evaluated_and_swept(root: Path, capsys: pytest.CaptureFixture) -> None:
    own = f"--data folder={root}"
    assert run(f"check {own}", capsys)[:2] == (0, "mine, own split (seed 0): nothing missing, nothing odd\n")
    status, out, err = run(f"train baseline --profile ci {own} {SMALL}", capsys)
    assert status == 0 and out.startswith("mine (own data, own split: seed 0) · cross-modality-infrared-visible"), err
    (row,) = ledger.table(ledger.local()).to_dict("records")
    assert (row["dataset"], row["source"]) == ("mine", "own")
    folder = next((ledger.local().parent / "mine" / "baseline").iterdir())
    status, out, err = run(f"evaluate {folder} {own} --protocol direction=visible-infrared shots=1", capsys)
    assert status == 0 and "cross-modality-visible-infrared-1shot" in out and "row in" in out, err
    status, _, err = run(f"evaluate {folder}", capsys)
    assert status == 2 and "trained on data of your own, 'mine': --data folder=… says where" in err
    status, _, err = run(f"evaluate {folder} {own} seed=1", capsys)
    assert status == 2 and "test identities of mine, own split (seed 1) were trained on" in err
    status, out, err = run(f"sweep null-control --profile ci --seeds 0 {own} {SMALL}", capsys)
    assert status == 0 and out.startswith("mine, own split (seed 0) · cross-modality-infrared-visible · seeds 0"), err


def test_a_table_its_options_and_names_of_modalities(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = write_folder(tmp_path / "x", 6, modalities=("photo", "sketch"), images=1)
    rows = [f"{m}/{p:04d}/0.png;{p};{m}" for m in ("photo", "sketch") for p in range(1, 7)]
    (root / "list.csv").write_text("\n".join(["path;pid;modality", *rows]))
    described = f"--data table={root / 'list.csv'} modalities=photo,sketch --data title=2024 name=ours shape=square"
    assert run(f"check {described}", capsys)[1].startswith("2024, own split (seed 0): nothing missing")
    status, out, err = run(f"train baseline --profile ci {described} {SMALL}", capsys)
    assert status == 0 and "ours (own data, own split: seed 0) · cross-modality-sketch-photo" in out, err


def test_own_lists_of_a_published_set(tmp_path: Path, twin, capsys: pytest.CaptureFixture) -> None:
    published = data.open("pku-sketch", root=twin("pku-sketch"), split=1)
    pids = published.frame["pid"].unique()
    (tmp_path / "people.txt").write_text("\n".join(map(str, pids[:5])))
    own = f"--root {twin('pku-sketch')} --data test={tmp_path / 'people.txt'}"
    status, out, _ = run(f"check pku-sketch {own}", capsys)
    assert status == 0 and out.startswith("PKU-Sketch (synthetic twin 1, ci), own split (people.txt)")


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("check --data folder=absent", 2, "there is no folder absent"),
        ("check --data table=absent.csv", 2, "there is no table"),
        ("check --data folder={root} folders=3", 2, "there is no 'folders'; choose from: modalities, name"),
        ("check --data folder={root} table=x.csv", 2, "give a folder or a table, not both"),
        ("check --data modalities=a,b", 2, "there is no 'modalities'; choose from: folder, table, train, test, label"),
        ("check regdb --data folder={root}", 2, "is data of your own; leave --dataset out"),
        ("train baseline --data folder={root} --split 2 --profile ci", 2, "no numbered splits"),
        ("train baseline --data folder={root} --twin ci --profile ci", 2, "leave --twin out"),
        ("check --data folder={root} modalities=rgb,ir", 1, "Expected rgb/<identity>/<image>.jpg"),
        ("check --data folder={root} test_share=3", 1, "--data test_share= must be a share from 0 to 1"),
        ("train baseline --data folder={above} --profile ci", 2, "Did you mean --data folder="),
        ("train baseline --data folder={root} cameras=c --profile ci", 2, "--data cameras=c must have one group"),
    ],
)
def test_mistakes(root: Path, capsys: pytest.CaptureFixture, command: str, status: int, message: str) -> None:
    found, out, err = run(command.format(root=root, above=root.parent), capsys)
    assert found == status and message in out + err
