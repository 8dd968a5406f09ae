"""Completion by the shell: tyro's script, which knows commands and options, with the names that stand behind a command.

``reidlib --tyro-print-completion bash`` prints it, and for ``zsh`` and ``fish``.
"""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import get_args

from reidlib.app import options

FLAG = "--tyro-print-completion"
_SPEC = "COMPLETION_SPEC = "  # the table in tyro's script: what may follow what
# A name behind a command is entered as a command of its own, with the same options. No double quotes and no dollars: a
# shell would read them.
_ADDED = """\
for _command, _names in {names!r}.items():
    _spec = COMPLETION_SPEC['subcommands'][_command]
    _spec['subcommands'] = {{name: dict(_spec, description=name, subcommands={{}}) for name in _names}}
"""


def names() -> dict[str, list[str]]:
    """Command → what may stand behind it."""
    datasets, methods, studies = options.dataset_names(), options.method_names(), options.study_names()
    listed = list(get_args(options.Listed))
    return {"train": methods, "sweep": studies, "check": datasets, "twin": datasets, "list": listed}


def printed(parse: Callable[[], object]) -> str:
    """The script that ``parse`` prints before it ends the process, with names."""
    with redirect_stdout(io.StringIO()) as script:
        try:
            parse()
        except SystemExit as ended:
            if ended.code:
                raise
    lines = script.getvalue().splitlines(keepends=True)
    table = next(number for number, line in enumerate(lines) if line.startswith(_SPEC))
    return "".join([*lines[: table + 1], _ADDED.format(names=names()), *lines[table + 1 :]])
