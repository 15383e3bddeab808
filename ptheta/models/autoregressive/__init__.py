"""Families that factorise p(x | y) over dimensions."""
