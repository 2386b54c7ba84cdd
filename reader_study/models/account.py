"""Who takes part: users, and their roles in each study."""

from typing import Self

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac

from reader_study.models.study import Study


class User(AbstractUser):
    """An account; a superuser is an administrator. Everything else is a role in a study."""

    @property
    def browser_key(self) -> str:
        """The name under which a browser keeps what this user has not saved; tells nobody who."""
        return salted_hmac("reader_study.browser_key", str(self.pk)).hexdigest()[:16]


class Role(models.TextChoices):
    """What a member of a study does in it."""

    READER = "reader"
    COORDINATOR = "coordinator"
    INVESTIGATOR = "investigator"
    TRUTH_PANEL = "truth_panel"


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Memberships by role."""

    def readers(self) -> Self:
        """Keep those who read."""
        return self.filter(role=Role.READER)


class Membership(models.Model):
    """A user's one role in a study; a reader's pseudonym stands for them in every export."""

    study = models.ForeignKey(Study, models.PROTECT, related_name="members")
    user = models.ForeignKey(User, models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    pseudonym = models.CharField(max_length=32)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["pseudonym"]
        constraints = [
            models.UniqueConstraint(fields=["study", "user"], name="one_role_a_study"),
            models.UniqueConstraint(fields=["study", "pseudonym"], name="one_member_a_pseudonym"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="a_known_role"),
        ]

    def __str__(self) -> str:
        return self.pseudonym
