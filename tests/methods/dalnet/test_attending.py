"""Maps of DALNet's attention are the weights that MIA uses."""

import numpy as np
import pytest
import torch

from reidlib import data, methods
from reidlib.data import ReIDDataset, normalise
from reidlib.methods import dalnet
from reidlib.methods.dalnet.attending import attention_weights, first_sketches


@pytest.fixture(scope="module")
def sketches(twin) -> ReIDDataset:
    return data.open("pku-sketch", root=twin("pku-sketch"), split=1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = methods.build("dalnet", num_ids=3, backbone="tiny").eval()
    torch.nn.init.ones_(model.attention.norm.weight)
    model.image_size = (64, 32)
    return model


@pytest.mark.integration
def test_the_weights_give_what_mia_answers(model, sketches):
    rows = sketches.rows("test", modality=0)[:3]
    found = attention_weights(model, sketches, rows)
    for name in ("photo", "sketch"):
        np.testing.assert_allclose(found[name].sum(axis=(3, 4)), 1, atol=1e-4)
    images = normalise(sketches.images(64, 32).tensor(rows))
    which, mia = torch.zeros(3, dtype=torch.long), model.attention
    with torch.inference_mode():
        maps = model.backbone(images, which)
        drawn = model.branch_map(images, which, "auxiliary")
        nobody = torch.full((3,), -1)
        photos, _, _ = mia(drawn, maps, maps[:0], nobody, nobody[:0])
        share = (photos - maps).flatten(1).norm(dim=1) / maps.flatten(1).norm(dim=1)
        np.testing.assert_allclose(found["added"], share, rtol=1e-4)
        keys, asking = (mia._heads(part) for part in (mia.key(maps), mia.query(drawn)))
        weights = (asking @ keys.mT / keys.shape[-1] ** 0.5).softmax(-1).mean(1)
    np.testing.assert_allclose(found["photo"].reshape(weights.shape), weights, atol=1e-5)


@pytest.mark.integration
def test_sketches_are_of_the_same_identity_and_wrong_rows_are_named(model, sketches):
    rows = sketches.rows("test", modality=0)[:5]
    frame = sketches.frame
    partners = first_sketches(sketches, rows)
    assert frame["pid"].iloc[partners].tolist() == frame["pid"].iloc[rows].tolist()
    assert set(frame["modality"].iloc[partners]) == {1}
    with pytest.raises(ValueError, match="must be rows of"):
        attention_weights(model, sketches, partners)
    model.attention = None
    with pytest.raises(ValueError, match="no attention"):
        attention_weights(model, sketches, rows)


def test_it_is_offered_by_the_method():
    assert dalnet.attending.attention_weights is attention_weights
