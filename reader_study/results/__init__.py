"""What a study found: tables -> data for the statistics -> results, figures and a report.

Plain Python, without Django and without a database: it reads the tables of a study's archive, so
that whoever has the archive can make everything again.
"""
