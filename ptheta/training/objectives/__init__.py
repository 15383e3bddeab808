"""What a fit minimises."""

from ptheta.training.objectives.adversarial import Adversarial
from ptheta.training.objectives.base import Objective, Verdict
from ptheta.training.objectives.likelihood import MaximumLikelihood
from ptheta.training.objectives.reverse_kl import ReverseKL

OBJECTIVES: dict[str, type[Objective]] = {
    objective.name: objective for objective in (MaximumLikelihood, ReverseKL, Adversarial)
}
"""Every objective by name."""

__all__ = ["OBJECTIVES", "Adversarial", "MaximumLikelihood", "Objective", "ReverseKL", "Verdict"]
