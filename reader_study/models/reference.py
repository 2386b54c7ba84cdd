"""The truth. Imported by those who load it or measure with it, and by nobody else."""

from uuid import uuid4

from django.db import models
from django.db.models import Q

from reader_study.domain.panel_form import VERDICTS
from reader_study.models.account import Membership
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


class PanelRead(models.Model):
    """What one member of the truth panel says of a nodule, without AI and without the others.

    `answers` are those to the other questions of the protocol's form. The web server writes it
    and cannot read it. A database trigger refuses every change.
    """

    nodule = models.ForeignKey(Nodule, models.PROTECT, related_name="+")
    member = models.ForeignKey(Membership, models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=16)
    confidence = models.PositiveSmallIntegerField(null=True, help_text="0 to 100; null: not asked.")
    note = models.CharField(max_length=1000, blank=True)
    answers = models.JSONField(default=dict)
    at = models.DateTimeField()
    nonce = models.UUIDField(default=uuid4, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["nodule", "member"], name="a_panel_read_once"),
            models.CheckConstraint(condition=Q(verdict__in=VERDICTS), name="a_known_verdict"),
            models.CheckConstraint(condition=Q(confidence__lte=100), name="a_confidence"),
        ]

    def __str__(self) -> str:
        return f"panel read of nodule {self.nodule_id}"


class PanelDecision(models.Model):
    """What a nodule is, where the panel's reads did not agree, and why.

    The web server writes it and cannot read it. A database trigger refuses every change.
    """

    nodule = models.OneToOneField(Nodule, models.PROTECT, related_name="+")
    member = models.ForeignKey(Membership, models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=16)
    note = models.CharField(max_length=1000)
    answers = models.JSONField(default=dict)
    at = models.DateTimeField()
    nonce = models.UUIDField(default=uuid4, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(verdict__in=VERDICTS), name="decided_as_known"),
            models.CheckConstraint(condition=~Q(note=""), name="decided_with_a_note"),
        ]

    def __str__(self) -> str:
        return f"panel decision on nodule {self.nodule_id}"
