"""Promptlane: an OpenAI-compatible reverse proxy that turns model calls into product analytics."""

__version__ = "0.1.0"
