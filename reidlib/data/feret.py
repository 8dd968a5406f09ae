"""File names of FERET's two distributions: grey, as the list of CUFSF writes them, and colour."""

import re
from collections.abc import Iterable

RENAME = (
    "unpack it if it is packed and give it the name in the list; then look at a few images: colour FERET is larger "
    "than grey FERET, and the points may be of that (data/README.md)"
)
_GREY = re.compile(r"([0-9]{5})([a-z]{2})[0-9]{3}[a-z]?_([0-9]{6})")  # identity, pose, flags, date
_COLOUR = re.compile(r"([0-9]{5})_([0-9]{6})_([a-z]{2})(?:_[a-z])?")  # identity, date, pose
_SUFFIXES = re.compile(r"(?:\.(?:jpg|jpeg|png|bmp|tif|tiff|ppm|pgm|bz2|gz|z|xz))+$", re.IGNORECASE)


def alike(names: Iterable[str], files: Iterable[str]) -> dict[str, str]:
    """Photo name as CUFSF lists it → the file that seems to be it: packed, or called as in colour FERET.

    A hint, no match: the colour photographs are larger than the grey ones, and the points may not fit.

    >>> alike(["00001fb010_930831"], ["00001_930831_fb.ppm.bz2"])
    {'00001fb010_930831': '00001_930831_fb.ppm.bz2'}
    """
    found: dict[str, str] = {}
    for file in sorted(files, reverse=True):
        stem = _SUFFIXES.sub("", file)
        found[stem.lower()] = file
        if match := _COLOUR.fullmatch(stem.lower()):
            person, date, pose = match.groups()
            found[person + pose + date] = file
    keys = {name: _GREY.fullmatch(name.lower()) for name in names}
    likely = {name: found.get(name.lower()) or (key and found.get("".join(key.groups()))) for name, key in keys.items()}
    return {name: file for name, file in likely.items() if file}
