"""The door: what opens, what is refused, and what the refusal says."""

import pickle
from pathlib import Path

import pytest

import reidlib.data
from reidlib import profiles
from reidlib.console import spelling
from reidlib.data import registry


def test_root_is_opened(tree):
    dataset = reidlib.data.open("sysu", root=tree)
    assert (dataset.name, dataset.root, dataset.split) == ("sysu", tree, None)
    assert (dataset.is_twin, dataset.twin_version, dataset.profile) == (False, None, None)
    assert dataset.title == "SYSU-MM01"


def test_root_as_text_and_relative_to_the_current_folder(tree, monkeypatch):
    monkeypatch.chdir(tree.parent)
    dataset = reidlib.data.open("sysu", root="tree")
    monkeypatch.chdir("/")
    assert (dataset.root / dataset.frame["path"][0]).is_file()


def test_default_root_comes_from_the_environment(make_tree, monkeypatch, tmp_path):
    root = make_tree("licensed/sysu") if (tmp_path / "licensed").mkdir() is None else None
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / "licensed"))
    assert reidlib.data.open("sysu").root == root


def test_without_any_root_the_error_says_what_to_do():
    with pytest.raises(FileNotFoundError, match=r"REIDLIB_DATA is not set.*root=.*twin=.cpu."):
        reidlib.data.open("sysu")


def test_notebooks_open_the_licensed_set_where_it_is(make_tree, monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr(registry, "_twin_root", lambda name, twin: opened.append((name, twin)) or tree)
    tree = make_tree("tree")
    assert reidlib.data.open_available("sysu").root == tree and opened == [("sysu", True)]
    (tmp_path / "licensed").mkdir()
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / "licensed"))
    assert reidlib.data.open_available("sysu", "ci").root == tree and opened[1:] == [("sysu", "ci")]
    real = make_tree("licensed/sysu")
    assert reidlib.data.open_available("sysu", "ci").root == real and len(opened) == 2


def test_a_mistyped_folder_of_licensed_sets_is_said_not_replaced(monkeypatch, tmp_path):
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match=r"REIDLIB_DATA is set to .*absent.*no such folder"):
        reidlib.data.open_available("sysu", "ci")


@pytest.mark.parametrize("open_it", [reidlib.data.open, reidlib.data.open_available])
def test_a_link_to_a_drive_that_is_not_there_is_said_not_replaced(monkeypatch, tmp_path, open_it):
    monkeypatch.setattr(registry, "_twin_root", lambda *_: pytest.fail("a twin in its place"))
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    (tmp_path / "sysu").symlink_to(tmp_path / "unmounted" / "SYSU-MM01")
    with pytest.raises(FileNotFoundError, match=r"sysu is a link to .*unmounted/SYSU-MM01, which is not there"):
        open_it("sysu")


def test_messages_are_spelled_for_who_reads_them(tree, tmp_path):
    def said(**arguments) -> str:
        with pytest.raises((ValueError, OSError)) as caught:
            reidlib.data.open(**arguments)
        return str(caught.value)

    (tmp_path / "outer").mkdir()
    tree.rename(tmp_path / "outer" / "SYSU MM01")
    for arguments, python, command in [
        ({"name": "regdb"}, "choose one with split=, of", "choose one with --split, of"),
        ({"name": "sysu", "split": 2}, "split=2 is not possible", "--split 2 is not possible"),
        ({"name": "sysu"}, "Give root= with the folder", "Give --root with the folder"),
        ({"name": "sysu"}, "twin='cpu' opens", "--twin cpu opens"),
        ({"name": "sysu", "root": tree, "twin": "ci"}, "either root= (a", "either --root (a"),
        ({"name": "sysu", "root": tmp_path / "outer"}, "mean root='/", "mean --root '/"),
    ]:
        assert python in said(**arguments) and command not in said(**arguments)
        with spelling.for_command_line():
            assert command in said(**arguments) and python not in said(**arguments)


@pytest.mark.parametrize("through_environment", [False, True])
def test_missing_root_raises_and_builds_no_twin(tmp_path, monkeypatch, through_environment):
    monkeypatch.setenv("REIDLIB_HOME", str(tmp_path))
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path / "absent"))
    root = None if through_environment else tmp_path / "absent" / "sysu"
    with pytest.raises(FileNotFoundError, match=r"absent/sysu.*REIDLIB_DATA.*twin=.cpu."):
        reidlib.data.open("sysu", root=root)
    assert list(tmp_path.iterdir()) == []


def test_root_that_is_a_file(tmp_path):
    (tmp_path / "sysu.zip").write_bytes(b"PK")
    with pytest.raises(NotADirectoryError, match=r"sysu\.zip is a file"):
        reidlib.data.open("sysu", root=tmp_path / "sysu.zip")


def test_unknown_data_set_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown data set 'market'; choose one of: sysu"):
        reidlib.data.open("market")
    assert reidlib.data.names()[0] == "sysu"


def test_unknown_profile_lists_the_known():
    with pytest.raises(ValueError, match=r"'huge'.*ci, screen, cpu"):
        reidlib.data.open("sysu", twin="huge")


def test_root_and_twin_exclude_each_other(tree):
    with pytest.raises(ValueError, match="not both"):
        reidlib.data.open("sysu", root=tree, twin="ci")


@pytest.mark.parametrize("split", [0, 1, "train"])
def test_sysu_has_no_numbered_splits(tree, split):
    with pytest.raises(ValueError, match=r"split=.*single split"):
        reidlib.data.open("sysu", root=tree, split=split)


def test_twin_is_asked_for_by_profile(tree, monkeypatch):
    from reidlib import twins

    asked = []
    monkeypatch.setattr(twins, "ensure", lambda name, profile: asked.append((name, profile)) or tree)
    reidlib.data.open("sysu", twin="screen")
    monkeypatch.setenv(profiles.ENVIRONMENT_VARIABLE, "ci")
    reidlib.data.open("sysu", twin=True)
    assert asked == [("sysu", "screen"), ("sysu", "ci")]


def write_manifest(root: Path, dataset: str) -> None:
    text = f'{{"twin_version": "7", "dataset": "{dataset}", "profile": "ci", "images": 108, "image_size": [24, 12]}}'
    (root / "twin.json").write_text(text)


def test_a_folder_with_a_manifest_is_a_twin(tree):
    write_manifest(tree, "sysu")
    dataset = reidlib.data.open("sysu", root=tree)
    assert (dataset.is_twin, dataset.twin_version, dataset.profile) == (True, "7", "ci")
    assert dataset.title == "SYSU-MM01 (synthetic twin 7, ci)"


def test_twin_of_another_data_set_is_refused(tree):
    write_manifest(tree, "regdb")
    with pytest.raises(ValueError, match=r"twin\.json.*'regdb'.*'sysu'"):
        reidlib.data.open("sysu", root=tree)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"twin_version": 1, "dataset": "sysu", "profile": "ci"}', "\x00"])
def test_damaged_manifest_is_refused(tree, text):
    (tree / "twin.json").write_text(text)
    with pytest.raises(ValueError, match=r"twin\.json"):
        reidlib.data.open("sysu", root=tree)


@pytest.mark.parametrize("name", registry.READERS)
def test_a_reader_can_be_sent_to_another_process(name):
    """As a sweep over several workers does with its data sets."""
    assert pickle.loads(pickle.dumps(registry.READERS[name])).title == registry.READERS[name].title
