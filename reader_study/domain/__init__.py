"""The rules of a study, in plain Python."""
