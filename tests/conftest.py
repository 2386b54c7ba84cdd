"""What all tests share."""

from tests.images import lidc, lidc_archive, nema, orthanc, unpack

__all__ = ["lidc", "lidc_archive", "nema", "orthanc", "unpack"]
