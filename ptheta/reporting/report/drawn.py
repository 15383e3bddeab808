"""Samples beside real events, in the form of the data."""

from __future__ import annotations

import numpy as np

from ptheta.reporting.contexts import given_of
from ptheta.reporting.exhibits import exhibit_of
from ptheta.reporting.markup import joined, paragraph
from ptheta.reporting.report.evidence import Evidence
from ptheta.reporting.report.page import Section


def samples(evidence: Evidence) -> Section:
    """Samples and real events."""
    exhibit = exhibit_of(evidence.run.codec)
    real, context = evidence.real.events()
    several = {"Samples": evidence.samples, f"Real: {evidence.heldout_text}": real}
    given = " given the contexts of the real events" if context is not None else ""
    how = f"Drawn by the model{given}, not selected; seed {evidence.seed}. Beside them real events, drawn likewise."
    rows = np.random.default_rng([evidence.seed, 3]).permutation(len(real))
    body = exhibit.samples(several, rows, given_of(evidence.run, context))
    return Section("Samples", joined([paragraph(how + exhibit.note(evidence.run), cls="how"), body]))
