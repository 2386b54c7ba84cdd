"""What a user is told when starting fails."""

import errno
from pathlib import Path


class LaunchProblem(Exception):
    """Something outside the program stops it; the text is one sentence for its user."""


def from_os_error(error: OSError, doing: str, path: Path) -> LaunchProblem:
    """Say in one sentence why the system refused `doing`, and what would help."""
    reason = {
        errno.ENOSPC: f"the disk that holds {path} is full: free some space and start again",
        errno.EDQUOT: f"your disk quota for {path} is used up: free some space and start again",
        errno.EROFS: f"{path} is on a file system that cannot be written to",
        errno.EACCES: f"you may not write to {path}: use a folder of your own",
        errno.EPERM: f"you may not write to {path}: use a folder of your own",
    }.get(error.errno or 0, f"{path}: {error.strerror or error}")
    return LaunchProblem(f"{doing} failed: {reason}")
