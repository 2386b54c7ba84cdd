"""What the Makefile calls: installing, the embedded PostgreSQL, and running the demonstration."""
