"""Features at every depth of a trunk are those that the trunk hands on."""

import numpy as np
import pytest
import torch
from torch import nn

from reidlib import evaluation, methods
from reidlib.data import normalise
from reidlib.explain import by_identity, probe, sample_rows, stage_embeddings, stage_table, stages
from reidlib.networks.wrapped import as_model

DEPTHS = ["stem", "stage 1", "stage 2", "stage 3", "stage 4", "test feature"]


def built(name: str, **options):
    torch.manual_seed(0)
    model = methods.build(name, num_ids=3, backbone="tiny", **options).eval()
    model.image_size = (64, 32)
    return model


@pytest.mark.integration
@pytest.mark.parametrize("shared_from", [0, 1])
def test_every_stage_is_what_the_trunk_computes(dataset, shared_from):
    model, rows = built("baseline", shared_from=shared_from), dataset.rows("test")[::5]
    found = stage_embeddings(model, dataset, rows)
    assert list(found) == DEPTHS
    images = normalise(dataset.images(64, 32).tensor(rows))
    modality = torch.from_numpy(dataset.frame["modality"].to_numpy()[rows])
    with torch.inference_mode():
        maps = model.backbone.stem(images, modality)
        maps = maps if shared_from else model.backbone.stage(0, maps)
        for number, name in enumerate(DEPTHS[:5]):
            maps = model.backbone.stage(number, maps) if number else maps
            torch.testing.assert_close(found[name], maps.mean(dim=(2, 3)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["test feature"], evaluation.embed(model, dataset, rows))


@pytest.mark.integration
def test_stages_that_modalities_have_to_themselves_are_known_by_the_last(dataset):
    assert list(stage_embeddings(built("baseline", shared_from=2), dataset, dataset.rows("test")[:4])) == DEPTHS[1:]


@pytest.mark.integration
@pytest.mark.parametrize("name", ["maum", "fienet", "idkl", "dalnet"])
def test_every_method_has_all_depths_and_stays_as_it_is(dataset, name):
    model, rows = built(name), dataset.rows("test")[:6]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = stage_embeddings(model.train(), dataset, rows)
    assert list(found) == DEPTHS and model.training
    assert {len(values) for values in found.values()} == {6}
    assert all(np.isfinite(values.numpy()).all() for values in found.values())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.integration
def test_a_module_of_ones_own_has_no_stages(dataset):
    model = as_model(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with pytest.raises(ValueError, match="no trunk of stages"):
        stage_embeddings(model, dataset, dataset.rows("test")[:2])


@pytest.mark.integration
def test_the_table_asks_every_depth_what_the_instruments_ask(dataset):
    model = built("baseline")
    table = stage_table(model, dataset)
    assert table["depth"].unique().tolist() == DEPTHS
    assert table["question"].tolist() == [*stages.QUESTIONS] * len(DEPTHS)
    rows = sample_rows(dataset, per_modality=4)
    pids, modality = (dataset.frame[name].to_numpy()[rows] for name in ("pid", "modality"))
    last = table[table["depth"] == "test feature"].set_index("question")["score"]
    values = evaluation.embed(model, dataset, rows).numpy()
    assert last.iloc[0] == pytest.approx(probe(values, modality, pids).score)
    apart = by_identity.apart(values, modality, pids)["neighbours of the same modality"].mean()
    assert last.iloc[1] == pytest.approx(apart)
    assert (table["chance"] > 0).all()


@pytest.mark.integration
def test_too_few_people_have_no_probe(dataset):
    pids, values = np.arange(4) // 2, np.eye(4)
    assert np.isnan(stages.asked(probe, values, np.arange(4) % 2, pids).score)
