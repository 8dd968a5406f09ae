"""The tool that plants mistakes in a tree: those that tests can notice are, and the others survive."""

import json
import subprocess
import sys
from pathlib import Path

TOY = """
def larger(a: int, b: int = 1) -> int:
    \"\"\"Which is > 1?\"\"\"
    if a > b:
        return a + 0
    if not b:
        raise ValueError(f"{1 + 2}")
    return b * 1
"""
TESTS = """
import toy

def test_larger():
    assert (toy.larger(2, 1), toy.larger(1, 2)) == (2, 2)
"""
RUN = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import mutants

root, rooms = Path(sys.argv[2]), {"toy.py": ("", "toy")}
planted = mutants.drawn(root, rooms, 0, 99)
assert planted == mutants.possible(root, ["toy.py"]) and len(mutants.drawn(root, rooms, 0, 3)) == 3
assert mutants.drawn(root, rooms, 0, 3) == mutants.drawn(root, rooms, 0, 3) != mutants.drawn(root, rooms, 1, 3)
assert mutants.passes(root, ("tests/test_toy.py",), 0)[0] == "no end"
found = mutants.run(root, planted, rooms)
print(json.dumps([[mutant.line, mutant.old, mutant.new, said] for mutant, said, _ in found]))
"""


def test_mistakes_are_noticed_or_survive_and_the_tree_is_mended(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "toy.py").write_text(TOY), (tmp_path / "tests" / "test_toy.py").write_text(TESTS)
    command = [sys.executable, "-c", RUN, str(repository / "benchmarks"), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    found = {(line, old, new): outcome for line, old, new, outcome in json.loads(ended.stdout)}
    assert found == {
        (2, "1", "(2)"): "passed",  # no test takes the default
        (4, "a > b", "(a >= b)"): "passed",  # the same of equal numbers
        (5, "a + 0", "(a - 0)"): "passed",
        (5, "0", "(1)"): "failed",
        (6, "not b", "(b)"): "failed",
        (7, 'raise ValueError(f"{1 + 2}")', "pass"): "passed",
        (8, "b * 1", "(b / 1)"): "passed",
        (8, "1", "(2)"): "failed",
    }
    assert (tmp_path / "toy.py").read_text() == TOY
