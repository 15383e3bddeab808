"""The fit loop, budgets, optimisers, checkpoints and data parallelism."""

from ptheta.training.budget import Budget
from ptheta.training.distributed import World, choose_device, world
from ptheta.training.loop import Listener, Trainer
from ptheta.training.settings import Settings

__all__ = ["Budget", "Listener", "Settings", "Trainer", "World", "choose_device", "world"]
