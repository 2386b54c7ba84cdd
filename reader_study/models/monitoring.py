"""What the site's worker notes down for whoever watches: derived, and made again at any time."""

from django.db import models

from reader_study.models.reading import Reading


class ReadingPace(models.Model):
    """How one submitted reading went, taken from its events and its last answer.

    Nothing is analysed from here: it is the desk's view, and the exports derive their own. It
    holds for the submission at `submitted_at`; a reading that was reopened since is taken anew.
    `ratings_hash` is empty where nothing was rated, and `same_in_a_row` counts how many
    readings of the reader have ended with it, one after the other.
    """

    reading = models.OneToOneField(Reading, models.PROTECT, primary_key=True, related_name="pace")
    submitted_at = models.DateTimeField()
    active_s = models.FloatField()
    longest_pause_s = models.FloatField()
    ratings_hash = models.CharField(max_length=64, blank=True)
    same_in_a_row = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"pace of reading {self.reading_id}"


class BackupMade(models.Model):
    """That a backup of the whole site was made; what is restored from one does not know of it."""

    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "backups made"

    def __str__(self) -> str:
        return f"backup of {self.at:%Y-%m-%d}"
