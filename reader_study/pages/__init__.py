"""Pages of coordinators and readers."""
