"""Wiring: the one place that knows everything."""
