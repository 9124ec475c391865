"""Paired timing of training strategies, with their residuals and op runs."""
