"""The one Django application of the site."""

from importlib import import_module

from django.apps import AppConfig


class ReaderStudyConfig(AppConfig):
    """Loads every table, the truth's among them."""

    name = "reader_study"
    verbose_name = "Reread"

    def import_models(self) -> None:
        """Load the tables; `models/__init__.py` leaves the truth's out on purpose."""
        super().import_models()
        import_module("reader_study.models.reference")
