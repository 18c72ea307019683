"""Which bytes a dataset's files hold: digests that are computed once for every state of a file."""

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from .checksums import file_digest, sealed, unsealed
from .errors import DataError
from .files import atomic_write
from .names import safe_text

SETTLED = 2.0
"""Seconds without a change after which size and times stand for the content of a file. Some file
systems note times that coarsely.
"""

State = tuple[int, int, int]
"""Size, and times of the last change of content and of anything else, in nanoseconds."""


def state_of(path: Path) -> State | None:
    """The state of a file; None where there is no regular one."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (
        (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if stat.S_ISREG(found.st_mode)
        else None
    )


class Sources:
    """Digests of all files of a dataset. They are kept in the cache with each file's state, so that
    files that did not change are not read again.

    Args:
        dataset: As opened by `open_dataset`.
        cache: Folder of the cache.
    """

    def __init__(self, dataset, cache: Path):
        files = [path for i in range(len(dataset)) for path in dataset.files(i)]
        index = cache / ".sources" / f"{_index_name(dataset, files)}.json"
        kept = _kept(index)
        self.found = {path: kept.get(os.path.abspath(path)) for path in files}
        unread = [
            path for path, one in self.found.items() if one is None or one[0] != state_of(path)
        ]
        with ThreadPoolExecutor() as pool:
            self.found |= zip(unread, pool.map(_read, unread))
        if unread:
            _keep(index, self.found)

    def digest(self, path: Path) -> str:
        """BLAKE2b of a file's content, or why it cannot be read."""
        return self.found[path][1]

    def hold(self, path: Path, state: State | None) -> bool:
        """Whether a file that had this state when it was decoded held what was digested."""
        if state == self.found[path][0] and _is_settled(state):
            return True
        return _read(path) == (state, self.digest(path))


def _index_name(dataset, files: list[Path]) -> str:
    folders = sorted({os.path.abspath(path.parent) for path in files})
    common = os.path.commonprefix(folders) if folders else ""
    return safe_text(f"{dataset.name}-{dataset.split}-{common}")


def _kept(index: Path) -> dict[str, tuple[State, str]]:
    try:
        kept = unsealed(index.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {path: (tuple(state), digest) for path, (state, digest) in kept.items()}


def _keep(index: Path, found: dict[Path, tuple[State | None, str]]) -> None:
    settled = {os.path.abspath(path): one for path, one in found.items() if _is_settled(one[0])}
    with suppress(DataError), atomic_write(index) as temporary:
        temporary.write_text(sealed(settled), encoding="utf-8")


def _read(path: Path) -> tuple[State | None, str]:
    """A file's state and digest, both of the same content unless it keeps changing."""
    for _ in range(3):
        state = state_of(path)
        try:
            if state is None and path.exists():
                return None, "is no regular file"
            digest = file_digest(path)
        except OSError as error:
            return None, str(error.strerror)
        if state == state_of(path):
            break
    return state, digest


def _is_settled(state: State | None) -> bool:
    return state is not None and max(state[1:]) / 1e9 < time.time() - SETTLED
