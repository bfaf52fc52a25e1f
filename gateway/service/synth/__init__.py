"""Synthetic history: what pretend customers and attackers do in a year, for measuring detectors of anomalies."""

from gateway.service.synth.history import FIRST_DAY, Size, history, ndjson

__all__ = ["FIRST_DAY", "Size", "history", "ndjson"]
