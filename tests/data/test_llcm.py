"""Reading LLCM trees: whole, odd, damaged."""

import shutil
from pathlib import Path

import pytest

import reidlib.data
from reidlib.data import llcm

CAMERAS = {"vis": range(1, 10), "nir": (1, 2, 4, 5, 6, 7, 8, 9)}


def names(modality: str, pid: int, count: int) -> list[tuple[int, str]]:
    """(camera, file name) of ``count`` images, camera after camera."""
    cameras = CAMERAS[modality]
    return [
        (camid := cameras[i % len(cameras)], f"{pid:04d}_c{camid:02d}_s1855{i:02d}_f{i}_{modality}.jpg")
        for i in range(count)
    ]


def write_llcm(root: Path, train: dict[str, dict[int, int]], test: dict[str, dict[int, int]]) -> Path:
    """``train["vis"][pid]`` images, and so on; files of one byte, test images in both places."""
    (root / "idx").mkdir(parents=True)
    for modality in CAMERAS:
        for part, counts in (("train", train[modality]), ("test", test[modality])):
            lines = []
            for label, (pid, count) in enumerate(counts.items()):
                (root / modality / f"{pid:04d}").mkdir(parents=True)
                for camid, name in names(modality, pid, count):
                    lines.append(f"{modality}/{pid:04d}/{name} {label}\n")
                    (root / modality / f"{pid:04d}" / name).write_bytes(b"x")
                    if part == "test":
                        folder = root / f"test_{modality}/cam{camid}/{pid:04d}"
                        folder.mkdir(parents=True, exist_ok=True)
                        (folder / name).write_bytes(b"x")
            (root / f"idx/{part}_{modality}.txt").write_text("".join(lines))
        for camid in range(1, 10):
            (root / f"test_{modality}/cam{camid}").mkdir(parents=True, exist_ok=True)
    (root / "idx/test_id.txt").write_text(",".join(map(str, test["vis"])) + "\n")
    return root


def write_small(root: Path) -> Path:
    return write_llcm(root, *({name: dict.fromkeys(pids, 10) for name in CAMERAS} for pids in ((1, 4, 1064), (5, 20))))


@pytest.fixture
def tree(tmp_path):
    return write_small(tmp_path / "LLCM")


@pytest.fixture
def twin(tree):
    """The small tree with a manifest: a twin is not compared with the published counts."""
    (tree / "twin.json").write_text(
        '{"twin_version": "1", "dataset": "llcm", "profile": "ci", "images": 100, "image_size": [24, 12]}'
    )
    return tree


def check(root):
    return reidlib.data.open("llcm", root=root).check()


def find(report, where, text=""):
    return [p for p in report.problems if where in p.where and text in p.message]


def test_frame_of_a_small_tree(tree):
    dataset = reidlib.data.open("llcm", root=tree)
    frame = dataset.frame
    assert len(frame) == 5 * 2 * 10
    first = dict(path="vis/0001/0001_c01_s185500_f0_vis.jpg", pid=1, camid=1, modality=0, split="train")
    assert frame.loc[0].to_dict() == first
    order = list(zip(frame["pid"], frame["modality"], frame["camid"], frame["path"], strict=True))
    assert order == sorted(order)
    test = frame[frame["split"] == "test"]
    assert set(test["pid"]) == {5, 20} and len(test) == 40
    assert test["path"].str.startswith(("test_vis/", "test_nir/")).all(), "each test image once"
    assert (test["path"].str.split("/").str[1] == "cam" + test["camid"].astype(str)).all()
    assert set(frame.loc[frame["modality"] == 1, "camid"]) == set(CAMERAS["nir"])
    assert set(frame.loc[frame["modality"] == 0, "camid"]) == set(CAMERAS["vis"])


def test_root_path_may_contain_what_looks_like_a_camera(tmp_path):
    frame = reidlib.data.open("llcm", root=write_small(tmp_path / "cambridge/cam7/0009/LLCM")).frame
    assert set(frame["pid"]) == {1, 4, 5, 20, 1064} and set(frame["camid"]) == set(range(1, 10))


def test_the_published_empty_folder_may_be_missing(tree):
    shutil.rmtree(tree / "test_nir/cam3")
    assert len(reidlib.data.open("llcm", root=tree)) == 100


