"""Do the tests notice? Small mistakes are planted in the library, one at a time, and the fast tests of the room run.

    python benchmarks/mutants.py [--seed 22] [--number 200] [--only 17 31] [--out mutants.json] [--list]

A mutant is one change of one expression or statement: another comparison, operator, number or truth value, a condition
turned round, a call or an assignment left out, ``detach`` forgotten, a minimum for a maximum. The seed draws them
evenly over all possible ones of the files of ``ROOMS``; messages of errors, annotations and docstrings are left alone.
The tree is copied first, so that nothing happens to the one at hand. Needs a system that can fork: torch is imported
once, and each mutant is met by a process of its own.

The outcome of the last run at full size, with what survived, is in ``docs/mutants.md``.
"""

import argparse
import ast
import copy
import importlib
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RANKING = ("ranking", "scoring", "scoring_reranked", "retrieval")
RUNS = ("foreign_runs", "runs", "record")
ROOMS = {
    **{f"reidlib/losses/{name}.py": ("losses", "*") for name in ("_common", "alignment", "circle", "triplet")},
    **{
        f"reidlib/methods/{name}/losses.py": (f"methods/{name}", "losses", "model")
        for name in ("dalnet", "fienet", "maum")
    },
    **{
        f"reidlib/methods/idkl/losses/{name}.py": ("methods/idkl", "losses", "purifier", "model")
        for name in ("distillation", "identities", "released", "streams")
    },
    "reidlib/data/sampler.py": ("data", "sampler"),
    "reidlib/evaluation/ranking.py": ("evaluation", *RANKING),
    "reidlib/evaluation/scoring.py": ("evaluation", *RANKING[1:], "results", "seen"),
    "reidlib/evaluation/reranking.py": ("evaluation", "reranking", "scoring_reranked"),
    "reidlib/evaluation/matchers.py": ("evaluation", "matchers"),
    "reidlib/training/checkpoints.py": ("training", "checkpoints", *RUNS),
    "reidlib/training/devices.py": ("training", "devices", *RUNS[1:], "training"),
    "reidlib/training/record.py": ("training", *RUNS),
    "reidlib/training/history.py": ("training", "history", *RUNS[1:]),
}
"""File → a folder of tests and the files there, without ``test_``, that are to notice, the quickest first."""
PRELOADED = ("matplotlib.pyplot", "numba", "pandas", "pytest", "pytest_timeout", "scipy.stats", "sklearn", "torch")
PRELOADED += ("torchvision", "hypothesis.strategies", "safetensors.torch")

OPPOSITES = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div},
    **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
}
CALLS = {"min": "max", "max": "min", "mean": "sum", "sum": "mean", "all": "any", "any": "all", "amin": "amax"}
CALLS |= {"round": "int", "argmin": "argmax", "argmax": "argmin", "exp": "expm1", "log": "log1p", "relu": "abs"}
LEFT_OUT = {"detach", "clone", "double", "float", "cpu", "contiguous", "abs", "relu", "sqrt", "exp", "log", "softmax"}


@dataclass(frozen=True)
class Mutant:
    """One change: ``old`` becomes ``new`` in a file, between two places counted in bytes."""

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {' '.join(self.old.split())[:90]}  →  {' '.join(self.new.split())[:90]}"


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in the place of a node by mistake."""
    match node:
        case ast.Compare(ops=ops):
            for place, operator in enumerate(ops):
                changed = copy.deepcopy(node)
                changed.ops[place] = OPPOSITES[type(operator)]()
                yield changed
        case ast.BinOp(op=ast.Div(), right=ast.Name(id=name) | ast.Constant(value=str(name))) if name.upper() == name:
            return  # a path
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign() if type(node.op) in OPPOSITES:
            changed = copy.deepcopy(node)
            changed.op = OPPOSITES[type(node.op)]()
            yield changed
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield ast.Constant(node.value + 1)
        case ast.Constant(value=float()):
            yield ast.Constant(1.5 * node.value or 1.0)
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=[]) if name in LEFT_OUT:
            yield value
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name) as function) if name in CALLS:
            changed = copy.deepcopy(node)
            setattr(changed.func, "id" if isinstance(function, ast.Name) else "attr", CALLS[name])
            yield changed
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            yield ast.Pass()


def nodes(tree: ast.AST, *, negatable: bool = False) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Nodes that may change, each with what it becomes; no annotations, decorators, messages, docstrings, f-strings."""
    for changed in changes(tree):
        yield tree, changed
    if negatable and not isinstance(tree, ast.Compare | ast.UnaryOp):  # these are turned round as they are
        yield tree, ast.UnaryOp(ast.Not(), tree)
    if isinstance(tree, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom):
        return
    left_out = {"annotation", "returns", "decorator_list", "type_comment"}
    for name, value in ast.iter_fields(tree):
        if name not in left_out:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from nodes(child, negatable=name == "test")


