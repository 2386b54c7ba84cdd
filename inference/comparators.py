"""Clinical models to hold a network against: from what is known of a patient to a risk.

McWilliams A et al. Probability of cancer in pulmonary nodules detected on first screening
CT. N Engl J Med 2013;369:910-919 (Brock or PanCan, full model with spiculation).
Swensen SJ et al. The probability of malignancy in solitary pulmonary nodules. Arch Intern
Med 1997;157:849-855 (Mayo).
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Consistency = Literal["solid", "part_solid", "ground_glass"]

_BROCK_CONSISTENCY = {"solid": 0.0, "part_solid": 0.377, "ground_glass": -0.1276}
MAYO_MM = (4.0, 30.0)  # the diameters the model was made from


def brock(
    *,
    age: float,
    female: bool,
    family_history: bool,
    emphysema: bool,
    diameter_mm: float,
    consistency: Consistency,
    upper_lobe: bool,
    nodules: int,
    spiculated: bool,
) -> float:
    """Return the risk that a nodule is cancer within two to four years, from 0 to 1.

    `family_history` is of lung cancer, `diameter_mm` the longest one, `nodules` how many
    the examination shows.

    Raises:
        ValueError: the diameter is not positive, there is no nodule, or the consistency is
            none of the three.
    """
    if not diameter_mm > 0 or not np.isfinite(diameter_mm):
        raise ValueError(f"a diameter of {diameter_mm} mm is not positive")
    if nodules < 1:
        raise ValueError(f"an examination with this nodule cannot show {nodules}")
    if consistency not in _BROCK_CONSISTENCY:
        raise ValueError(f"{consistency} is none of {', '.join(_BROCK_CONSISTENCY)}")
    logit = (
        -6.7892
        + 0.0287 * (age - 62)
        + 0.6011 * female
        + 0.2961 * family_history
        + 0.2953 * emphysema
        - 5.3854 * ((diameter_mm / 10) ** -0.5 - 1.58113883)
        + _BROCK_CONSISTENCY[consistency]
        + 0.6581 * upper_lobe
        - 0.0824 * (nodules - 4)
        + 0.7729 * spiculated
    )
    return float(special.expit(logit))


def mayo(
    *,
    age: float,
    ever_smoked: bool,
    extrathoracic_cancer: bool,
    diameter_mm: float,
    spiculated: bool,
    upper_lobe: bool,
) -> float:
    """Return the risk that a nodule is malignant, from 0 to 1.

    `extrathoracic_cancer` is one diagnosed more than five years ago; with a later one the
    model does not apply.

    Raises:
        ValueError: the diameter is not one of 4 to 30 mm.
    """
    smallest, greatest = MAYO_MM
    if not smallest <= diameter_mm <= greatest:
        raise ValueError(f"the Mayo model holds from 4 to 30 mm, not for {diameter_mm} mm")
    logit = (
        -6.8272
        + 0.0391 * age
        + 0.7917 * ever_smoked
        + 1.3388 * extrathoracic_cancer
        + 0.1274 * diameter_mm
        + 1.0407 * spiculated
        + 0.7838 * upper_lobe
    )
    return float(special.expit(logit))


def diameter_score(diameter_mm: ArrayLike) -> NDArray[np.float64]:
    """Return diameters as scores: the larger the more suspicious, and no probability.

    Raises:
        ValueError: one is missing, infinite or not positive.
    """
    scores = np.asarray(diameter_mm, dtype=np.float64)
    if not (np.isfinite(scores) & (scores > 0)).all():
        raise ValueError("every nodule needs a positive diameter")
    return scores
