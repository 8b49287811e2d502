"""Smooth random fields, made in the frequency domain."""

from __future__ import annotations

import numpy as np

from riskmap.demo.ground import Floats, Grid


def smooth_noise(
    random: np.random.Generator, grid: Grid, longest_m: float, shortest_m: float, fall: float = 1.6
) -> Floats:
    """Return a field of mean 0 and deviation 1 with wavelengths between the two given.

    Parameters
    ----------
    fall
        How fast the amplitude falls with the frequency: 1 is rough, 2 is rolling.
    """
    # Wrapping around is left in: opposite edges of the box are never seen side by side.
    white = random.standard_normal((grid.rows, grid.columns))
    spectrum = np.fft.rfft2(white)
    across = np.fft.rfftfreq(grid.columns, grid.cell_m)
    up = np.fft.fftfreq(grid.rows, grid.cell_m)
    frequency = np.hypot(up[:, None], across[None, :])
    frequency[0, 0] = 1.0
    # The band's ends fall off softly; a hard cut would ring.
    low, high = 1 / longest_m, 1 / shortest_m
    amplitude = frequency**-fall / (1 + (low / frequency) ** 6) / (1 + (frequency / high) ** 6)
    amplitude[0, 0] = 0.0
    field: Floats = np.fft.irfft2(spectrum * amplitude, s=white.shape)
    scaled: Floats = (field - field.mean()) / field.std()
    return scaled


def ridges(random: np.random.Generator, grid: Grid, longest_m: float, shortest_m: float) -> Floats:
    """Return a field from 0 to 1 with sharp crests and wide valleys, as weather leaves hills."""
    field = np.zeros((grid.rows, grid.columns))
    weight, total = 1.0, 0.0
    wave = longest_m
    while wave >= shortest_m:
        crest = np.clip(1 - np.abs(smooth_noise(random, grid, wave, wave / 3)) / 1.6, 0, 1)
        field += weight * crest**1.5
        total += weight
        weight *= 0.5
        wave /= 2.2
    return field / total


def box_mean(field: Floats, radius: int) -> Floats:
    """Return the mean of the square of `2 * radius + 1` cells around each cell."""
    padded = np.pad(field, radius + 1, mode="edge")
    sums = padded.cumsum(0).cumsum(1)
    width = 2 * radius + 1
    whole = sums[width:, width:] - sums[:-width, width:] - sums[width:, :-width]
    whole = whole + sums[:-width, :-width]
    mean: Floats = whole[: field.shape[0], : field.shape[1]] / width**2
    return mean
