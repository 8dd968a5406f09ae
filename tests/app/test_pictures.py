"""``embed``, ``find`` and ``score``: one's own pictures and features on the command line."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from small_folders import write_folder

from reidlib import data, evaluation, methods, training
from reidlib.app import cli
from reidlib.training import runs


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("own") / "people")


@pytest.fixture(scope="module")
def run(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on data of one's own, whose modalities are visible and infrared."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REIDLIB_RUNS", "REIDLIB_CACHE"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        own = data.from_folders(people)
        recipe = methods.recipe("baseline", dataset=own, profile="ci").replace(epochs=1, warmup=0, height=32, width=16)
        return training.fit(recipe, own, progress=False, device="cpu").folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: object) -> int:
    return cli.main([*map(str, arguments), "--device", "cpu"] if arguments[0] != "score" else [*map(str, arguments)])


def test_a_folder_becomes_features(people: Path, run: Path, here: Path, capsys) -> None:
    assert call("embed", people / "visible", "--run", run, "--modality", "visible") == 0
    with np.load(here / "features.npz", allow_pickle=False) as found:
        features, paths, modality = (found[name] for name in ("features", "paths", "modality"))
    files = evaluation.images_in(people / "visible")
    assert paths.tolist() == [file.relative_to(people / "visible").as_posix() for file in files]
    assert not modality.any() and len(modality) == len(files)
    model = runs.load(run, device="cpu").model
    torch.testing.assert_close(torch.from_numpy(features), evaluation.embed_images(model, files, "visible"))
    assert f"{len(files)} pictures" in capsys.readouterr().out
    before = (here / "features.npz").read_bytes()
    assert call("embed", people / "infrared", "--run", run, "--modality", "infrared") == 2
    assert "features.npz exists; choose another name with --out" in capsys.readouterr().err
    assert (here / "features.npz").read_bytes() == before
    assert call("embed", people / "infrared", "--run", run, "--modality", "infrared", "--overwrite", "--quiet") == 0
    assert (here / "features.npz").read_bytes() != before and capsys.readouterr().out == ""


def test_a_picture_is_found_in_a_folder(people: Path, run: Path, here: Path, capsys) -> None:
    picture = evaluation.images_in(people / "infrared")[0]
    options = ("--run", run, "--modality", "infrared", "--among", "visible")
    assert call("find", picture, people / "visible", *options, "--k", 4, "--out", "deep/found.png") == 0
    with (here / "deep" / "found.csv").open() as file:
        rows = list(csv.DictReader(file))
    model, files = runs.load(run, device="cpu").model, evaluation.images_in(people / "visible")
    query, gallery = (evaluation.embed_images(model, *each) for each in (([picture], 1), (files, 0)))
    found = evaluation.search(query, gallery, 4)
    names = [files[place].relative_to(people / "visible").as_posix() for place in found.indices[0]]
    assert [row["path"] for row in rows] == names and [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    np.testing.assert_allclose([float(row["distance"]) for row in rows], found.distances[0], atol=1e-6)
    with Image.open(here / "deep" / "found.png") as strip:
        assert strip.format == "PNG" and strip.width > 300
    assert names[0] in capsys.readouterr().out
    assert call("find", picture, people / "visible", *options, "--out", "deep/found") == 2
    assert "found.png exists" in capsys.readouterr().err


def test_a_picture_does_not_find_itself(people: Path, run: Path, here: Path, capsys) -> None:
    alone = shutil.copytree(people / "visible", here / "alone")
    picture = evaluation.images_in(alone)[2]
    options = ("--run", run, "--modality", "visible", "--among", "visible", "--k", 1000)
    assert call("find", picture, alone, *options) == 0
    with (here / f"found-{picture.stem}.csv").open() as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert len(paths) == len(evaluation.images_in(alone)) - 1
    assert picture.relative_to(alone).as_posix() not in paths
    assert call("find", picture, picture, *options, "--out", "other") == 2
    assert "holds no other picture" in capsys.readouterr().err


def test_damaged_pictures_stop_or_are_left_out(people: Path, run: Path, here: Path, capsys) -> None:
    folder = shutil.copytree(people / "visible", here / "some")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    command = ("embed", folder, "--run", run, "--modality", "visible")
    assert call(*command) == 2
    assert "1 of " in (message := capsys.readouterr().err) and "broken.jpg" in message
    assert not (here / "features.npz").exists()
    assert call(*command, "--skip-damaged") == 1
    assert "left out" in (message := capsys.readouterr().err) and "broken.jpg" in message
    with np.load(here / "features.npz") as found:
        assert "broken.jpg" not in found["paths"] and len(found["paths"]) == len(evaluation.images_in(folder)) - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("embed {people}/visible --run {run}", "--modality: say what the pictures are, 'visible' (0), or 'infrared'"),
        ("embed {people}/visible --run {run} --modality thermal", "--modality thermal: say what the pictures are"),
        ("embed {people}/absent --run {run} --modality visible", "no file or folder"),
        ("embed {people}/visible --run absent --modality visible", "absent holds no run"),
        ("embed {people}/visible --run {run} --modality visible --out f.npy", "features are written as .npz"),
        ("embed {people}/visible --run {run} --modality visible --out {people}", "features are written as .npz"),
        ("find absent.jpg {people} --run {run}", "there is no picture absent.jpg"),
        ("find {people}/README {people} --run {run}", "there is no picture"),
        ("find {picture} {people} --run {run} --modality infrared", "--among: say what the pictures are, 'visible'"),
        ("find {picture} {people} --run {run} --modality infrared --among visible --k 0", "--k must be at least 1"),
        ("score absent.npz", "there is no file absent.npz"),
        ("score features.pkl", "arrays are read from .npy, .npz, .mat, not from .pkl"),
        ("score absent.npz --root x", "--root belongs to a data set: name it with --dataset"),
        ("score absent.npz --protocol shots=1", "--protocol shots: without a data set there are cameras="),
    ],
)
def test_mistakes_are_named_before_anything_is_computed(people, run, here, capsys, arguments, message) -> None:
    picture = evaluation.images_in(people / "infrared")[0]
    given = [word.format(people=people, run=run, picture=picture) for word in arguments.split()]
    assert call(*given) == 2
    assert message in capsys.readouterr().err and not list(here.iterdir())


# ---- score


def test_features_with_identities_are_scored_by_what_the_file_says(here: Path, capsys) -> None:
    generator = np.random.default_rng(0)
    pids, cams = np.repeat(np.arange(5), 4)[None], np.tile([1, 1, 2, 3], 5)[None]
    features = generator.standard_normal((20, 6)).astype(np.float32) + 3 * np.eye(6)[pids[0]]
    names = {"gallery_f": features, "gallery_label": pids, "gallery_cam": cams}
    savemat(
        here / "pytorch_result.mat",
        {name.replace("gallery", side): v for name, v in names.items() for side in ("gallery", "query")},
    )
    assert call("score", "pytorch_result.mat") == 0
    first = capsys.readouterr().out
    same = pids[0][:, None] == pids[0]
    exclude = same & (cams[0][:, None] == cams[0])
    expected = evaluation.rank(evaluation.cosine_distances(features, features), pids[0], pids[0], exclude=exclude)
    assert (
        f"rank-1  {100 * expected.metrics['rank-1']:6.2f}" in first
        and f"mAP     {100 * expected.metrics['mAP']:6.2f}" in first
    )
    assert "queries ignore images of their own identity and camera" in first and "20 queries of 5 identities" in first
    assert call("score", "pytorch_result.mat", "--protocol", "cameras=all", "cmc=identities", "--quiet") == 0
    assert "rank-1  100.00" in capsys.readouterr().out  # each finds itself


def test_features_of_a_data_set_are_scored_under_its_protocol(here: Path, capsys, ci_twin: Path) -> None:
    sysu = data.open("sysu", root=ci_twin)
    test = sysu.rows("test")
    features = np.random.default_rng(0).standard_normal((len(test), 8)).astype(np.float32)
    np.save(here / "f.npy", features)
    shuffled = np.random.default_rng(1).permutation(len(test))
    paths = sysu.frame["path"].iloc[test].to_numpy().astype(str)
    np.savez(here / "f.npz", features=features[shuffled], paths=paths[shuffled])
    expected = repr(evaluation.score(features, sysu, evaluation.protocols.get("sysu", search="indoor")))
    for file in ("f.npy", "f.npz"):
        options = ("--dataset", "sysu", "--root", ci_twin, "--protocol", "search=indoor", "--quiet")
        assert call("score", file, *options) == 0
        assert capsys.readouterr().out.strip() == expected
    np.savez(here / "g.npz", features=features[1:], paths=paths[1:])
    assert call("score", "g.npz", "--dataset", "sysu", "--root", ci_twin) == 2
    assert f"lacks 1 of {len(test)} test images" in (message := capsys.readouterr().err) and paths[0] in message
