"""Other systems that score a whole series, each in a Python environment of its own.

A system has an adapter: a script that the interpreter of that environment runs, and that imports
nothing of ours. What passes between the two are lines of JSON.

- The adapter begins with a line that says what it is, `{"system", "version", "weights"}`, or
  `{"error"}` where it cannot work, and ends then.
- It is sent `{"id", "files"}`, the paths of one CT series, and answers `{"id", "score"}`, a score
  from 0 to 1, or `{"id", "error"}`; until its input ends.

Whatever the system itself prints goes to the standard error. `python -m inference.systems` runs
one over a list of series.
"""