@pytest.mark.parametrize("folder", ["test_vis/cam3", "test_nir/cam4", "vis", "nir", "idx"])
def test_other_missing_folders_show_the_expected_tree(tree, folder):
    shutil.rmtree(tree / folder)
    with pytest.raises(FileNotFoundError, match=rf"(?s)lacks {folder}; expected tree:\nLLCM/"):
        reidlib.data.open("llcm", root=tree)


def test_root_one_level_too_high_gets_a_hint(tree):
    with pytest.raises(FileNotFoundError, match=r"did you mean root='.*/LLCM'"):
        reidlib.data.open("llcm", root=tree.parent)


@pytest.mark.parametrize("name", ["train_vis", "train_nir", "test_id"])
def test_missing_list_shows_the_expected_tree(tree, name):
    (tree / f"idx/{name}.txt").unlink()
    with pytest.raises(FileNotFoundError, match=rf"(?s){name}\.txt is missing.*expected tree:\nLLCM/"):
        reidlib.data.open("llcm", root=tree)


@pytest.mark.parametrize(
    "path",
    ["../x_c01_x.jpg", "/vis/0001/0001_c01_x.jpg", "C:/0001_c01_x.jpg", "vis\\0001\\0001_c01_x.jpg",
     "vis/0001/../../0001_c01_x.jpg", "nir/0001/0001_c01_x.jpg", "vis/0001/0001_c10_x.jpg", "vis/0001/img.jpg"],
)  # fmt: skip
def test_paths_of_another_form_are_refused(tree, path):
    file = tree / "idx/train_vis.txt"
    file.write_text(file.read_text() + f"{path} 0\n")
    with pytest.raises(ValueError, match=r"train_vis\.txt, line 31: .* no path of an image .*like 'vis/0001"):
        reidlib.data.open("llcm", root=tree)


@pytest.mark.parametrize(("old", "new"), [(" 2\n", " 3\n"), (" 2\n", " 713\n")])
def test_label_out_of_range_is_refused(tree, old, new):
    file = tree / "idx/train_nir.txt"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ValueError, match=r"train_\*\.txt: nir/1064/.* is out of range: 3 identities, 0 … 2"):
        reidlib.data.open("llcm", root=tree)


def test_labels_must_mean_the_same_in_both_lists(tree):
    file = tree / "idx/train_nir.txt"
    text = file.read_text()
    file.write_text(text.replace(" 0\n", " x\n").replace(" 1\n", " 0\n").replace(" x\n", " 1\n"))
    with pytest.raises(ValueError, match="identity 1 is labelled 1 here and 0 elsewhere"):
        reidlib.data.open("llcm", root=tree)


def test_identity_in_train_and_test_is_refused(tree):
    (tree / "idx/test_id.txt").write_text("5,20,1064\n")
    with pytest.raises(ValueError, match=r"test_id and the training lists share \[1064\]"):
        reidlib.data.open("llcm", root=tree)


def test_windows_lists_junk_files_and_capitals(tree):
    for file in (tree / "idx").iterdir():
        file.write_bytes(file.read_text().replace("\n", "\r\n").encode() + b"\r\n\r\n")
    for name in ("Thumbs.db", ".DS_Store", "._0005_c01_s185500_f0_vis.jpg"):
        (tree / "test_vis/cam1/0005" / name).write_bytes(b"x")
        (tree / "test_nir/cam3" / name).write_bytes(b"x")
    image = tree / "test_vis/cam1/0005/0005_c01_s185500_f0_vis.jpg"
    image.rename(image.with_suffix(".JPG"))
    dataset = reidlib.data.open("llcm", root=tree)
    assert len(dataset) == 100
    assert not find(dataset.check(), "test_nir/cam3") and not find(dataset.check(), "test_vis/")


def test_padded_test_ids_are_the_same(tree):
    (tree / "idx/test_id.txt").write_text("0005, 0020\n")
    assert set(reidlib.data.open("llcm", root=tree).frame["pid"]) == {1, 4, 5, 20, 1064}


