"""Where training starts from: other trunks, and weights out of a file."""

import json

import pytest
import torch

from reidlib import methods
from reidlib.training import runs


@pytest.fixture
def donor(tmp_path):
    """A file of weights for the trunk ``tiny``, all of whose convolutions are a half; and its path."""
    torch.manual_seed(5)
    state = methods.build("baseline", num_ids=2, backbone="tiny").backbone.state_dict()
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "donor.pth")
    return tmp_path / "donor.pth", state


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("resnet34", marks=pytest.mark.all),
        pytest.param("mobilenet_v2", marks=pytest.mark.slow),
        "timm:mobilenetv3_small_050",
    ],
)
def test_the_baseline_trains_on_another_trunk_and_is_read_again(fit, name: str) -> None:
    run = fit("other", backbone=name, weights=None, epochs=1, warmup=0)
    assert run.finished and run.history["loss"].notna().all()
    again = runs.load(run.folder)
    images, modality = torch.randn(2, 3, 32, 16), torch.tensor([0, 1])
    torch.testing.assert_close(again.model.embed(images, modality), run.model.embed(images, modality))
    assert again.recipe.backbone == name and ("timm" in again.environment) == name.startswith("timm:")


def test_a_run_starts_from_the_file_and_says_what_fitted(fit, donor) -> None:
    path, state = donor
    run = fit("start", weights=str(path), stop_after=0, epochs=2)
    ours = run.model.backbone.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in state.items())
    record = json.loads((run.folder / "environment.json").read_text())["weights"]
    assert record["source"] == "donor.pth" and run.recipe.weights == f"{path}#sha256={record['sha256']}"
    assert record["fitted"] == len(state) and record["counts"] == {"missing": 0, "wrong_shape": 0, "unexpected": 0}
    assert "starts from weights: donor.pth" in (run.folder / "log.txt").read_text()


def test_a_run_goes_on_wherever_the_file_lies_and_without_it(fit, donor, tmp_path) -> None:
    path, _ = donor
    begun = fit("moved", weights=str(path), stop_after=0, epochs=1, warmup=0)
    other = path.rename(tmp_path / "elsewhere.pth")
    run = fit("moved", weights=str(other), epochs=1, warmup=0)
    assert run.folder == begun.folder and run.finished
    other.unlink()
    assert runs.load(run.folder).finished, "what is trained needs no file"
    for saved in run.folder.glob("*"):
        assert saved.name == "recipe.json" or str(tmp_path).encode() not in saved.read_bytes(), saved


def test_a_changed_file_is_another_run(fit, donor) -> None:
    path, state = donor
    fit("changed", weights=str(path), stop_after=1, epochs=2)
    torch.save({name: tensor.double() for name, tensor in state.items()}, path)
    with pytest.raises(ValueError, match=r"holds another recipe .weights is 'sha256:.*' there, 'sha256:.*' here"):
        fit("changed", weights=str(path), epochs=2)


def test_what_cannot_be_built_leaves_no_run_behind(fit, donor, recipe, tmp_path) -> None:
    """Then the right recipe finds its folder empty."""
    path, state = donor
    changed = recipe.replace(weights=str(path)).weights
    torch.save({"head.weight": torch.zeros(3)}, path)
    for wrong in (changed, str(path)):
        with pytest.raises(ValueError, match=r"not the one that the recipe states|less than 0.5"):
            fit("mended", weights=wrong)
    torch.save(state, path)
    assert fit("mended", weights=str(path), stop_after=0).recipe.weights.startswith(str(path))


def test_a_row_of_the_ledger_knows_the_file_by_its_digest(fit, donor, dataset) -> None:
    from reidlib import evaluation
    from reidlib.experiments import ledger

    path, _ = donor
    run = fit("row", weights=str(path), epochs=1, warmup=0)
    result = evaluation.evaluate(run.model, dataset, evaluation.protocols.get("sysu", gallery="agw"))
    ledger.record(run, result)
    row = ledger.table(ledger.local()).iloc[0]
    assert str(path) not in row["changes"]
    assert ledger.recipe(row).digest == run.recipe.digest
