"""Estimates from arrays: plain Python on numpy and scipy, without tables and without Django.

`python -m reader_study.statistics --help` runs them on CSV files.
"""
