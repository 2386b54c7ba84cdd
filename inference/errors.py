"""What can go wrong in words a coordinator can act on."""


class PredictionImpossible(Exception):
    """A prediction that no repetition would bring about; becomes a "failed" result.

    `code` is stable and compared by programs; `detail` is one sentence for people.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class ArchiveUnavailable(Exception):
    """The archive does not answer at present; trying again later may help."""


class ModelUnusable(PredictionImpossible):
    """A model folder that is missing, incomplete or contradicts itself."""

    def __init__(self, detail: str) -> None:
        super().__init__("model_unusable", detail)


class DataUnusable(Exception):
    """Nodules to train or measure with that are missing or not as described."""
