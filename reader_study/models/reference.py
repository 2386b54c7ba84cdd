"""The truth. Imported by those who load it or measure with it, and by nobody else."""

from uuid import uuid4

from django.db import models

from reader_study.models.study import Nodule


class ReferenceStandard(models.Model):
    """Whether a nodule is malignant, and how that is known.

    No relation leads here from a nodule or a case. `detail` keeps what the source says
    besides, such as the scores of a panel. `nonce` is known to nobody who may not read this:
    the study's chain holds a hash of the row, and a truth of two values could be guessed.
    """

    nodule = models.OneToOneField(Nodule, models.PROTECT, related_name="+")
    malignant = models.BooleanField(null=True, help_text="Null: the source leaves it open.")
    source = models.CharField(max_length=200)
    detail = models.JSONField(default=dict)
    loaded_at = models.DateTimeField()
    nonce = models.UUIDField(default=uuid4, editable=False)

    def __str__(self) -> str:
        return f"reference standard of nodule {self.nodule_id}"
