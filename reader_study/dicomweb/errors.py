"""What can go wrong with an archive, in sentences a coordinator can act on."""


class ArchiveError(Exception):
    """Something an archive could not do; the text says what, where and what to do."""


class ArchiveUnavailable(ArchiveError):
    """The archive does not answer, or refuses us; asking again later may help."""


class NotInArchive(ArchiveError):
    """The archive answers and has no such study, series, instance or frame."""


class BadSearch(ArchiveError):
    """A search that cannot be carried out as it was asked."""


class CannotStore(ArchiveError):
    """A series that could not be stored; nothing of it was kept."""


class StoredOtherwise(CannotStore):
    """The archive already holds this series, with other slices or other pixels."""


class UndecodablePixels(Exception):
    """The pixels of a file cannot be turned into numbers."""
