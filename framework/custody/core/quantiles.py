"""Quantiles of the distributions that limits are made from. Pure; no foreign library.

Closed forms. Student's is good to five digits; chi-square's is too great where the tail is thin, so that limits err on
the quiet side: by 2 % for nine degrees of freedom and a tail of a millionth, by 15 % for one degree.
"""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def normal(tail: float) -> float:
    """Return what a standard normal variable exceeds with the probability `tail`."""
    return -_NORMAL.inv_cdf(tail)


def chi_square(tail: float, degrees: int) -> float:
    """Return what a chi-square variable exceeds with the probability `tail` (Wilson and Hilferty, 1931)."""
    part = 2 / (9 * degrees)
    return degrees * max(0.0, 1 - part + normal(tail) * math.sqrt(part)) ** 3


def student(tail: float, degrees: int) -> float:
    """Return what a variable of Student's t exceeds with the probability `tail` < 0.5 (Hill, 1970, algorithm 396)."""
    if degrees == 1:
        return 1 / math.tan(tail * math.pi)
    if degrees == 2:  # noqa: PLR2004
        return math.sqrt(2 / (2 * tail * (2 - 2 * tail)) - 2)
    a = 1 / (degrees - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * degrees
    y = (d * 2 * tail) ** (2 / degrees)
    if y > 0.05 + a:
        x = -normal(tail)
        y = x * x
        c += 0.3 * (degrees - 4.5) * (x + 0.6) if degrees < 5 else 0.0  # noqa: PLR2004
        c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        inner = (degrees + 6) / (degrees * y) - 0.089 * d - 0.822
        y = ((1 / (inner * (degrees + 2) * 3) + 0.5 / (degrees + 4)) * y - 1) * (degrees + 1) / (degrees + 2) + 1 / y
    return math.sqrt(degrees * y)
