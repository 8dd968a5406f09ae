"""What pages say about results and methods, written from the records and never typed: `make results`.

``docs/results.md`` gets its tables, each with a sentence; README gets the table of methods; numbers that prose marks
get their values in both, in the other pages of ``docs`` and in the notebooks. ``make publish`` writes all of it as
well. A test holds the pages to ``reidlib/published``.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reidlib import paths

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN, END = "<!-- results: written by `make results` -->", "<!-- end of results -->"
METHODS_BEGIN, METHODS_END = "<!-- methods: written by `make results` -->", "<!-- end of methods -->"
PAGE = Path("docs", "results.md")
PROFILES = ("paper", "gpu", "cpu")  # numbers of the smaller ones are for curves, not for the front page


def insert(page: Path, block: str) -> None:
    """Write a block of lines in the place of what stands between its first and its last line in a page.

    Raises:
        ValueError: the page lacks one of these two lines; it is left as it is.
    """
    paths.write(page, inserted(page, block))


def inserted(page: Path, block: str) -> bytes:
    """The content of a page after :func:`insert`; raises as it does."""
    begin, *_, end = block.splitlines()
    try:
        text = page.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{page} is not in UTF-8 ({error}): save it in UTF-8") from None
    start, stop = text.find(begin), text.find(end)
    if start < 0 or stop < start:
        raise ValueError(f"{page.name} lacks the lines {begin!r} and {end!r}, between which a part of it is written")
    return (text[:start] + block + text[stop + len(end) :]).encode()


def results(path: str | Path) -> str:
    """The benchmark and the verdicts on the claims in Markdown, with the lines that mark their place.

    Each table stands under a heading and a sentence that is made of its rows. A part of a claim is a line: word, effect
    with its interval and n, and why.

    Args:
        path: of a ledger, with the other tables beside it.

    Raises:
        FileNotFoundError, ValueError: as :func:`reidlib.experiments.ledger.table` and
            :func:`reidlib.experiments.claims.verdict`.
    """
    from reidlib.experiments import benchmark, claims

    blocks = ["## Scores"]
    for heading, part in benchmark.places(benchmark.table(path, profile=PROFILES)):
        place, _, rules = heading.partition(" · ")
        shown = benchmark.readable(part).reset_index()
        blocks += [f"### {place}", f"{_leader(part)} Protocol: {rules}.", _table(shown.columns, shown.to_numpy())]
    blocks += [_sentence(benchmark.no_rows())] if len(blocks) == 1 else []
    found = benchmark.lengths(path)
    rows = [
        (each.names[0], *(f"{value:.1f}" for value in each.table().loc["mAP"]), each.word, len(each.pairs))
        for each in found
    ]
    header = ("model", "mAP", "reference", "difference", "from", "to", "verdict", "pairs of runs")
    words = {word: [each.names[0] for each in found if each.word == word] for word in ("better", "worse", "undecided")}
    sentence = "; ".join(f"{word}: {', '.join(names)}" for word, names in words.items() if names)
    blocks += ["## The reference trained as long", "SYSU-MM01 (synthetic twin, screen), mAP."]
    blocks += [f"Against a baseline that was trained as long: {sentence}.", _table(header, rows)] if rows else []
    blocks += [] if rows else [_sentence(benchmark.no_rows_of_lengths())]
    blocks += [*_photographs(Path(path)), "## Claims"]
    verdicts = claims.verdicts(path)
    rows = [
        (each.part.name, verdict.claim.paper, each.part.statement, each.word, each.effect, each.why)
        for verdict in verdicts
        for each in verdict.judgements
    ]
    counts = ", ".join(f"{count} {word}" for word, count in Counter(row[3] for row in rows).most_common())
    blocks.append(f"Of {len(rows)} parts of claims: {counts}.")
    blocks.append(_table(("part", "paper", "what it says", "verdict", "effect", "why"), rows))
    return f"{BEGIN}\n" + "\n\n".join(blocks) + f"\n{END}"


def _sentence(missing: str) -> str:
    """What is missing and the commands that make it, of `benchmark.no_rows`, in Markdown."""
    what, _, commands = missing.partition(": ")
    return f"{what[0].upper()}{what[1:]}: {', '.join(f'`{command}`' for command in commands.split('; '))}."


def _leader(part: "pd.DataFrame") -> str:
    """Who has the highest mean mAP in a place of the benchmark, and what the other side has."""
    from reidlib import methods

    reference = methods.reference().name
    scores = part.set_index("model")["mAP"].mul(100).sort_values(ascending=False)
    ours = scores.drop(part.loc[part["method"] == reference, "model"])
    best, *others = dict.fromkeys([scores.index[0], reference, *ours.index[:1]])
    sentence = f"{best} has the highest mean mAP, {scores[best]:.1f}"
    sentence += "".join(f"; {name} has {scores[name]:.1f}" for name in others if name in scores) + "."
    fewest = int(part["runs"].min())
    runs = "is one run" if fewest == 1 else f"are {fewest} runs"
    return sentence + (f" Of some models there {runs}: a difference is a lead, no finding." if fewest < 3 else "")


def _photographs(path: Path) -> list[str]:
    """Models trained on rendered people, tested on real ones; nothing where no such rows lie beside the ledger."""
    from reidlib.experiments import photographs

    if not (file := path.with_name(photographs.PUBLISHED.name)).is_file():
        return []
    rows, lines = photographs.table(file), {}
    for row in rows.to_dict("records"):
        low, high = (f"{100 * row[f'mAP {end}']:.1f}" for end in ("low", "high"))
        name = row["network"], row["trained_on"], f"{row['height']}×{row['width']}"
        lines.setdefault(name, {})[row["task"], row["centred"]] = f"{100 * row['mAP']:.1f} ({low} to {high})"
    kinds = [(task, centred) for task in photographs.TASKS for centred in (False, True)]
    header = ["network", "trained on", "image", *(task + ", centred" * centred for task, centred in kinds)]
    people, dataset = rows["people"].max(), " and ".join(rows["dataset"].unique())
    return [
        "## Real people",
        f"mAP on {people} people of {dataset}, with the 95 % interval over people; no photograph was trained on, and "
        "nothing was chosen by them. *Centred*: the mean of each side is taken off it. `benchmarks/real_crops.py` says "
        "more.",
        _table(header, [(*name, *(found.get(kind, "") for kind in kinds)) for name, found in lines.items()]),
    ]


def methods_table() -> str:
    """Which method takes which data sets and trunks, from the registry, with the lines that mark its place."""
    from reidlib import data, methods
    from reidlib.networks import trunks

    rows, ready = [], [name for name in trunks.names() if "<" not in name]
    for name, method in methods.registered(controls=False).items():
        taken = [trunk for trunk in ready if _takes(method.model.check_backbone, trunk)]
        page = f"reidlib/methods/{name}/README.md"
        title = f"[{method.title}]({page})" if (ROOT / page).is_file() else method.title
        sets = ["✓" if each in method.recipes else "–" for each in data.registry.READERS]
        own = "✓" if method.shapes or method.recipes else "–"
        rows.append((title, *sets, own, "all" if taken == ready else ", ".join(f"`{trunk}`" for trunk in taken)))
    header = ["", *(f"`{name}`" for name in data.registry.READERS), "your own", "trunks"]
    every = ", ".join(f"`{name}`" for name in trunks.names())
    return "\n".join([METHODS_BEGIN, _table(header, rows), "", f"Trunks: {every}.", METHODS_END])


def _takes(check: Callable[[str], object], name: str) -> bool:
    try:
        check(name)
    except ValueError:
        return False
    return True


def write_results(root: Path, published: Path) -> None:
    """Write all that pages say from the records: tables of results, the table of methods, numbers in prose.

    Raises:
        ValueError: a page lacks the lines of its table, or a key names no record; the message begins with the page.
    """
    insert(root / PAGE, results(published))
    insert(root / "README.md", methods_table())
    fill_numbers(root, published)


def fill_numbers(root: Path, published: Path) -> None:
    """Write the numbers of marked keys into README, ``docs`` and the notebooks; pages without marks stay as they are.

    Raises:
        ValueError: a key names no record; the message begins with the page.
    """
    from reidlib.app import numbers

    value, written = numbers.values(published), {}
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md")), *sorted((root / "notebooks").rglob("*.ipynb"))]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        try:
            filled = numbers.fill(text, value)
        except ValueError as error:
            raise ValueError(f"{page.name}: {error}") from error
        if filled != text:
            written[page] = filled.encode()
    for page, content in written.items():
        paths.write(page, content)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main(root: Path = ROOT) -> None:
    """The command line; ends with exit status 1 and the reason on stderr if something failed."""
    try:
        published = root / "reidlib" / "published" / "ledger.csv"
        write_results(root, published)
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
