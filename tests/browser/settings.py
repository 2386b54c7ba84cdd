"""The site's settings for a server of its own, which finds the built front end uncollected."""

from reader_study.settings import *  # noqa: F403

WHITENOISE_USE_FINDERS = True
