"""SYSU-MM01's protocols on a tree of empty files in the real numbers."""

import hashlib
import random
import shutil

import numpy as np
import pytest
from scipy.io import loadmat, savemat

import reidlib.data
from reidlib.evaluation import protocols, rank

QUERY_DIGEST = "3ab2765c392c25b6"
AGW_DIGESTS = {  # of the galleries that AGW's code draws, trials 0 to 9
    "all": """3060dd2f15c945be 2a6494c18f52cc8a 2acb41770f889246 316d478292b445cf de547d480904298e
              9fad57828e9e1f6a 57412292a28b89ec 794b73586326dc2a 6d059c2a83185116 a7b4db836b9048a7""",
    "indoor": """9cc52659200a1593 15ddb091c4463fdb 230950a92835a2c4 8bd4c02ca64f9839 63391f889d5e0cae
                 ef3ffc4cb0568d8b ee46aad583801a2b 7d068a610efd8ad9 537e52c872df3205 8003e144bd5462d9""",
}
SIZES = {("all", 1): (301, 3803), ("all", 10): (3010, 3803), ("indoor", 1): (112, 2208), ("indoor", 10): (1120, 2208)}
EVERY_PROTOCOL = [
    *({"search": search, "shots": shots, "gallery": "official"} for search, shots in SIZES),
    *({"search": search, "shots": 1, "gallery": "agw"} for search in AGW_DIGESTS),
]


def paths(dataset, rows):
    return dataset.frame["path"].iloc[rows].tolist()


def digest(dataset, rows):
    return hashlib.sha256("\n".join(paths(dataset, rows)).encode()).hexdigest()[:16]


def frames(dataset, trial):
    return dataset.frame.iloc[trial.query_rows], dataset.frame.iloc[trial.gallery_rows]


@pytest.mark.parametrize("search", AGW_DIGESTS)
def test_agw_galleries(stubs, search):
    random.seed(7)
    before = random.getstate()
    trials = protocols.get("sysu", search=search, gallery="agw").trials(stubs)
    assert [digest(stubs, trial.gallery_rows) for trial in trials] == AGW_DIGESTS[search].split()
    assert random.getstate() == before, "the global generator must be left alone"


def test_agw_galleries_begin_as_published(stubs):
    first = protocols.get("sysu", gallery="agw").trials(stubs)[0]
    start = ["1/0006/0025", "2/0006/0025", "4/0006/0014", "5/0006/0002", "1/0010/0017", "2/0010/0017"]
    assert paths(stubs, first.gallery_rows[:6]) == [f"cam{name}.jpg" for name in start]


@pytest.mark.parametrize("options", EVERY_PROTOCOL, ids=lambda options: "-".join(map(str, options.values())))
def test_queries_and_sizes(stubs, options):
    protocol = protocols.get("sysu", **options)
    trials = protocol.trials(stubs)
    size, valid = SIZES[options["search"], options["shots"]]
    assert len(trials) == 10
    for trial in trials:
        assert len(trial.query_rows) == 3803 and digest(stubs, trial.query_rows) == QUERY_DIGEST
        assert len(np.unique(trial.gallery_rows)) == len(trial.gallery_rows) == size
    query, gallery = frames(stubs, trials[0])
    assert set(query["camid"]) == {3, 6}
    assert set(gallery["camid"]) == ({1, 2, 4, 5} if options["search"] == "all" else {1, 2})
    assert set(gallery.groupby(["pid", "camid"]).size()) == {options["shots"]}
    match = query["pid"].to_numpy()[:, None] == gallery["pid"].to_numpy()
    assert (match & ~protocol.exclude(query, gallery)).any(axis=1).sum() == valid


@pytest.mark.parametrize("shots", [1, 10])
@pytest.mark.parametrize("search", AGW_DIGESTS)
def test_official_galleries_follow_the_permutations(stubs, search, shots):
    cells = loadmat(stubs.root / "exp" / "rand_perm_cam.mat")["rand_perm_cam"]
    pids = sorted(set(stubs.frame["pid"]))
    cameras = [1, 2, 4, 5] if search == "all" else [1, 2]
    for number, trial in enumerate(protocols.get("sysu", search=search, shots=shots).trials(stubs)):
        expected = []
        for pid in pids:
            for camid in cameras:
                permutation = cells[camid - 1, 0].ravel()[pid - 1]
                if permutation.size:
                    expected += [f"cam{camid}/{pid:04d}/{image:04d}.jpg" for image in permutation[number][:shots]]
        assert paths(stubs, trial.gallery_rows) == expected


