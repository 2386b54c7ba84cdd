"""Readings -> files of other programs: iMRMC, RJafroc, MRMCaov, OR-DBM MRMC, R, Parquet.

Each was written from the description of the format. A file of readings is gone through row by
row; what is kept of it are its names, and a bit a reading.
"""
