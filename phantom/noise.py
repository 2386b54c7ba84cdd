"""The grain of a CT image and the unevenness of tissue."""

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]


@lru_cache(maxsize=8)
def _transfer(rows: int, columns: int, spacing_mm: float) -> Floats:
    """Return the filter that turns white noise into the grain of filtered back projection.

    Its amplitude rises with frequency as the ramp does and is rolled off by a soft-tissue
    kernel. The scale is that of a 0.7 mm pixel, so that larger pixels get less noise.
    """
    f = np.hypot(
        scipy.fft.fftfreq(rows, spacing_mm)[:, None], scipy.fft.rfftfreq(columns, spacing_mm)
    )

    def shape(f: NDArray[np.float64]) -> NDArray[np.float64]:
        return (0.08 + np.sqrt(f)) * np.exp(-((f / 0.42) ** 2))

    reference = scipy.fft.fftfreq(256, 0.7)
    power = shape(np.hypot(reference[:, None], reference)) ** 2
    # Sum over the plane of frequencies, so that the same physical spectrum is seen at any pixel.
    unit = np.sqrt(power.mean() * (spacing_mm / 0.7) ** 2)
    return np.asarray(shape(f) / unit, np.float32)


def grain(
    rng: np.random.Generator, shape: tuple[int, ...], spacing_mm: float, deviation_hu: float
) -> Floats:
    """Return noise in HU, correlated within slices (the last two axes) and not between them."""
    white = rng.standard_normal(shape, dtype=np.float32)
    spectrum = scipy.fft.rfft2(white) * _transfer(shape[-2], shape[-1], spacing_mm)
    noise: Floats = scipy.fft.irfft2(spectrum, s=shape[-2:])
    noise *= deviation_hu
    return noise


class SmoothField:
    """A smooth random field of about unit deviation, made slice by slice.

    A coarse lattice of normal numbers under cubic B-splines: one sparse product an axis, which
    unlike a dense one does not depend on the number of threads.
    """

    def __init__(
        self, rng: np.random.Generator, shape: tuple[int, int, int], voxels: tuple[float, ...]
    ) -> None:
        """Draw the lattice; its points are `voxels` (z, y, x) apart in the field of `shape`."""
        ends = [int(np.ceil(n / step)) + 4 for n, step in zip(shape, voxels, strict=True)]
        self._lattice: Floats = rng.standard_normal(ends, dtype=np.float32)
        self._lattice *= np.float32(3.0)  # splines average; this gives the deviation back
        self._weights = [
            _spline_weights(n, end, step, float(rng.random()))
            for n, end, step in zip(shape, ends, voxels, strict=True)
        ]

    def slice(self, index: int) -> Floats:
        """Return one slice, (rows, columns)."""
        along, down, across = self._weights
        plane = _product(along[[index]], self._lattice, 0)
        return np.ascontiguousarray(_product(across, _product(down, plane, 1), 2)[0])

    def whole(self) -> Floats:
        """Return all slices."""
        field = self._lattice
        for axis, weights in enumerate(self._weights):
            field = _product(weights, field, axis)
        return np.ascontiguousarray(field)


def _product(weights: sparse.csr_array, field: Floats, axis: int) -> Floats:
    """Multiply one axis of a field by a matrix."""
    first = np.moveaxis(field, axis, 0)
    flat = weights @ np.ascontiguousarray(first).reshape(first.shape[0], -1)
    return np.moveaxis(np.asarray(flat).reshape(-1, *first.shape[1:]), 0, axis)


def _spline_weights(n: int, ends: int, step: float, shift: float) -> sparse.csr_array:
    """Return the (n, ends) matrix that smooths a lattice of `step` voxels."""
    place = np.arange(n) / step + shift
    low = np.floor(place).astype(int)
    weights = np.zeros((n, ends), np.float32)
    t = place - low
    taps = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    for tap, weight in enumerate(taps):
        weights[np.arange(n), low + tap] = weight / 6
    return sparse.csr_array(weights)


def unevenness(rng: np.random.Generator, shape: tuple[int, int, int], coarse: int) -> Floats:
    """Return a smooth random field of about unit deviation with features of `coarse` voxels."""
    return SmoothField(rng, shape, (coarse, coarse, coarse)).whole()
