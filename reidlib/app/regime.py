"""The tables of `docs/regime.md` and `docs/plan_of_runs.md`, from records (`make results`), and figures of trials."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from reidlib import methods, paths
from reidlib.data import registry
from reidlib.experiments import attention as looks
from reidlib.experiments import choice, pilots, studies, tiers, trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "regime.md"
PLAN = ROOT / "docs" / "plan_of_runs.md"
FIGURES = ROOT / "figures"
DPI = 200
FIGURES_BEGIN, FIGURES_END = "<!-- regime: written by `reidlib trials figures` -->", "<!-- end of regime -->"
PLAN_BEGIN, PLAN_END = "<!-- plan: written by `make results` -->", "<!-- end of plan -->"
BEGIN, END = "<!-- trials: written by `make results` -->", "<!-- end of trials -->"
RULE_BEGIN, RULE_END = "<!-- departures: written by `make results` -->", "<!-- end of departures -->"
PILOT_BEGIN, PILOT_END = "<!-- pilot: written by `make results` -->", "<!-- end of pilot -->"
LENGTHS_BEGIN, LENGTHS_END = "<!-- lengths: written by `make results` -->", "<!-- end of lengths -->"
LOOKS_BEGIN, LOOKS_END = "<!-- attention: written by `make results` -->", "<!-- end of attention -->"
AGREEMENT_BEGIN, AGREEMENT_END = "<!-- agreement: written by `make results` -->", "<!-- end of agreement -->"


def block(path: Path | None = None) -> str:
    """The trials of every method as a table in Markdown, with the lines that mark their place.

    Args:
        path: of a table of trials; default: the published one.
    """
    parts, found = [BEGIN], trials.table(path, study=[*trials.counts(path).index])
    for names, rows in found.groupby(level=["study", "dataset", "profile"], sort=False):
        parts += [f"**{_title(*names)}**", _table(rows)]
    return "\n\n".join([*parts, END])


def departures(path: Path | None = None) -> str:
    """Where the choice departs from the rule, as a list in Markdown, with the lines that mark its place."""
    found = choice.departures(path)
    nowhere = "Nowhere that the rows can tell." if trials.counts(path).size else "No trial is published yet."
    return "\n\n".join([RULE_BEGIN, "\n".join(f"* {each}" for each in found) or nowhere, RULE_END])


def agreement(path: Path | None = None) -> str:
    """What the orders of runs, and of variants, have in common, with the lines that mark the place."""
    lines = ["| data set | what is ordered | orders | n | rank correlation (95 % interval) |", "|---|---|---|---|---|"]
    for row in trials.agreement(path).to_dict("records"):
        what = f"| {row['dataset']}, {row['profile']} | runs | validation identities, development twin | {row['runs']}"
        lines.append(f"{what} | {_correlation(row)} |")
    for row in pilots.order(path=path).to_dict("records"):
        lines.append(f"| {row['dataset']} | variants | screen, cpu | {row['variants']} | {_correlation(row)} |")
    found = "\n".join(lines) if len(lines) > 2 else "No trial is published yet."
    return "\n\n".join([AGREEMENT_BEGIN, found, AGREEMENT_END])


def pilot(path: Path | None = None) -> str:
    """Methods beside their counterparts before the freeze, with the lines that mark the place."""
    lines = [
        "| on SYSU-MM01 | runs | mAP, % | theirs | difference (95 % interval over seeds) | seconds, theirs |",
        "|---|---|---|---|---|---|",
    ]
    for row in pilots.differences(path).to_dict("records"):
        gain = "{difference:+.2f} ({low:.2f} to {high:.2f})".format(**row).replace("-", "−")
        seconds = f"{row['seconds']:.0f}, {row['their seconds']:.0f}"
        lines.append(
            f"| {row['variant']} against {row['reference']}, {row['profile']} | {row['runs']} | {row['mAP']:.1f} | "
            f"{row['theirs']:.1f} | {gain} | {seconds} |"
        )
    return "\n\n".join([PILOT_BEGIN, "\n".join(lines) if len(lines) > 2 else "None is published yet.", PILOT_END])


def lengths(path: Path | None = None) -> str:
    """Score against length of training, with the lines that mark the place."""
    found = pilots.lengths(path)
    found[["variant", "length"]] = found["trial"].str.extract(r"^(.*), (× \d+)$")
    order = sorted(found["length"].unique())
    lines = [f"| data set | variant | {' | '.join(order)} |", "|---|---" + "|---" * len(order) + "|"]
    for (dataset, variant), several in found.groupby(["dataset", "variant"], sort=False):
        cells = [_mean(100 * several.loc[several["length"] == length, "mAP"]) for length in order]
        lines.append(f"| {registry.title(dataset)} | {variant} | {' | '.join(cells)} |")
    return "\n\n".join([LENGTHS_BEGIN, "\n".join(lines) if order else "None is published yet.", LENGTHS_END])


def attention(path: Path | None = None) -> str:
    """Where networks look, with the lines that mark the place; ``path`` of a table of attention."""
    found, lines = looks.rows(path), []
    for names, part in found.groupby(["study", "dataset", "profile"], sort=False):
        trials_of = part["trial"].unique().tolist()
        counts = ", ".join(f"{name}: {part.loc[part['trial'] == name, 'runs'].iloc[0]}" for name in trials_of)
        lines += [f"**{_title(*names)}** (runs: {counts}; {part['people'].iloc[0]} people)", ""]
        lines += [f"| | {' | '.join(trials_of)} |", "|---" * (1 + len(trials_of)) + "|"]
        for (name, modality), several in part.groupby(["name", "modality"], sort=False):
            cells = [_interval(several[several["trial"] == trial].iloc[0]) for trial in trials_of]
            lines.append(f"| {name}, {modality} | {' | '.join(cells)} |")
    return "\n\n".join([LOOKS_BEGIN, "\n".join(lines) or "Nothing is published yet.", LOOKS_END])


def plan() -> str:
    """The plan of runs as a table in Markdown, with the lines that mark its place."""
    lines = ["| tier | runs | hours | command |", "|---|---|---|---|"]
    for row in tiers.table().to_dict("records"):
        hours = "?" if pd.isna(row["hours_planned"]) else f"{row['hours_planned']:.1f}"
        lines.append(f"| {row['tier']} | {row['runs']} | {hours} | `{row['command']}` |")
    return "\n\n".join([PLAN_BEGIN, "\n".join(lines), PLAN_END])


def page(path: Path | None = None) -> str:
    """The whole page of the regime, as it is to be."""
    text = PAGE.read_text(encoding="utf-8")
    for block_of in (departures, block, pilot, lengths, agreement):
        text = _filled(text, block_of(path))
    return _filled(text, attention())


def shown(path: Path | None = None) -> str:
    """All trials and where the choice departs from its rule, for a terminal."""
    found = trials.table(path)
    if found.empty:
        return "no trial is published yet: sweep a study of trials with --twin PROFILE/development, then publish"
    columns = ["runs", "mAP", "deviation", "difference", "interval", "spread", "collapsed", "seconds", "chosen"]
    text = found[columns].to_string(float_format="{:.2f}".format, na_rep="–")
    return "\n".join([text, *(f"not by the rule: {each}" for each in choice.departures(path))])


def figures(folder: Path = FIGURES, path: Path | None = None) -> list[str]:
    """Draw the figures of the trials into a folder, with what they were drawn from; a line for each, drawn or not.

    Its README gets a table of those that are there.
    """
    from reidlib import plots

    plots.use_style()
    lines = []
    for name, (what, draw) in _drawn().items():
        try:
            figure = draw(path)
        except ValueError as error:
            lines.append(f"{name}: not drawn, {error}")
            continue
        plots.save(figure, name, folder, dpi=DPI)
        lines.append(f"{name}.png: {what}")
    there = {name: what for name, (what, _) in _drawn().items() if (folder / f"{name}.png").is_file()}
    header = ["| figure | what it shows | function | made by | known or reconstructed |", "|---|---|---|---|---|"]
    rows = [
        f"| [{name}]({name}.png) | {what} | `{name.removeprefix('regime_')}` | `reidlib trials figures` | ours |"
        for name, what in there.items()
    ]
    readme = folder / "README.md"
    block_of = "\n\n".join([FIGURES_BEGIN, "\n".join(header + rows) if rows else "None is drawn yet.", FIGURES_END])
    paths.write(readme, _filled(readme.read_text(encoding="utf-8"), block_of).encode())
    return lines


def _drawn() -> dict[str, tuple[str, Callable[[Path | None], "Figure"]]]:
    """Name of a figure → what it shows, and what draws it from a table of trials."""
    from reidlib import plots

    def agreement(path: Path | None) -> "Figure":
        rows = trials.rows(path).rename(columns={"validation mAP": "validation", "mAP": "development"})
        rows = rows[(rows["dataset"] == "sysu") & (rows["profile"] == "screen")]
        caption = _caption(rows).rpartition(" · ")[0]  # the figure counts its runs itself
        return plots.agreement(rows[["method", "validation", "development"]], caption)

    def lengths(path: Path | None) -> "Figure":
        rows = pilots.lengths(path).assign(profile="screen")
        rows = rows[rows["dataset"] == "sysu"]
        return plots.lengths(rows[["trial", "seed", "mAP"]], _caption(rows))

    def of_all(path: Path | None) -> "Figure":
        rows = trials.shown(path)
        return plots.trials(rows[["study", "trial", "seed", "mAP", "chosen"]], _caption(rows))

    return {
        "regime_trials": ("every trial of every method, and the one that was chosen", of_all),
        "regime_lengths": ("score against length of training, with intervals over seeds", lengths),
        "regime_agreement": ("validation identities against the development twin, run by run", agreement),
    }


def _caption(rows: pd.DataFrame) -> str:
    """Data sets and profiles of some runs; their number."""
    places = rows[["dataset", "profile"]].drop_duplicates().itertuples(index=False)
    named = [f"{registry.title(dataset)} (synthetic development twin, {profile})" for dataset, profile in places]
    return " · ".join([*named, f"{len(rows)} runs"])


def write() -> None:
    """Write the tables of both pages, from the published trials and the plan."""
    for file, text in ((PAGE, page()), (PLAN, _filled(PLAN.read_text(encoding="utf-8"), plan()))):
        paths.write(file, text.encode())


def _filled(text: str, block_of: str) -> str:
    """A text with a block in its place; raises ``ValueError`` if it lacks the lines that mark that."""
    begin, *_, end = block_of.splitlines()
    before, found, rest = text.partition(begin)
    _, ends, after = rest.partition(end)
    if not (found and ends):
        raise ValueError(f"a page of docs lacks the lines {begin!r} and {end!r}, between which a part of it is written")
    return before + block_of + after


def _correlation(row: dict[str, Any]) -> str:
    interval = "" if pd.isna(row["low"]) else f" ({row['low']:.2f} to {row['high']:.2f})"
    return f"{row['correlation']:.2f}{interval}".replace("-", "−")


def _mean(scores: pd.Series) -> str:
    """Mean and deviation of scores, and how many there are."""
    if not len(scores):
        return "–"
    return f"{scores.mean():.1f}" + (f" ± {scores.std():.1f} (n = {len(scores)})" if len(scores) > 1 else " (n = 1)")


def _interval(row: pd.Series) -> str:
    interval = "" if pd.isna(row["low"]) else f" ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
    return f"{100 * row['value']:.1f}{interval}".replace("-", "−")


def _title(study: str, dataset: str, profile: str) -> str:
    """What a study compares, and on what."""
    known = studies.registered().get(study)
    name = methods.get(known.method).title if known and study.endswith(trials.SUFFIX) else study
    return f"{name}, {registry.title(dataset)}, {profile}"


def _table(rows: pd.DataFrame) -> str:
    lines = ["| trial | runs | mAP, % | difference | spread | seconds | recipes |", "|---|---|---|---|---|---|---|"]
    for trial, row in zip(rows.index.get_level_values("trial"), rows.to_dict("records"), strict=True):
        deviation = "" if pd.isna(row["deviation"]) else f" ± {row['deviation']:.1f}"
        named = f"**{trial}** (chosen)" if row["chosen"] else trial
        named += ", metric loss collapsed" if row["collapsed"] else ""
        difference = "–" if pd.isna(row["difference"]) else f"{row['difference']:+.1f}".replace("-", "−")
        difference += "" if pd.isna(row["interval"]) else f" ± {row['interval']:.1f}"
        numbers = f"{row['mAP']:.1f}{deviation} | {difference} | {row['spread']:.2f} | {row['seconds']:.0f}"
        numbers += f" | `{row['recipes']}`"
        lines.append(f"| {named} | {row['runs']} | {numbers} |")
    return "\n".join(lines)


if __name__ == "__main__":
    write()
