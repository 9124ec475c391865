"""Data and wiring of each experiment, as functions with plain arguments."""
