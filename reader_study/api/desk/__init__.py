"""The desk's API, version 1: all that its pages do, for programs."""
