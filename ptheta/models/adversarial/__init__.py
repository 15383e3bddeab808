"""Families that are learned as a game against an opponent."""
