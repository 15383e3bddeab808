"""Codecs fitted to a source: what must be learned from its training events."""
