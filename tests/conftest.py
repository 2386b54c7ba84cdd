"""What all tests share."""

from tests.images import lidc, nema, orthanc, unpack

__all__ = ["lidc", "nema", "orthanc", "unpack"]
