"""Families that learn by counting."""
