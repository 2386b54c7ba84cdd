"""By what programs call the API for somebody."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class Scope(models.TextChoices):
    """What a token may be used for; its owner's roles limit it further."""

    READ = "read", "look at studies: their state, people, cases and progress"
    EXPORT = "export", "download what was recorded, and results after the lock"
    MANAGE = "manage", "set studies up and conduct them"
    IMPORT = "import", "bring cases and nodules in, change them and take them out"
    TRUTH = "truth", "load what is known of nodules, and read for the truth panel"
    SERVICE = "service", "read the image archive by DICOMweb, as the inference worker does"


class PersonalToken(models.Model):
    """A word that stands for its owner at the desk's API, and never at a reading.

    The word itself is stored nowhere: `digest` is its SHA-256, which is enough for a word of
    256 random bits. A token is revoked and not deleted, since the access log names it.
    `calls` counts those of `minute`, so that every process sees the same limit.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    minute = models.DateTimeField(null=True)
    calls = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="a_token_has_a_name"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="a_token_ends_after_it_begins"
            ),
        ]

    def __str__(self) -> str:
        return self.name