def test_camera_3_ignores_all_of_camera_2_and_nothing_else(stubs):
    protocol = protocols.get("sysu")
    query, gallery = frames(stubs, protocol.trials(stubs)[0])
    exclude = protocol.exclude(query, gallery)
    from_3, to_2 = (query["camid"] == 3).to_numpy(), (gallery["camid"] == 2).to_numpy()
    assert exclude[np.ix_(from_3, to_2)].all()
    assert exclude.sum() == from_3.sum() * to_2.sum() == 1883 * 56
    assert (~exclude[from_3]).sum(axis=1).tolist() == [245] * 1883


def test_query_with_its_only_match_in_camera_2_is_invalid(small):
    for options in ({"search": "all"}, {"search": "indoor"}):
        protocol = protocols.get("sysu", **options)
        query, gallery = frames(small, protocol.trials(small)[0])
        pids = query["pid"].to_numpy(), gallery["pid"].to_numpy()
        distances = (pids[0][:, None] != pids[1]).astype(float)
        result = rank(distances, *pids, exclude=protocol.exclude(query, gallery), distinct_ids=protocol.distinct_ids)
        lost = ((query["pid"] == 21) & (query["camid"] == 3)).to_numpy()
        np.testing.assert_array_equal(result.valid, ~lost)
        assert result.cmc[1] == 1, "the others are found, without the lost ones in the average"


CHANCE = {  # per cent: rank-1, 5, 10, 20, mAP, mINP of one trial of random distances, found independently
    ("all", 1): [0.95, 4.8, 10.6, 21.2, 2.93, 1.68],
    ("all", 10): [1.06, 5.6, 11.0, 21.6, 1.32, 1.08],
    ("indoor", 1): [1.72, 8.9, 17.9, 36.7, 6.88, 5.78],
    ("indoor", 10): [1.71, 9.1, 17.8, 35.6, 2.57, 1.93],
}


@pytest.mark.parametrize(("search", "shots"), CHANCE)
def test_chance_level(stubs, search, shots):
    protocol = protocols.get("sysu", search=search, shots=shots)
    rng = np.random.default_rng(0)
    scores, expected = [], []
    for trial in protocol.trials(stubs):
        query, gallery = frames(stubs, trial)
        exclude = protocol.exclude(query, gallery)
        distances = rng.random(exclude.shape)
        result = rank(distances, query["pid"], gallery["pid"], exclude=exclude, distinct_ids=protocol.distinct_ids)
        scores.append(list(result.metrics.values()))
        match = (query["pid"].to_numpy()[:, None] == gallery["pid"].to_numpy()) & ~exclude
        expected.append((match.sum(axis=1) / (~exclude).sum(axis=1))[result.valid].mean())
    mean, deviation = 100 * np.mean(scores, axis=0), 100 * np.std(scores, axis=0)
    rounding = np.array([0.005, 0.05, 0.05, 0.05, 0.005, 0.005])
    assert (np.abs(mean - CHANCE[search, shots]) < 3 * deviation + rounding).all(), mean.round(2)
    assert mean[0] == pytest.approx(100 * np.mean(expected), abs=4 * deviation[0] / np.sqrt(10)), (
        "share of right images"
    )


def test_protocol_prints_and_saves_every_rule():
    protocol = protocols.get("sysu", search="indoor", shots=10)
    assert str(protocol) == protocol.name == "sysu-indoor-10shot-official"
    assert protocol == protocols.get("sysu", search="indoor", shots=10) != protocols.get("sysu")
    for name, value in protocol.to_dict().items():
        assert f"{name}={value!r}" in repr(protocol)
    assert (
        protocol.to_dict() | {"reranking": "none", "flip": False, "direction": "infrared-visible"} == protocol.to_dict()
    )
    with pytest.raises(AttributeError):
        protocol.shots = 1


