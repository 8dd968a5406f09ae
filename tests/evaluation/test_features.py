"""Features that were made elsewhere, in the layouts that released code has."""

import numpy as np
import pytest
from scipy.io import savemat

from reidlib.evaluation import cosine_distances, rank, read_features

PIDS, CAMS = np.array([1, 1, 2, 2, 3, 3, -1, 0]), np.array([1, 2, 1, 2, 1, 2, 3, 3])
FEATURES = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32) + 0.3 * np.eye(4)[PIDS]


def scored(query, gallery, cameras=True):
    """By the definition: queries and gallery without junk, Market-1501's rule."""
    query, gallery = query[PIDS[query] >= 0], gallery[PIDS[gallery] >= 0]
    exclude = (PIDS[query][:, None] == PIDS[gallery]) & (CAMS[query][:, None] == CAMS[gallery])
    distances = cosine_distances(FEATURES[query], FEATURES[gallery])
    return rank(distances, PIDS[query], PIDS[gallery], exclude=exclude if cameras else None).metrics


QUERY, GALLERY = np.array([0, 3, 4]), np.arange(8)


def sides(names, shape=lambda values: values):
    """An array for each of the names of query features, pids, cameras, then of those of the gallery."""
    arrays = [
        shape(each[rows]) if each.ndim == 1 else each[rows]
        for rows in (QUERY, GALLERY)
        for each in (FEATURES, PIDS, CAMS)
    ]
    return dict(zip(names.split(), arrays, strict=True))


LAYOUTS = {
    "layumi": ("query_f query_label query_cam gallery_f gallery_label gallery_cam", lambda values: values[None]),
    "torchreid": ("qf q_pids q_camids gf g_pids g_camids", lambda values: values.astype(np.float64)),
    "plain": (
        "query_features query_pids query_camids gallery_features gallery_pids gallery_camids",
        lambda values: values[:, None],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["mat", "npz"])
def test_layouts_of_released_code(tmp_path, layout, kind):
    arrays, file = sides(*LAYOUTS[layout]), tmp_path / f"result.{kind}"
    (savemat if kind == "mat" else lambda file, arrays: np.savez(file, **arrays))(file, arrays)
    found = read_features(file)
    assert found.score().metrics == scored(QUERY, GALLERY)
    assert found.score(cameras="all").metrics == scored(QUERY, GALLERY, cameras=False)
    assert "3 queries of 3 identities, 8 gallery images, 1 of them junk, D 4" in repr(found)


def test_distances_in_the_place_of_features(tmp_path):
    arrays = sides(LAYOUTS["plain"][0])
    distances = cosine_distances(arrays.pop("query_features"), arrays.pop("gallery_features"))
    np.savez(tmp_path / "d.npz", distmat=distances, **arrays)
    found = read_features(tmp_path / "d.npz")
    assert found.score().metrics == scored(QUERY, GALLERY) and "distances of the file" in found.rules()
    np.savez(tmp_path / "e.npz", distmat=distances.T, **arrays)
    with pytest.raises(ValueError, match=r"distances are \(8, 3\), for 3 queries and 8 gallery images"):
        read_features(tmp_path / "e.npz")


@pytest.mark.parametrize(
    "named",
    [
        lambda place: f"folder/{max(PIDS[place], 0):08d}_{CAMS[place]:02d}_{place:04d}.jpg",  # open-reid
        lambda place: f"{PIDS[place]:04d}_c{CAMS[place]}s1_{place:06d}_00.jpg",  # Market-1501
    ],
)
def test_identities_are_read_off_file_names(tmp_path, named):
    rows = np.arange(6)
    np.savez(tmp_path / "f.npz", features=FEATURES[rows], paths=[named(place) for place in rows])
    found = read_features(tmp_path / "f.npz")
    assert found.score().metrics == scored(rows, rows)
    assert found.ignored.diagonal().all() and found.score(cameras="all").metrics != scored(rows, rows, cameras=False)


def test_one_set_of_two_modalities_looks_from_one_to_the_other(tmp_path):
    np.savez(tmp_path / "f.npz", features=FEATURES, pids=PIDS, camids=CAMS, modality=CAMS == 2)
    with pytest.raises(ValueError, match="modality must hold whole numbers"):
        read_features(tmp_path / "f.npz")
    np.savez(tmp_path / "f.npz", features=FEATURES, pids=PIDS, camids=CAMS, modality=(CAMS == 2).astype(int))
    assert read_features(tmp_path / "f.npz").score().metrics == scored(
        np.flatnonzero(CAMS == 2), np.flatnonzero(CAMS != 2)
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": FEATURES}, r"must hold features and identities: .* It holds features \(8, 4\)"),
        ({"features": FEATURES, "pids": PIDS[1:]}, "pids has 7 entries for 8 features"),
        ({"features": FEATURES, "pids": PIDS + 0.5}, "pids must hold whole numbers, not float64"),
        ({"features": FEATURES, "pids": PIDS.astype(str)}, "pids must hold whole numbers, not <U"),
        ({"features": FEATURES, "pids": PIDS.reshape(2, 4)}, r"one entry an image, not the shape \(2, 4\)"),
        ({"features": FEATURES[0], "pids": PIDS}, r"features must be features \(N, D\), not float64 \(4,\)"),
        (
            sides(LAYOUTS["plain"][0]) | {"query_features": FEATURES[QUERY][:, :3]},
            r"differ in dimension: \(3, 3\), \(8, 4\)",
        ),
        ({"features": FEATURES, "paths": ["a.jpg"] * 8}, "must hold features and identities"),
        ({}, "It holds nothing"),
    ],
)
def test_what_a_file_lacks_is_named(tmp_path, arrays, message):
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(ValueError, match=f"f.npz.*{message}"):
        read_features(tmp_path / "f.npz")


def test_what_cannot_be_scored_is_named(tmp_path):
    broken = FEATURES.copy()
    broken[2, 1] = np.inf
    np.savez(tmp_path / "f.npz", features=broken, pids=PIDS)
    found = read_features(tmp_path / "f.npz")
    with pytest.raises(ValueError, match=r"f.npz: query holds 1 .* the first is 2"):
        found.score()
    with pytest.raises(ValueError, match="says nothing of cameras"):
        found.score(cameras="other")
    with pytest.raises(ValueError, match="cameras='mine' is unknown; known: 'all', 'other'"):
        found.score(cameras="mine")
    with pytest.raises(ValueError, match="cmc='people' is unknown"):
        found.score(cmc="people")
