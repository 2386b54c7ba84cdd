"""Planes of nodules, kept by what they were made from.

A key is the hash of the series' Hounsfield units and their place in the patient, the nodule's
position, and the code and settings that cut the planes. So nothing is ever out of date: what
changes gets another key. Several processes may read and write one folder; a file appears whole
or not at all. When the folder holds more than its limit, what was not used longest goes first.
"""

import contextlib
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference import preprocess, resampling
from inference.nodules import STORED_WIDTH

PLANES = (len(preprocess.SLICINGS), STORED_WIDTH, STORED_WIDTH)
LIMIT_BYTES = 20 * 1024**3  # half a million nodules
AFTER = 0.9  # of the limit is left once room is made
ABANDONED_S = 3600.0  # a file that is still incomplete then was left by a process that died
LOOK_EVERY = 0.02  # of the limit may be written before the folder is counted again

Planes = NDArray[np.uint8]


def settings_hash() -> str:
    """Return the hash of what cuts planes: sizes, window, and the code itself."""
    settings = (resampling.CUBE, PLANES, preprocess.LOWEST_HU, preprocess.HIGHEST_HU)
    digest = hashlib.sha256(repr(settings).encode())
    for module in (preprocess, resampling):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


class CropCache:
    """Planes (9, 64, 64) by key, in a folder of bounded size."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._settings = settings_hash()
        self._written = limit_bytes  # so that the first write counts what is there
        (folder / "contents").mkdir(parents=True, exist_ok=True)

    def key(self, content: str, point_mm: tuple[float, float, float]) -> str:
        """Return the key of a nodule at a point in a series of this content hash."""
        place = ",".join(f"{value:.4f}" for value in point_mm)
        return hashlib.sha256(f"{content} {place} {self._settings}".encode()).hexdigest()

    def planes(self, key: str, make: Callable[[], Planes]) -> Planes:
        """Return what is kept, or make it and keep it."""
        path = self.folder / key[:2] / f"{key}.npy"
        kept = self._read(path)
        if kept is not None:
            return kept
        made = make()
        if made.shape != PLANES or made.dtype != np.uint8:
            raise ValueError(f"planes are {made.dtype} {made.shape}, not uint8 {PLANES}")
        path.parent.mkdir(exist_ok=True)
        with _whole(path) as part:
            np.save(part, made, allow_pickle=False)
        self._make_room(made.nbytes)
        return made

    def content_of(self, fingerprint: str | None, compute: Callable[[], str]) -> str:
        """Return the content hash of a series, read again only when its files have changed."""
        if fingerprint is None:
            return compute()
        name = hashlib.sha256(fingerprint.encode()).hexdigest()
        path = self.folder / "contents" / name
        with contextlib.suppress(OSError):
            kept = path.read_text()
            if len(kept) == 64:
                return kept
        content = compute()
        with _whole(path) as part:
            part.write_text(content)
        return content

    def _read(self, path: Path) -> Planes | None:
        """Return the planes in a file; None where there is none, or it is damaged."""
        try:
            kept: Planes = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if kept.shape != PLANES or kept.dtype != np.uint8:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # what was used lately is kept longest
        return kept

    def _make_room(self, written: int) -> None:
        self._written += written
        if self._written < self.limit_bytes * LOOK_EVERY:
            return
        self._written = 0
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another process makes room just now
            self._throw_away()

    def _throw_away(self) -> None:
        found = []
        for path in self.folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                if path.name.startswith("."):
                    if time.time() - state.st_mtime > ABANDONED_S:
                        path.unlink()
                elif path.suffix == ".npy":
                    found.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in found)
        if total <= self.limit_bytes:
            return
        for _, size, path in sorted(found):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            total -= size
            if total <= self.limit_bytes * AFTER:
                break


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a file to write, which then takes its place at once, or leaves nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
