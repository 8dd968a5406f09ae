"""README's results, written from the published ledger and never typed: `make results`.

``make publish`` writes them as well. A test holds the front page to ``reidlib/published/ledger.csv``.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from reidlib import paths

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN, END = "<!-- results: written by `make results` -->", "<!-- end of results -->"
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

    A part of a claim is a line: word, effect with its interval and n, and why.

    Args:
        path: of a ledger, with the other tables beside it.

    Raises:
        FileNotFoundError, ValueError: as :func:`reidlib.experiments.ledger.table` and
            :func:`reidlib.experiments.claims.verdict`.
    """
    from reidlib.experiments import benchmark, claims

    blocks = []
    for heading, part in benchmark.places(benchmark.table(path, profile=PROFILES)):
        shown = benchmark.readable(part).reset_index()
        blocks += [f"**{heading}**", _table(shown.columns, shown.to_numpy())]
    rows = [
        (each.names[0], *(f"{value:.1f}" for value in each.table().loc["mAP"]), each.word, len(each.pairs))
        for each in benchmark.lengths(path)
    ]
    header = ("model", "mAP", "reference", "difference", "from", "to", "verdict", "pairs of runs")
    blocks += ["**The reference trained as long: SYSU-MM01 (synthetic twin, screen), mAP**", _table(header, rows)]
    found = claims.verdicts(path)
    rows = [
        (each.part.name, verdict.claim.paper, each.part.statement, each.word, each.effect, each.why)
        for verdict in found
        for each in verdict.judgements
    ]
    blocks.append(_table(("part", "paper", "what it says", "verdict", "effect", "why"), rows))
    return f"{BEGIN}\n" + "\n\n".join(blocks) + f"\n{END}"


def fill_numbers(root: Path, published: Path) -> None:
    """Write the numbers of marked keys into README and the Markdown of notebooks; pages without marks stay as they are.

    Raises:
        ValueError: a key names no record; the message begins with the page.
    """
    from reidlib.app import numbers

    value, written = numbers.values(published), {}
    for page in [root / "README.md", *sorted((root / "notebooks").rglob("*.ipynb"))]:
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
        insert(root / "README.md", results(published))
        fill_numbers(root, published)
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
