#!/usr/bin/env python
"""Administrative commands of the site."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "reader_study.settings")
    os.environ["MANAGE"] = "on"
    execute_from_command_line(sys.argv)
