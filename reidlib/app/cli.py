"""The command line: ``reidlib COMMAND``, also as ``python -m reidlib.app.cli COMMAND``; ``--help`` lists them.

Exit status 0: done and well. 1: done, and what came out is wrong (runs of a sweep failed, a data set has errors). 2:
not done, because of what was asked for or of what was not there; one message on stderr says why (``python -X dev -m
reidlib.app.cli …`` shows where it came from).
"""

import sys
from functools import partial

import reidlib
from reidlib.console import spelling


def main(arguments: list[str] | None = None) -> int:
    """Run a command (default: that of ``sys.argv``); returns the exit status."""
    try:
        import tyro
    except ImportError:
        print("reidlib: the command line needs tyro: pip install tyro", file=sys.stderr)
        return 2
    from reidlib.app import commands, completion

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a character that a terminal lacks must not end a command
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"reidlib {reidlib.__version__}")
        return 0
    known = {command.__name__.removesuffix("_"): command for command in commands.COMMANDS}
    description = f"{reidlib.__doc__.splitlines()[0]} reidlib --version says which."
    options = {"prog": "reidlib", "args": arguments, "config": (tyro.conf.FlagCreatePairsOff,)}
    run = partial(tyro.extras.subcommand_cli_from_dict, known, description=description, **options)
    try:
        if completion.FLAG in arguments:
            print(completion.printed(run), end="")
            return 0
        with spelling.for_command_line():
            return run()
    except (ValueError, OSError, FloatingPointError, ModuleNotFoundError, RuntimeError) as error:
        if sys.flags.dev_mode or not _is_expected(error):
            raise
        print(f"reidlib: {_readable(error)}", file=sys.stderr)
        return 2


def _is_expected(error: Exception) -> bool:
    """Whether the message is meant for the person who typed the command."""
    if not isinstance(error, RuntimeError):
        return True
    import torch

    return isinstance(error, reidlib.experiments.sweep.Interrupted | torch.OutOfMemoryError)


def _readable(error: Exception) -> str:
    """The message; a tree or a list keeps its lines, what torch says is put into one."""
    lines = str(error).rstrip().splitlines()
    return " ".join(map(str.strip, lines)) if isinstance(error, RuntimeError) else "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
