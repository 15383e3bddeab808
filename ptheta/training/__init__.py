"""The fit loop, objectives, budgets, optimisers, checkpoints and data parallelism."""

from ptheta.training.budget import Budget
from ptheta.training.distributed import World, choose_device, local_device, numbers, processes_here, together, world
from ptheta.training.listening import Listener
from ptheta.training.loop import Trainer
from ptheta.training.objectives import OBJECTIVES, Adversarial, MaximumLikelihood, Objective, ReverseKL, Verdict
from ptheta.training.objectives.free_energy import FreeEnergy, Target
from ptheta.training.players import Player
from ptheta.training.settings import Settings
from ptheta.training.timetable import Timetable

__all__ = [
    "OBJECTIVES",
    "Adversarial",
    "Budget",
    "FreeEnergy",
    "Listener",
    "MaximumLikelihood",
    "Objective",
    "Player",
    "ReverseKL",
    "Settings",
    "Target",
    "Timetable",
    "Trainer",
    "Verdict",
    "World",
    "choose_device",
    "local_device",
    "numbers",
    "processes_here",
    "together",
    "world",
]
