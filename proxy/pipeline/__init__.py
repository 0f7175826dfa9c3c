"""Signpost."""
