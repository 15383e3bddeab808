"""Mixtures of models that were learned independently."""
