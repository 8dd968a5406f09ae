"""The scores of query identities beside the ledger."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reidlib import methods
from reidlib.data import ReIDDataset
from reidlib.experiments import ledger, tables
from reidlib.methods import Recipe

pytestmark = pytest.mark.usefixtures("own_ledger")


def test_scores_of_identities_add_up_to_the_row(
    finished: Callable, imageless: ReIDDataset, recipe: Recipe, own_ledger: Path, protocol
) -> None:
    run, result = finished(recipe, imageless, protocol)
    row = ledger.record(run, result)
    scores = ledger.identities()
    assert list(scores) == [*ledger.KEY, "pid", "queries", "rank-1", "mAP"]
    assert scores["pid"].tolist() == [6, 10] and (scores[ledger.KEY] == [row[name] for name in ledger.KEY]).all(
        axis=None
    )
    assert scores["queries"].sum() == sum(trial.ranking.valid_queries for trial in result.trials)
    for metric in ("rank-1", "mAP"):
        assert (scores[metric] * scores["queries"]).sum() / scores["queries"].sum() == pytest.approx(
            row[metric], abs=1e-5
        )
    for pid, score in zip(scores["pid"], scores["mAP"], strict=True):  # one by one
        values = [
            trial.ranking.average_precision[query]
            for trial in result.trials
            for query in range(len(trial.query_pids))
            if trial.query_pids[query] == pid and trial.ranking.valid[query]
        ]
        assert score == pytest.approx(sum(values) / len(values), abs=1e-5)
    assert own_ledger.with_name("identities.csv").exists()


def test_queries_without_a_match_are_no_queries_of_their_identity(
    finished: Callable, imageless: ReIDDataset, recipe: Recipe, protocol
) -> None:
    run, result = finished(recipe, imageless, protocol)
    lost = result.trials[0]
    unmatched = lost.query_pids == 6
    ranking = replace(
        lost.ranking,
        first_match_rank=np.where(unmatched, 0, lost.ranking.first_match_rank),
        average_precision=np.where(unmatched, np.nan, lost.ranking.average_precision),
    )
    ledger.record(run, replace(result, trials=(replace(lost, ranking=ranking),)))
    assert ledger.identities()["pid"].tolist() == [10]


def test_identities_of_chosen_runs_and_of_other_ledgers(record: Callable, fail: Callable, tmp_path: Path) -> None:
    record(seed=0), record(seed=1), record(seed=1), fail(RuntimeError("no"), seed=2)
    assert len(ledger.identities()) == 4, "a run that was recorded twice counts once"
    assert len(ledger.IDENTITIES.beside(ledger.local()).read_text().splitlines()) == 5, "and stands there once"
    chosen = ledger.identities(ledger.table(seed=1))
    assert chosen["recipe"].tolist() == 2 * ledger.table(seed=1)["recipe"].tolist()
    assert ledger.identities(ledger.table(seed=2)).empty
    other = tmp_path / "mine.csv"
    record(seed=5, path=other)
    assert len(ledger.identities(path=other)) == 2 and (tmp_path / "mine-identities.csv").exists()
    assert len(ledger.identities()) == 4
    with pytest.raises(FileNotFoundError, match=r"there is no ledger .*absent"):
        ledger.identities(path=tmp_path / "absent.csv")


def test_ledgers_from_before_there_were_identities_stay_valid(record: Callable, own_ledger: Path) -> None:
    record(seed=0)
    own_ledger.with_name("identities.csv").unlink()
    assert len(ledger.table()) == 1 and ledger.identities().empty
    ledger.publish()
    assert not ledger.PUBLISHED.with_name("identities.csv").exists()
    record(seed=1)
    ledger.publish()
    assert len(ledger.table(ledger.PUBLISHED)) == 2 and len(ledger.identities(path=ledger.PUBLISHED)) == 2


def test_publish_takes_identities_along(
    record: Callable, finished: Callable, imageless, own_ledger: Path, protocol
) -> None:
    record(seed=0)
    ledger.publish()
    record(seed=1), record(seed=0)
    ledger.record(*finished(methods.recipe("baseline", profile="ci"), imageless, protocol))
    ledger.publish()
    published = ledger.PUBLISHED.with_name("identities.csv")
    before = published.read_text()
    scores, rows = ledger.identities(path=ledger.PUBLISHED), ledger.table(ledger.PUBLISHED)
    assert len(before.splitlines()) == 1 + len(scores) == 1 + 2 * 2, "none twice, none of profile ci"
    assert scores["recipe"].drop_duplicates().tolist() == rows["recipe"].tolist(), "in the order of the ledger"
    ledger.publish()
    own_ledger.unlink(), own_ledger.with_name("identities.csv").unlink()
    ledger.publish()
    assert published.read_text() == before


def test_a_failure_later_on_loses_no_identities(record: Callable, fail: Callable) -> None:
    record(seed=0), record(seed=1), fail(RuntimeError("no"), seed=1)
    assert len(ledger.identities()) == 4


def test_published_identities_are_in_the_order_of_their_runs(record: Callable, own_ledger) -> None:
    record(seed=0), record(seed=1)
    header, *lines = own_ledger.read_text().splitlines()
    own_ledger.write_text("\n".join([header, *reversed(lines)]) + "\n")
    ledger.publish()
    assert ledger.table(ledger.PUBLISHED)["seed"].tolist() == [1, 0]
    scores = ledger.identities(path=ledger.PUBLISHED)
    assert scores["recipe"].drop_duplicates().tolist() == ledger.table(ledger.PUBLISHED)["recipe"].tolist()


def test_spoilt_identities_are_refused_and_nothing_is_written(record: Callable, own_ledger: Path) -> None:
    record(seed=0)
    identities = own_ledger.with_name("identities.csv")
    spoilt, before = identities.read_text() + "<<<<<<< HEAD\n", own_ledger.read_text()
    identities.write_text(spoilt)
    for use in (record, ledger.identities, ledger.publish):
        with pytest.raises(ValueError, match=r"identities\.csv, line 4 is no row of the table of identities"):
            use()
    assert identities.read_text() == spoilt and own_ledger.read_text() == before and not ledger.PUBLISHED.exists()


def test_a_row_stands_for_a_run_whose_identities_are_written(record: Callable, own_ledger: Path, monkeypatch) -> None:
    """They come first: a kill between the two leaves a run to be made again, not one without its identities."""
    write = tables.Format.write

    def killed(format: tables.Format, path: Path, lines: list[str]) -> None:
        if path == own_ledger:
            raise KeyboardInterrupt
        write(format, path, lines)

    with monkeypatch.context() as patch:
        patch.setattr(tables.Format, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            record(seed=0)
    assert ledger.table().empty and len(ledger.identities()) == 2
    record(seed=0)
    assert len(ledger.table()) == 1 and len(ledger.identities()) == 2