def test_fewer_trials_are_the_first_and_say_so(stubs):
    protocol = protocols.get("sysu", num_trials=2)
    assert protocol.name == "sysu-all-1shot-official-first2"
    for few, many in zip(protocol.trials(stubs), protocols.get("sysu").trials(stubs)[:2], strict=True):
        np.testing.assert_array_equal(few.gallery_rows, many.gallery_rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"search": "outdoor"}, "search='outdoor' is unknown; known: 'all', 'indoor'"),
        ({"shots": 5}, "shots=5 is unknown; known: 1, 10"),
        ({"gallery": "random"}, "gallery='random' is unknown; known: 'official', 'agw'"),
        ({"num_trials": 11}, "num_trials=11 is unknown; known: 1, 2"),
        ({"gallery": "agw", "shots": 10}, "cannot be reproduced; use gallery='official'"),
    ],
)
def test_unknown_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        protocols.get("sysu", **options)


def test_missing_permutations(small):
    (small.root / "exp" / "rand_perm_cam.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"rand_perm_cam\.mat is missing; .*evaluation/data_split"):
        protocols.get("sysu").trials(small)
    assert len(protocols.get("sysu", gallery="agw").trials(small)) == 10, "the other gallery does not need the file"


def numbers_for_cells(cells):
    return np.zeros((6, 1))


def five_cameras(cells):
    return cells[:5]


def three_trials(cells):
    cells[0, 0][5, 0] = cells[0, 0][5, 0][:3]
    return cells


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (numbers_for_cells, "rand_perm_cam must be a cell with one entry per camera"),
        (five_cameras, "rand_perm_cam must be a cell with one entry per camera"),
        (three_trials, "camera 1, identity 6: expected 10 rows of numbers, found shape"),
    ],
)
def test_malformed_permutations(small, damage, message):
    path = small.root / "exp" / "rand_perm_cam.mat"
    savemat(path, {"rand_perm_cam": damage(loadmat(path)["rand_perm_cam"])})
    with pytest.raises(ValueError, match=message):
        protocols.get("sysu").trials(small)


def test_permutations_of_another_tree(small):
    folder = small.root / "cam4" / "0010"
    (folder / "0002.jpg").rename(folder / "0009.jpg")
    renamed = reidlib.data.open("sysu", small.root)
    with pytest.raises(
        ValueError, match=r"draws cam4/0010/0002\.jpg \(camera 4, identity 10, file 2\), which does not"
    ):
        protocols.get("sysu", shots=10).trials(renamed)
    protocols.get("sysu", shots=10, search="indoor").trials(renamed)  # camera 4 is not asked for

    shutil.rmtree(folder)
    with pytest.raises(ValueError, match="camera 4, identity 10: the tree has no image of it"):
        protocols.get("sysu").trials(reidlib.data.open("sysu", small.root))

    (small.root / "cam1" / "0021").mkdir()
    (small.root / "cam1" / "0021" / "0001.jpg").touch()
    with pytest.raises(ValueError, match="camera 1, identity 21: it has no permutation"):
        protocols.get("sysu", search="indoor").trials(reidlib.data.open("sysu", small.root))


def test_small_folders_give_all_they_have(small):
    sizes = frames(small, protocols.get("sysu", shots=10).trials(small)[0])[1].groupby(["pid", "camid"]).size()
    assert set(sizes) == {3}


@pytest.mark.parametrize(("camids", "role"), [((3, 6), "query"), ((1, 2, 4, 5), "gallery")])
def test_a_tree_without_queries_or_gallery(small, camids, role):
    for camid in camids:
        for folder in (small.root / f"cam{camid}").iterdir():
            shutil.rmtree(folder)
    with pytest.raises(ValueError, match=f"no {role} image.* of a test identity"):
        protocols.get("sysu", gallery="agw").trials(reidlib.data.open("sysu", small.root))


def test_without_the_official_draws_those_of_agw_are_taken_and_named(small, caplog):
    assert protocols.available(small) == protocols.get("sysu") and not caplog.records
    (small.root / "exp" / "rand_perm_cam.mat").unlink()
    protocol = protocols.available(small, search="indoor")
    assert protocol == protocols.get("sysu", search="indoor", gallery="agw") and len(protocol.trials(small)) == 10
    assert "rand_perm_cam.mat is not there: the gallery is drawn as AGW does, not officially" in caplog.text
    for chosen in ({"gallery": "official"}, {"shots": 10}):  # nothing is put in the place of what was asked for
        with pytest.raises(FileNotFoundError, match="rand_perm_cam"):
            protocols.available(small, **chosen).trials(small)
