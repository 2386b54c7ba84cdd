"""Training a model: what `python -m inference.train` is made of."""
