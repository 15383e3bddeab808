"""How good a density is."""
