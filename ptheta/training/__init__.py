"""The fit loop, objectives, budgets, optimisers, checkpoints and data parallelism."""

from ptheta.training.budget import Budget
from ptheta.training.distributed import World, choose_device, local_device, numbers, processes_here, together, world
from ptheta.training.listening import Listener
from ptheta.training.loop import Trainer
from ptheta.training.objectives.base import Objective
from ptheta.training.objectives.free_energy import FreeEnergy, Target
from ptheta.training.objectives.likelihood import MaximumLikelihood
from ptheta.training.objectives.reverse_kl import ReverseKL
from ptheta.training.settings import Settings

__all__ = [
    "Budget",
    "FreeEnergy",
    "Listener",
    "MaximumLikelihood",
    "Objective",
    "ReverseKL",
    "Settings",
    "Target",
    "Trainer",
    "World",
    "choose_device",
    "local_device",
    "numbers",
    "processes_here",
    "together",
    "world",
]
