"""The client: one method for each thing a program does at a desk."""

from reread_client.cases import Cases
from reread_client.conduct import Conduct
from reread_client.studies import Studies
from reread_client.truth import Truth


class Client(Studies, Cases, Truth, Conduct):
    """Speaks to the desk of the site at `url` with a personal access token."""
