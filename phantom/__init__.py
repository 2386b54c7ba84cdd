"""Chest CT that is drawn, with nodules whose truth is known.

Everything is made from seeds: the same seed gives the same bytes with the same libraries.
"""

from phantom.case import Case, PlacedNodule, Volume, demo_cases, earlier_examination, volume
from phantom.dicom import write_case, write_nodules_csv
from phantom.grid import Grid
from phantom.nodule import FEATURES, Nodule, chance_of_malignancy, random_nodule
from phantom.sample import NoduleSample, nodule_cube

__all__ = [
    "FEATURES",
    "Case",
    "Grid",
    "Nodule",
    "NoduleSample",
    "PlacedNodule",
    "Volume",
    "chance_of_malignancy",
    "demo_cases",
    "earlier_examination",
    "nodule_cube",
    "random_nodule",
    "volume",
    "write_case",
    "write_nodules_csv",
]
