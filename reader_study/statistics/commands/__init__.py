"""The commands of the command line: from files to a result with the files' own names."""
