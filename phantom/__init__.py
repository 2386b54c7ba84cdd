"""Chest CT that is drawn, with nodules whose truth is known.

Everything is made from seeds: the same seed gives the same bytes with the same libraries.
"""

from phantom.nodule import FEATURES, Nodule, chance_of_malignancy, random_nodule
from phantom.sample import NoduleSample, nodule_cube

__all__ = [
    "FEATURES",
    "Nodule",
    "NoduleSample",
    "chance_of_malignancy",
    "nodule_cube",
    "random_nodule",
]
