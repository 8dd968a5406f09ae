"""Tables in CSV files that many processes add rows to: the columns are checked, and nothing is ever half written.

A file is always replaced as a whole, so that a kill leaves the rows from before or those from after. Who adds rows
holds :func:`locked` meanwhile. Git may merge two such files line by line (``merge=union``): of rows that stand for the
same, the last line counts, whatever its date says.
"""

import csv
import glob
import io
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from reidlib import paths

_CONFLICT = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_MOST_BYTES = 1 << 30  # of a file: some millions of rows
_LONGEST = 100_000  # characters of a field; csv reads 131072


@dataclass(frozen=True, eq=False)
class Format:
    """The columns of a kind of table.

    Args:
        name: what messages call it.
        columns: name → type in pandas; an empty field is a missing value, but in ``variant`` a label of no letters.
        file: the name of such a table beside ``ledger.csv``.
        before: column → text: columns that files of older versions lack, and what holds for their rows.
    """

    name: str
    columns: Mapping[str, str]
    file: str
    before: Mapping[str, str] = field(default_factory=dict)

    @property
    def header(self) -> str:
        return ",".join(self.columns)

    def beside(self, ledger: Path) -> Path:
        """Where this table of a ledger lies: ``file`` beside ``ledger.csv``, else with the ledger's name before it."""
        return ledger.with_name(self.file if ledger.name == "ledger.csv" else f"{ledger.stem}-{self.file}")

    def append(
        self, path: Path, rows: Iterable[Mapping[str, Any]], *, instead_of: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Add rows to a file, which may be absent; returns them as they are written. Needs :func:`locked`.

        Numbers are rounded to six digits. Columns that a row lacks stay empty, as do those with NaN.

        Args:
            instead_of: column → text: rows that have all of these give way to the new ones.

        Raises:
            ValueError: the file is no table of this format, or a row could not be read back; the file is left as it is.
        """
        rows, lines = self.written(rows)
        kept = self.read(path)
        if instead_of and kept:
            stays = (self.frame(kept)[list(instead_of)] != pd.Series(instead_of)).any(axis=1)
            kept = [line for line, does in zip(kept, stays, strict=True) if does]
        paths.remove_partials(path.parent, glob.escape(path.name))
        self.write(path, [*kept, *lines])
        return rows

    def written(self, rows: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
        """Rows with rounded numbers, and as lines of a file.

        Raises:
            ValueError: a line could not be read back: text is more than one printable line, or a value does not fit its
                column.
        """
        rows = [{name: _rounded(row.get(name)) for name in self.columns} for row in rows]
        for name, value in ((name, value) for row in rows for name, value in row.items()):
            if isinstance(value, str) and not (value.isprintable() and len(value) <= _LONGEST):
                problem = f"text of one printable line of at most {_LONGEST} characters, not {value[:100]!r}"
                raise ValueError(f"the {self.name} keeps in column {name!r} {problem}")
        lines = _lines(row.values() for row in rows)
        self._frame_of_file(lines, f"a row for the {self.name}")
        return rows, lines

    def read(self, path: Path) -> list[str]:
        """The rows of a file as they are written, once they have been found in order; none if there is no file.

        Raises:
            ValueError: the file is no table of this format; the message names the line.
        """
        if not path.exists():
            return []
        header, *lines = _text(path).splitlines() or [self.header]
        for number, line in enumerate([header, *lines], 1):
            if line.startswith(_CONFLICT):
                raise ValueError(
                    f"{path}, line {number} is no row of the {self.name} but marks a merge in git that was not ended; "
                    f"remove the lines that begin with {' or '.join(_CONFLICT)}, and keep the rows of both sides"
                )
        names = header.split(",")
        if names != [name for name in self.columns if name in names or name not in self.before]:
            raise ValueError(
                f"{path} is no {self.name} of this version, and is left as it is; move it away. Its columns are "
                f"{header[:300]!r}, not {self.header!r}"
            )
        for number, line in enumerate(lines, 2):
            if len(_fields(line)) != len(names):
                text = line[:200]
                raise ValueError(f"{path}, line {number} is no row of the {self.name}; mend or remove it: {text!r}")
        lines = [line for line in lines if line != header]  # a merge in git may leave a second one
        if header != self.header:
            rows = (dict(zip(names, row, strict=True)) for row in csv.reader(lines))
            lines = _lines([row.get(name, self.before.get(name)) for name in self.columns] for row in rows)
        self._frame_of_file(lines, path)
        return lines

    def collect(self, files: Iterable[Path]) -> pd.DataFrame:
        """The rows of several files, one file after another; raises ``ValueError`` as ``read``.

        What a file before holds as well is not repeated: a row that was published counts where it was published.
        """
        return self.frame(self._joined(files))

    def merged(
        self, files: Iterable[Path], choose: Callable[[pd.DataFrame], pd.DataFrame]
    ) -> tuple[pd.DataFrame, list[str]]:
        """What ``choose`` keeps of the rows of several files, in its order: as a table and as it is written."""
        lines = self._joined(files)
        rows = choose(self.frame(lines))
        return rows, [lines[position] for position in rows.index]

    def _joined(self, files: Iterable[Path]) -> list[str]:
        lines, known = [], set()
        for file in files:
            new = [line for line in self.read(file) if line not in known]
            lines += new
            known |= set(new)
        return lines

    def _frame_of_file(self, lines: list[str], where: object) -> None:
        """Raise ``ValueError`` that begins with ``where`` if a value does not fit its column."""
        try:
            fits = len(self.frame(lines)) == len(lines)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{where} holds a value that does not fit its column: {error}") from error
        if not fits:
            raise ValueError(f"{where} holds lines that are no rows of the {self.name}")

    def write(self, path: Path, lines: Sequence[str]) -> None:
        """Replace a file by these rows; without any nothing is written."""
        if lines:
            paths.write(path, "".join(f"{line}\n" for line in [self.header, *lines]).encode())

    def frame(self, lines: Iterable[str]) -> pd.DataFrame:
        """The rows as a table with the types of the columns."""
        text = io.StringIO("\n".join([self.header, *lines]))
        dates = {name: "str" for name, kind in self.columns.items() if kind.startswith("datetime")}
        missing = {name: [""] for name in self.columns if name != "variant"}
        rows = pd.read_csv(text, dtype={**self.columns, **dates}, keep_default_na=False, na_values=missing)
        return rows.astype({name: self.columns[name] for name in dates})

    def select(self, rows: pd.DataFrame, filters: Mapping[str, Any]) -> pd.DataFrame:
        """The rows whose columns have the value, or one of the values, wanted; ``None`` stands for a missing value.

        Raises:
            ValueError: an unknown column; the message lists the known.
        """
        if unknown := [name for name in filters if name not in self.columns]:
            raise ValueError(f"the {self.name} has no column {unknown[0]!r}; choose from: {', '.join(self.columns)}")
        for name, wanted in filters.items():
            values = list(wanted) if pd.api.types.is_list_like(wanted) else [wanted]
            known = pd.Series([value for value in values if value is not None], dtype=self.columns[name])
            rows = rows[rows[name].isin(known) | (rows[name].isna() & (None in values))]
        return rows


def _text(path: Path) -> str:
    """The text of a file; raises ``ValueError`` that names it if it is not in UTF-8."""
    content = paths.read_bounded(path, most=_MOST_BYTES)
    advice = "save it as text in UTF-8 (in Excel: CSV UTF-8), or take it again from git or a copy"
    try:
        text = content.decode("utf-8-sig" if len(content) > 3 else "utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}, line {line} is not in UTF-8 ({error.reason}), and is left as it is; {advice}"
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{path}, line {line} holds a NUL character, and is left as it is; {advice}")
    return text


def _fields(line: str) -> list[str]:
    """Of a line of CSV; none if it is no such line alone."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:  # a quotation that does not end, or a field beyond the limit of csv
        return []


def _lines(rows: Iterable[Iterable[Any]]) -> list[str]:
    """Rows as they are written."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().splitlines()


def last(rows: pd.DataFrame, columns: list[str], *preferred: pd.Series) -> pd.DataFrame:
    """Of rows that agree in some columns, the preferred one, then the one recorded last; in their order, with index.

    What was recorded last stands last, in a file and among several: published rows, then those of this machine. Dates
    do not count, since the clock of a machine may be wrong.
    """
    order = rows.index
    if preferred:
        worth = pd.concat(preferred, axis=1, keys=range(len(preferred)))
        order = worth.sort_values(list(worth), kind="stable").index
    return rows.loc[order].drop_duplicates(columns, keep="last").sort_index()


def locked(path: Path) -> AbstractContextManager[None]:
    """``with locked(path):`` holds a file for this process alone. Its folder is made if it is absent."""
    return paths.locked(path.with_name(f".{path.name}.lock"), "REIDLIB_RUNS")


def _rounded(value: Any) -> Any:
    """Numbers to six digits. NaN, for example the deviation of a single trial, is a missing value."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def warn_if_missing(published: Path) -> None:
    """Say in one line that a table of the package is gone: what is drawn then looks complete and is not."""
    if not published.exists():
        where = f"{published.name} of the package is not there"
        warnings.warn(f"{where}: tables and figures show the runs of this machine alone", stacklevel=3)