def possible(root: Path, files: list[str]) -> list[Mutant]:
    """All mutants of some files."""
    found = {}
    for file in files:
        content = (root / file).read_bytes()
        starts = [0]
        for line in content.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        for node, changed in nodes(ast.parse(content)):
            start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
            new = ast.unparse(ast.fix_missing_locations(changed))
            if isinstance(changed, ast.expr):
                new = f"({new})"
            mutant = Mutant(file, node.lineno, start, end, content[start:end].decode(), new)
            found[mutant] = None
    return list(found)


def drawn(root: Path, rooms: dict[str, tuple[str, ...]], seed: int, number: int) -> list[Mutant]:
    """Mutants drawn by a seed without repetition, in the order of the files."""
    everything = possible(root, sorted(rooms))
    chosen = random.Random(seed).sample(range(len(everything)), min(number, len(everything)))
    return [everything[place] for place in sorted(chosen)]


def planted(root: Path, mutant: Mutant) -> bytes:
    """Plant a mutant in a tree; returns what the file was."""
    file = root / mutant.file
    content = file.read_bytes()
    assert content[mutant.start : mutant.end].decode() == mutant.old
    replace(file, content[: mutant.start] + mutant.new.encode() + content[mutant.end :])
    return content


def replace(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)  # equal size, equal second


def passes(root: Path, tests: tuple[str, ...], seconds: float) -> tuple[str, str]:
    """Run tests of a tree in a child: ``passed``, ``failed`` or ``no end``, and the last lines of its output."""
    log = root / "pytest.log"
    log.write_bytes(b"")
    child = os.fork()
    if not child:
        os.setsid()
        with log.open("wb") as stream:
            for number in (1, 2):
                os.dup2(stream.fileno(), number)
        os.chdir(root)
        sys.path.insert(0, str(root))
        os.environ |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "REIDLIB_PROFILE": "ci"}
        os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # nbval alone takes seconds
        sys.dont_write_bytecode = True
        code = 1
        try:
            import pytest

            options = [
                "-x",
                "-q",
                "-p",
                "no:cacheprovider",
                "-p",
                "pytest_timeout",
                "-m",
                "not slow and not integration and not all",
            ]
            code = int(pytest.main([*options, f"--basetemp={root / 'pytest'}", *tests]))
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    done = status = 0
    while not done and time.monotonic() < end:
        time.sleep(0.05)
        done, status = os.waitpid(child, os.WNOHANG)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and what the tests have started
    if not done:
        os.kill(child, signal.SIGKILL)  # it may not lead a group yet
        os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status) if done else None
    said = [line for line in log.read_text(errors="replace").splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "no end" if code is None else "passed" if code == 0 else "failed", "\n".join(said[-1:] or [f"exit {code}"])


def run(root: Path, mutants: list[Mutant], rooms: dict) -> Iterator[tuple[Mutant, str, str]]:
    """Each mutant with the outcome of its tests, in a copy of the tree; before, they have to pass without it.

    A mutant is noticed as well if its tests take four times as long as without it, and half a minute.
    """
    taken = {}
    for mutant in mutants:
        folder, *names = rooms[mutant.file]
        tests = tuple(str(file) for name in names for file in sorted((root / "tests" / folder).glob(f"test_{name}.py")))
        if tests not in taken:
            start = time.monotonic()
            outcome, said = passes(root, tests, 3600)
            if outcome != "passed":
                raise RuntimeError(f"{' '.join(tests)} without any mutant: {outcome}, {said}")
            taken[tests] = time.monotonic() - start
        before = planted(root, mutant)
        try:
            yield mutant, *passes(root, tests, 4 * taken[tests] + 30)
        finally:
            replace(root / mutant.file, before)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of mutants, as the list gives them")
    parser.add_argument("--list", action="store_true", help="say which mutants are drawn and end")
    parser.add_argument("--out", type=Path, help="outcomes as JSON, rewritten after every mutant")
    options = parser.parse_args(arguments)
    numbered = dict(enumerate(drawn(ROOT, ROOMS, options.seed, options.number), start=1))
    if options.only:
        numbered = {number: numbered[number] for number in options.only}
    if options.list:
        print(*(f"{number:3} {mutant}" for number, mutant in numbered.items()), sep="\n")
        return
    for name in PRELOADED:
        importlib.import_module(name)
    found, rows = Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        left_out = shutil.ignore_patterns(".git", "__pycache__", "build", "runs", "notebooks", "cache", ".venv")
        shutil.copytree(ROOT, root, ignore=left_out, symlinks=True)
        outcomes = run(root, list(numbered.values()), ROOMS)
        for number, (mutant, outcome, said) in zip(numbered, outcomes, strict=True):
            found[outcome] += 1
            rows.append({"number": number, **asdict(mutant), "outcome": outcome, "said": said})
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1))
            print(f"{number:3} {'SURVIVES' if outcome == 'passed' else outcome:8} {mutant}", flush=True)
    print(
        f"seed {options.seed}: {len(rows) - found['passed']} of {len(rows)} mutants noticed, {found['no end']} in vain"
    )


if __name__ == "__main__":
    main()
