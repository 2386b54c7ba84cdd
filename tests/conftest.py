"""What all tests share."""

from tests.images import lidc, nema, orthanc

__all__ = ["lidc", "nema", "orthanc"]
