"""What can be wrong with a file, a series or a nodule that is to come in, and what follows."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What follows from a problem."""

    SETS_ASIDE = "set aside"  # this file is left out, its series is judged without it
    REFUSES = "refused"  # the series, or the nodule, is not imported
    WARNS = "warning"  # it is imported


# Every problem there is, and what follows from it.
VERDICTS = {
    # of a file
    "not_dicom": Verdict.SETS_ASIDE,
    "unreadable_file": Verdict.SETS_ASIDE,
    "too_large": Verdict.SETS_ASIDE,
    "other_modality": Verdict.SETS_ASIDE,
    "localizer": Verdict.SETS_ASIDE,
    "same_file_twice": Verdict.SETS_ASIDE,
    "bad_uid": Verdict.SETS_ASIDE,
    # of a series
    "undecodable_pixels": Verdict.REFUSES,
    "unsupported_image": Verdict.REFUSES,
    "burned_in": Verdict.REFUSES,
    "no_place": Verdict.REFUSES,
    "no_hounsfield": Verdict.REFUSES,
    "mixed_studies": Verdict.REFUSES,
    "mixed_size": Verdict.REFUSES,
    "mixed_orientation": Verdict.REFUSES,
    "mixed_frames": Verdict.REFUSES,
    "duplicate_uid": Verdict.REFUSES,
    "duplicate_slice": Verdict.REFUSES,
    "shifted_slices": Verdict.REFUSES,
    "missing_slices": Verdict.WARNS,
    "irregular_spacing": Verdict.WARNS,
    "tilted_gantry": Verdict.WARNS,
    "few_slices": Verdict.WARNS,
    "no_frame_of_reference": Verdict.WARNS,
    "not_axial": Verdict.WARNS,
    "lossy": Verdict.WARNS,
    "thick_slices": Verdict.WARNS,
    "covers_little": Verdict.WARNS,
    # of a nodule
    "bad_number": Verdict.REFUSES,
    "bad_reference": Verdict.REFUSES,
    "bad_label": Verdict.REFUSES,
    "duplicate_label": Verdict.REFUSES,
    "unknown_series": Verdict.REFUSES,
    "unknown_study": Verdict.REFUSES,
    "series_refused": Verdict.REFUSES,
    "nodule_outside_volume": Verdict.REFUSES,
    "imported_otherwise": Verdict.REFUSES,
    "study_dealt_out": Verdict.REFUSES,
    # of a further series, of the same or of an earlier examination
    "nodule_in_prior": Verdict.REFUSES,
    "bad_days": Verdict.REFUSES,
    "unknown_examination": Verdict.REFUSES,
    "prior_is_a_case": Verdict.REFUSES,
    "prior_is_later": Verdict.REFUSES,
    "unknown_interval": Verdict.WARNS,
    "other_dates": Verdict.WARNS,
    "several_examinations": Verdict.WARNS,
    "nodule_near_edge": Verdict.WARNS,
    "nodule_in_gap": Verdict.WARNS,
    "other_patient": Verdict.WARNS,
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what, and (by its code) what follows."""

    code: str
    detail: str
    where: str = ""

    @property
    def verdict(self) -> Verdict:
        """What follows from it."""
        return VERDICTS[self.code]

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.detail}"


def counted(number: int, noun: str) -> str:
    """Return `1 slice`, `2 slices`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
