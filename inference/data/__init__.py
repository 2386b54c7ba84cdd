"""Nodules to train and measure with: one table, adapters, images, checks and a cache of crops."""
