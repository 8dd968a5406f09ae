"""What is started by name: the command line, the runner of notebooks, committed figures, the front page."""

from reidlib import submodules

__getattr__ = submodules(__name__)
