"""Draw committed figures again, without training: ``python -m reidlib.app.figures [NAME …]`` or ``make figures``.

Beside every PNG in ``figures/`` lies a JSON that names the function, its arguments and the table that it was drawn
from (`reidlib.plots.save`). Photographs are never stored apart: those of a synthetic twin are rendered anew, only the
ones that the figure shows; those of a licensed data set are read from its tree below ``$REIDLIB_DATA``.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reidlib import paths

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reidlib.plots.drawing import Origin

FOLDER = Path(__file__).resolve().parent.parent.parent / "figures"


def names(folder: Path = FOLDER) -> list[str]:
    """The figures in a folder, by name.

    Raises:
        FileNotFoundError: the folder is not there; a plain installation has none, only a clone does.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: committed figures come with a clone of the repository")
    return sorted(path.stem for path in folder.glob("*.png"))


def redraw(name: str, folder: Path = FOLDER) -> "Figure":
    """Draw the figure called ``name`` again, from the JSON and the CSV in ``folder``.

    Raises:
        FileNotFoundError: the folder does not hold what the figure was drawn from, or a licensed tree is missing.
        ValueError: a file is damaged, or the figure shows another version of a twin than this code renders.
        TypeError: the function does not take the arguments in the JSON.
    """
    from reidlib.plots import drawing, use_style

    use_style()
    origin = drawing.read_origin(name, folder)
    figure = _drawn(origin)
    figure.origin = replace(figure.origin, dpi=origin.dpi)
    return figure


def _drawn(origin: "Origin") -> "Figure":
    from reidlib.plots import drawing, photos

    draw = drawing.drawings()[origin.function]
    options = dict(origin.arguments) if origin.table is None else {"table": origin.table, **origin.arguments}
    if origin.photos is None:
        return draw(**options)
    if origin.photos["twin"] is None:
        return draw(dataset=photos.on_disk(origin.photos), **options)
    with tempfile.TemporaryDirectory() as root:
        wanted = origin.table["path"]
        return draw(dataset=photos.rendered(origin.photos, wanted, Path(root)), **options)


def redraw_all(chosen: Sequence[str] | None = None, folder: Path = FOLDER) -> list[Path]:
    """Redraw figures (default: all of ``folder``) into ``figures/`` of the build folder, one line each; their paths.

    Raises:
        ValueError: an unknown name, before anything is drawn (the message lists the known ones).
    """
    import matplotlib.pyplot as plt

    from reidlib.plots import save

    known = names(folder)
    if unknown := [name for name in chosen or () if name not in known]:
        raise ValueError(f"unknown figure {unknown[0]!r}; choose from: {', '.join(known)}")
    written = []
    for name in chosen or known:
        start = time.perf_counter()
        figure = redraw(name, folder)
        written.append(save(figure, name))
        plt.close(figure)
        print(f"{written[-1].relative_to(paths.build_folder())!s:<44}{time.perf_counter() - start:7.1f} s", flush=True)
    return written


def main(chosen: Sequence[str] | None = None) -> None:
    """The command line; ends with exit status 1 and the reason on stderr if something failed."""
    try:
        redraw_all(chosen)
    except (OSError, TypeError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
