"""The grain of a CT image and the unevenness of tissue."""

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

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


def unevenness(rng: np.random.Generator, shape: tuple[int, int, int], coarse: int) -> Floats:
    """Return a smooth random field of about unit deviation with features of `coarse` voxels.

    Linear interpolation of a coarse field, one matrix product an axis.
    """
    field: Floats = rng.standard_normal([-(-n // coarse) + 2 for n in shape], dtype=np.float32)
    for axis, n in enumerate(shape):
        place = np.arange(n) / coarse + rng.random()
        low = place.astype(int)
        weights = np.zeros((n, field.shape[axis]), np.float32)
        weights[np.arange(n), low] = 1 - (place - low)
        weights[np.arange(n), low + 1] = place - low
        field = np.moveaxis(np.tensordot(weights, field, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(field) * np.float32(1.6)
