"""Codecs fitted to a source: what must be inferred from its training events."""
