"""Paired timing of ways to train, with what they keep and what they run."""
