"""Is a folder there? What is not there, or cannot be looked at, has a name and a reason."""

import errno
import logging
import os
from pathlib import Path

_logger = logging.getLogger("reidlib")
_ABSENT = (errno.ENOENT, errno.ENOTDIR)


def require_folder(folder: str | Path, remedy: str, what: str = "the folder of a data set") -> Path:
    """The absolute path of a folder that is there and can be listed.

    Raises:
        FileNotFoundError: there is none; where a link on the way leads nowhere, the message names it and its target.
        NotADirectoryError: it is a file.
        OSError: it cannot be looked at: no permission, or a drive that has gone. The message names the reason.
    """
    folder = Path(folder).expanduser()
    _refuse_dangling(folder)
    try:
        os.stat(folder)
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is a file, not {what} (unpack archives first). {remedy}")
        with os.scandir(folder):
            return folder.absolute()
    except OSError as error:
        if not error.filename:  # has its message already
            raise
        if error.errno in _ABSENT:
            raise FileNotFoundError(f"there is no folder {folder}. {remedy}") from None
        raise _unseen(folder, error) from error


def holds(folder: Path) -> bool:
    """Whether there is something at ``folder``, a place in ``$REIDLIB_DATA``, be it a link that leads nowhere.

    Raises:
        OSError: ``$REIDLIB_DATA`` is no folder, or cannot be looked at. (One that is empty is warned of.)
    """
    home = folder.parent
    try:
        _refuse_dangling(home)
        names = os.listdir(home)
    except OSError as error:
        if error.errno in _ABSENT or not error.filename:
            reason = "there is no such folder" if error.filename else str(error)
            raise FileNotFoundError(f"REIDLIB_DATA is set to {home}, and {reason}; correct or unset it") from None
        raise _unseen(home, error) from error
    if not names:
        _logger.warning("REIDLIB_DATA is set to %s, an empty folder: is the drive mounted?", home)
    try:
        os.lstat(folder)
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise _unseen(folder, error) from error
    return True


def _refuse_dangling(folder: Path) -> None:
    """Raise ``FileNotFoundError`` if the folder, or one above it, is a link to something that is not there."""
    for place in (*reversed(folder.absolute().parents), folder):
        if place.is_symlink() and not os.path.exists(place):
            try:
                os.stat(place)
            except OSError as error:
                if error.errno not in (*_ABSENT, errno.ELOOP):  # a drive that has gone, or no permission
                    raise _unseen(place, error) from error
            target = os.readlink(place)
            gone = f"{place} is a link to {target}, which is not there"
            raise FileNotFoundError(f"{gone}; mount the drive or mend the link")


def _unseen(folder: Path, error: OSError) -> OSError:
    reason = error.strerror or str(error)
    return type(error)(
        f"{folder} cannot be looked at ({reason}); mount the drive again, or ask for permission to read there"
    )
