"""A folder of bounded size for what can be had again: `<key>/<name>`, a key forgotten as a whole.

Files appear whole under their names and never change. When there are too many bytes, the keys
that were not used for longest go. Safe for several threads and processes, and for others that
only read, such as nginx.
"""

import fcntl
import os
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

_USED: Final = ".used"
_NOTED_EVERY_S: Final = 60.0
# Whoever was told a moment ago that a file is there shall still find it.
_KEPT_AT_LEAST_S: Final = 600.0
_LOOKED_AT_EVERY: Final = 256 << 20  # bytes put in
_ROOM_MADE: Final = 0.9


class Shelf:
    """What was fetched or unpacked and may be needed again, up to `most_bytes`."""

    def __init__(self, root: Path, most_bytes: float) -> None:
        self.root = root
        self.most_bytes = most_bytes
        self._put = 0

    def place(self, key: str, name: str) -> Path:
        """Return where a file is, or would be."""
        return self.root / key / name

    def put(self, key: str, name: str, content: bytes) -> Path:
        """Keep a file; one that is there already stays."""
        target = self.place(key, name)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            incoming = target.with_name(f".{uuid.uuid4().hex}")
            incoming.write_bytes(content)
            incoming.rename(target)
            self._put += len(content)
        self.use(key)
        if self._put > min(_LOOKED_AT_EVERY, self.most_bytes / 10):
            self._put = 0
            self.make_room()
        return target

    def use(self, key: str) -> None:
        """Note that the files of a key are being used."""
        noted = self.root / key / _USED
        with suppress(OSError):
            if time.time() - _used_at(noted.parent) > _NOTED_EVERY_S:
                noted.touch()

    def make_room(self) -> int:
        """Forget what was not used for longest, if there is too much; return the bytes freed."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0  # another process is at it
            keys = sorted(
                (_used_at(folder), _size(folder), folder) for folder in _folders(self.root)
            )
            held = sum(size for _, size, _ in keys)
            freed = 0
            if held > self.most_bytes:
                for used, size, folder in keys:
                    enough = held - freed <= self.most_bytes * _ROOM_MADE
                    if enough or time.time() - used < _KEPT_AT_LEAST_S:
                        break
                    leaving = self.root / f".{uuid.uuid4().hex}"
                    folder.rename(leaving)
                    shutil.rmtree(leaving, ignore_errors=True)
                    freed += size
            return freed


def _folders(root: Path) -> list[Path]:
    """Return the folders of keys, which may be nested: those that hold files."""
    found = []
    for folder, within, files in os.walk(root):
        within[:] = [name for name in within if not name.startswith(".")]
        if files and Path(folder) != root:
            found.append(Path(folder))
            within.clear()
    return found


def _size(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())


def _used_at(folder: Path) -> float:
    try:
        return (folder / _USED).stat().st_mtime
    except FileNotFoundError:
        return 0.0
