"""What can go wrong with compressed files."""

from __future__ import annotations

from ptheta.errors import PthetaError


class CodingError(PthetaError):
    """A compressed file that is damaged, belongs to another model, or was made where the model computes otherwise."""


class NotCoded(Exception):
    """A file that the model cannot give back exactly; why, as what it is: "of another size"."""
