"""The tables of `docs/regime.md` and `docs/plan_of_runs.md`, written from records: `make results`."""

from pathlib import Path

import pandas as pd

from reidlib.experiments import tiers, trials

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "regime.md"
PLAN = ROOT / "docs" / "plan_of_runs.md"
PLAN_BEGIN, PLAN_END = "<!-- plan: written by `make results` -->", "<!-- end of plan -->"
BEGIN, END = "<!-- trials: written by `make results` -->", "<!-- end of trials -->"
TITLES = {
    "baseline-trials": "The baseline, visible–infrared (SYSU-MM01)",
    "sketch-baseline-trials": "The baseline, sketches (PKU-Sketch)",
    "maum-trials": "MAUM (SYSU-MM01)",
    "fienet-trials": "FIENet (SYSU-MM01)",
    "idkl-trials": "IDKL (SYSU-MM01)",
    "dalnet-trials": "DALNet (PKU-Sketch)",
}


def block(path: Path | None = None) -> str:
    """Every study of the development twin as a table in Markdown, with the lines that mark their place.

    Args:
        path: of a table of trials; default: the published one.
    """
    parts, found = [BEGIN], trials.table(path)
    for names, rows in found.groupby(level=["study", "dataset", "profile"], sort=False):
        parts += [f"**{_title(*names)}**", _table(rows)]
    for dataset, profile in found.reset_index()[["dataset", "profile"]].drop_duplicates().itertuples(index=False):
        row = trials.agreement(path, dataset=dataset, profile=profile).iloc[0]
        interval = "" if pd.isna(row["low"]) else f" (95 % interval {row['low']:.2f} to {row['high']:.2f})"
        parts.append(
            f"{dataset}, {profile}: over {row['runs']} runs, the order on validation identities and the order on the "
            f"development twin have a rank correlation of {row['correlation']:.2f}{interval}."
        )
    return "\n\n".join([*parts, END])


def plan() -> str:
    """The plan of runs as a table in Markdown, with the lines that mark its place."""
    lines = ["| tier | runs | hours | command |", "|---|---|---|---|"]
    for row in tiers.table().to_dict("records"):
        hours = "?" if pd.isna(row["hours_planned"]) else f"{row['hours_planned']:.1f}"
        lines.append(f"| {row['tier']} | {row['runs']} | {hours} | `{row['command']}` |")
    return "\n\n".join([PLAN_BEGIN, "\n".join(lines), PLAN_END])


def page(path: Path | None = None) -> str:
    """The whole page of the regime, as it is to be."""
    return _filled(PAGE, block(path))


def _filled(page: Path, text: str) -> str:
    begin, *_, end = text.splitlines()
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    return before + text + rest.partition(end)[2]


def _title(study: str, dataset: str, profile: str) -> str:
    if study in TITLES:
        return TITLES[study]
    return f"{study}, {dataset}, {profile}"


def _table(rows: pd.DataFrame) -> str:
    lines = ["| trial | runs | mAP, % | difference | spread | seconds |", "|---|---|---|---|---|---|"]
    for trial, row in zip(rows.index.get_level_values("trial"), rows.to_dict("records"), strict=True):
        deviation = "" if pd.isna(row["deviation"]) else f" ± {row['deviation']:.1f}"
        named = f"**{trial}** (chosen)" if row["chosen"] else trial
        named += ", metric loss collapsed" if row["collapsed"] else ""
        difference = "–" if pd.isna(row["difference"]) else f"{row['difference']:+.1f}".replace("-", "−")
        numbers = f"{row['mAP']:.1f}{deviation} | {difference} | {row['spread']:.2f} | {row['seconds']:.0f}"
        lines.append(f"| {named} | {row['runs']} | {numbers} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    PLAN.write_text(_filled(PLAN, plan()), encoding="utf-8")
