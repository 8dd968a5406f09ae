"""A table of one's own: what Excel and others write is read, and what is wrong has a file and a line."""

from pathlib import Path

import pandas as pd
import pytest
from small_folders import write_folder

from reidlib import data

HEAD = ["path", "pid", "camid", "modality", "split"]


def lines(split: bool = True) -> list[list[str]]:
    rows = [(m, p, n) for m in ("visible", "infrared") for p in range(1, 5) for n in range(2)]
    table = [[f"{m}/{p:04d}/{n}.png", str(p), "1", m, "train" if p < 3 else "test"] for m, p, n in rows]
    return table if split else [row[:4] for row in table]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pictures", 4, images=2)


@pytest.fixture
def write(root: Path):
    def to_file(rows: list[list[str]], separator: str = ",", encoding: str = "utf-8", name: str = "mine.csv") -> Path:
        text = "".join(separator.join(row) + "\n" for row in rows)
        (root / name).write_bytes(text.encode(encoding))
        return root / name

    return to_file


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_all_programs_are_read(write, separator: str, encoding: str) -> None:
    dataset = data.from_table(write([HEAD, *lines()], separator, encoding))
    assert (dataset.name, dataset.title, len(dataset)) == ("mine", "mine, own split (column split)", 16)
    assert dataset.frame["path"].tolist() == [row[0] for row in lines()], "in the order of the table"
    assert dataset.frame["modality"].tolist() == 8 * [0] + 8 * [1]
    assert set(dataset.frame.query("split == 'test'")["pid"]) == {3, 4}
    assert not dataset.check(decode=True).problems


def test_excels_first_line_capitals_windows_paths_and_quotes(write, root: Path) -> None:
    rows = [[row[0].replace("/", "\\"), f'"{row[1]}"', *row[2:]] for row in lines()]
    file = write([["sep=;"], [" Path", "PID", "camID", "Modality", "Split"], *rows, [""]], ";")
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert len(data.from_table(file)) == 16
    absolute = [[str(root / row[0]), *row[1:]] for row in lines()]
    assert data.from_table(write([HEAD, *absolute])).frame["path"].iloc[0] == "visible/0001/0.png"


def test_a_data_frame_with_numbers_and_gaps(root: Path) -> None:
    table = pd.DataFrame(lines(), columns=HEAD).assign(pid=[float(row[1]) for row in lines()])
    dataset = data.from_table(table.drop(columns=["camid", "split"]), root=root, title="Ours", seed=1)
    assert (dataset.name, dataset.own_split) == ("ours", "seed 1")
    assert sorted(dataset.frame["pid"].unique()) == [1, 2, 3, 4] and sorted(dataset.frame["camid"].unique()) == [1, 2]
    named = table.assign(
        pid=[["anna", "bert", "carl", "dora"][int(p) - 1] for p in table["pid"]], modality=8 * [0] + 8 * [1]
    )
    dataset = data.from_table(named, root=root, name="named")
    assert dict(zip(dataset.frame["identity"], dataset.frame["pid"], strict=True))["dora"] == 3
    with pytest.raises(ValueError, match="a DataFrame needs the folder"):
        data.from_table(table)
    with pytest.raises(TypeError, match="CSV file or a DataFrame"):
        data.from_table([1, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[3].__setitem__(0, "visible/0002/9.png"), r"line 5: there is no file .*9\.png$"),
        (lambda rows: rows[3].__setitem__(0, "../pictures/visible/0002/1.png"), r"line 5: .* leads out of folders"),
        (lambda rows: rows[3].__setitem__(0, r"C:\data\1.png"), r"line 5: .* does not lie below"),
        (lambda rows: rows[3].__setitem__(0, "/etc/passwd"), r"line 5: .* does not lie below"),
        (lambda rows: rows[3].__setitem__(0, ""), r"line 5: path is empty"),
        (lambda rows: rows[3].__setitem__(0, rows[2][0]), r"line 5: .* is listed twice \(first .*line 4\)"),
        (lambda rows: rows[3].__setitem__(1, " "), r"line 5: pid is empty"),
        (lambda rows: rows[3].__setitem__(3, "rgb"), r"line 5: modality 'rgb' must be 0 or 1, or one of"),
        (lambda rows: rows[3].__setitem__(4, "val"), r"line 5: split 'val' must be one of"),
        (lambda rows: rows[3].__setitem__(4, "test"), r"identity '2' is in training and in test \(.*line 4; .*line 5"),
        (lambda rows: rows[3].__setitem__(4, ""), r"line 5 lacks a split, unlike .*line 2"),
        (lambda rows: rows[3].__setitem__(2, ""), r"line 5 lacks a camera, unlike .*line 2"),
        (lambda rows: rows[3].append("x"), r"line 5: 6 values in 5 columns"),
        (lambda rows: rows.clear(), r"mine\.csv holds no line"),
    ],
)
def test_what_is_wrong_has_a_line(write, change, message: str) -> None:
    rows = lines()
    change(rows)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        data.from_table(write([HEAD, *rows]))


def test_columns_files_and_encodings_that_are_none(write, root: Path) -> None:
    with pytest.raises(
        ValueError, match=r"lacks the column\(s\) path; it has 'paths', .*is 'paths' meant to be 'path'"
    ):
        data.from_table(write([["paths", *HEAD[1:]], *lines()]))
    with pytest.raises(ValueError, match="line 1: two columns are called 'pid'"):
        data.from_table(write([["path", "pid", "pid", "modality", "split"], *lines()]))
    with pytest.raises(ValueError, match=r"not in UTF-8.*save it as 'CSV UTF-8'"):
        data.from_table(write([HEAD, *lines(), ["ü", "1", "1", "0", "test"]], encoding="latin-1"))
    (root / "book.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="is a workbook; save it as 'CSV UTF-8'"):
        data.from_table(root / "book.xlsx")
    with pytest.raises(FileNotFoundError, match="there is no table"):
        data.from_table(root / "none.csv")
    with pytest.raises(FileNotFoundError, match=r"\(16 of 16 images are missing\); paths are looked for below root="):
        data.from_table(write([HEAD, *lines()]), root=root / "visible")


def test_links_of_a_table_stay_inside(write, root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    (root / "visible" / "0001" / "0.png").unlink()
    (root / "visible" / "0001" / "0.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(ValueError, match=r"line 2: visible/0001/0\.png is a link that leaves"):
        data.from_table(write([HEAD, *lines()]))
