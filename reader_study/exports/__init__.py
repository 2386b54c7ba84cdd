"""Rows -> files that others read."""