def test_links_may_lead_to_the_first_copy_but_not_out_of_the_root(tree, tmp_path):
    image = tree / "test_vis/cam1/0005/0005_c01_s185500_f0_vis.jpg"
    image.unlink()
    image.symlink_to("../../../vis/0005/0005_c01_s185500_f0_vis.jpg")
    assert len(reidlib.data.open("llcm", root=tree)) == 100
    (tmp_path / "secret.jpg").write_bytes(b"x")
    for path in ("test_vis/cam1/0005/0005_c01_s185500_f0_vis.jpg", "vis/0001/0001_c01_s185500_f0_vis.jpg"):
        (tree / path).unlink()
        (tree / path).symlink_to(tmp_path / "secret.jpg")
        with pytest.raises(ValueError, match=rf"{path} is a link that leaves"):
            reidlib.data.open("llcm", root=tree)
        (tree / path).unlink()
        (tree / path).write_bytes(b"x")
    shutil.move(tree / "nir/0004", tmp_path / "0004")
    (tree / "nir/0004").symlink_to(tmp_path / "0004")
    with pytest.raises(ValueError, match=r"nir/0004 is a link that leaves"):
        reidlib.data.open("llcm", root=tree)


# --- check() ---------------------------------------------------------------------------------------------------------


def test_published_numbers_add_up():
    numbers = llcm.PUBLISHED_IMAGES
    assert numbers["train", "vis"] + numbers["train", "nir"] == 30_921
    assert sum(numbers.values()) == 46_767 and sum(llcm.PUBLISHED_IDENTITIES.values()) == 1_064


def test_complete_tree_is_accepted_and_one_missing_image_is_not(tree, monkeypatch):
    """The numbers of the small tree stand for the published ones: sixty thousand files prove no more."""
    small = {("train", "vis"): 30, ("train", "nir"): 30, ("test", "vis"): 20, ("test", "nir"): 20}
    monkeypatch.setattr(llcm, "PUBLISHED_IMAGES", small)
    monkeypatch.setattr(llcm, "PUBLISHED_IDENTITIES", {"train": 3, "test": 2})
    assert check(tree).problems == []
    next((tree / "test_nir/cam5/0020").iterdir()).unlink()
    report = check(tree)
    assert find(report, "test", "19 nir images, published: 20")[0].severity == "error"
    assert find(report, "idx/test_nir.txt", "1 names are only in the list")[0].severity == "error"


def test_small_real_tree_differs_from_the_published_counts(tree):
    (tree / "test_nir/cam3/0005").mkdir()
    (tree / "test_nir/cam3/0005/0005_c03_s200000_f1_nir.jpg").write_bytes(b"x")
    report = check(tree)
    assert find(report, "train", "30 vis images, published: 16,946")[0].severity == "error"
    assert find(report, "test", "2 identities, published: 351")[0].severity == "error"
    assert find(report, "test_nir/cam3", "1 images, published: none")[0].severity == "warning"


def test_clean_twin_has_no_problem(twin):
    assert check(twin).problems == []


def test_test_lists_are_compared_with_the_folders(twin):
    (twin / "idx/test_nir.txt").unlink()
    file = twin / "idx/test_vis.txt"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    report = check(twin)
    assert find(report, "idx/test_nir.txt", "is missing")[0].severity == "warning"
    [problem] = find(report, "idx/test_vis.txt")
    assert (
        problem.severity == "error" and "0 names are only in the list, 1 only in test_vis: 0005_c01" in problem.message
    )
    file.write_text("../x.jpg 0\n")
    assert find(check(twin), "idx/test_vis.txt", "no path of an image")[0].severity == "error"


def test_odd_test_folders_are_reported(twin):
    (twin / "idx/test_id.txt").write_text("5,20,5,77\n")
    (twin / "test_vis/cam2/0500").mkdir()
    (twin / "test_vis/cam2/0500/0500_c02_s1_f1_vis.jpg").write_bytes(b"x")
    (twin / "test_vis/cam2/0005/0005_c01_s1_f1_vis.jpg").write_bytes(b"x")
    (twin / "test_vis/cam2/12").mkdir()
    (twin / "test_vis/cam2/0005/notes.txt").write_bytes(b"x")
    report = check(twin)
    messages = [p.message for p in find(report, "idx/test_id.txt")]
    assert messages[:2] == ["listed, but without any image: [77]", "listed more than once: [5]"]
    assert "they are not used: [500]" in messages[2]
    assert find(report, "0005_c01_s1_f1_vis.jpg", "named as identity 5, camera 1")
    assert find(report, "test_vis/cam2/12", "left out") and find(report, "notes.txt", "left out")
