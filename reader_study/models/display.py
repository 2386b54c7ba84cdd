"""How a reader likes the reading room, and what their display was found to be."""

from django.db import models

from reader_study.models.account import Membership, User


class ReaderPreferences(models.Model):
    """What a reader has set in the reading room, for all studies: `domain.images.Preferences`."""

    user = models.OneToOneField(User, models.PROTECT, related_name="preferences")
    values = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "reader preferences"

    def __str__(self) -> str:
        return f"preferences of user {self.user_id}"


class DisplayCheck(models.Model):
    """What a reader's display was found to be before a session.

    `found` has the fields of `domain.display.Display`, `problems` what the protocol's limits
    say to it. Database triggers refuse every change and append each to its study's chain.
    """

    reader = models.ForeignKey(Membership, models.PROTECT, related_name="display_checks")
    session = models.PositiveSmallIntegerField(null=True, help_text="The session it was made for.")
    found = models.JSONField()
    problems = models.JSONField(default=list)
    passed = models.BooleanField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"display check of reader {self.reader_id}"
