"""What a training run leaves behind: its curves, its settings and its best weights."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load

from resnet_lesson.networks import weights
from resnet_lesson.training import checkpoints


@dataclass
class History:
    """What happened in a training run; saved beside its weights after every epoch.

    ``epochs`` holds a dict per finished epoch: epoch, train_loss, train_accuracy, validation_loss,
    validation_accuracy, seconds (training only) and examples_per_second.
    """

    settings: dict             # what ``fit`` was called with
    epochs: list = field(default_factory=list)
    step_losses: list = field(default_factory=list)  # of every step, unfinished epochs included
    interrupted: bool = False  # the run was stopped before its last epoch ended
    best_weights: dict = field(default=None, repr=False)  # with the highest validation accuracy

    @property
    def best(self):
        """Return the row of the best epoch by validation accuracy (the first of equals)."""
        if not self.epochs:
            raise ValueError("no epoch has finished yet, so there is no best one; train on")
        return max(self.epochs, key=lambda row: row["validation_accuracy"])

    def column(self, name):
        """Return one value per finished epoch, for example ``column("train_loss")``."""
        return [row[name] for row in self.epochs]

    def load_best(self, model):
        """Put the best epoch's weights into ``model``, wrapped or not, and return it."""
        if self.best_weights is None:
            raise ValueError("no epoch has finished yet, so there are no best weights; train on")
        return weights.load(model, self.best_weights)

    def rows(self):
        """Return everything but the weights, as plain dicts and lists."""
        return {"settings": self.settings, "epochs": self.epochs,
                "step_losses": self.step_losses, "interrupted": self.interrupted}

    def save(self, path):
        """Write everything but the weights as JSON."""
        text = json.dumps(self.rows(), indent=1)
        checkpoints.replace(path, lambda partial: partial.write_text(text))

    @classmethod
    def load(cls, folder):
        """Read a run back from its checkpoint folder.

        Raises a ``FileNotFoundError`` where there is none, a ``ValueError`` where it is damaged.
        """
        path = Path(folder).expanduser() / "history.json"
        if not path.exists():
            raise FileNotFoundError(f"{path.parent} holds no training run (no {path.name} in it); "
                                    "give the folder that was passed to fit as checkpoint")
        try:
            history = cls(**json.loads(path.read_text()))
            path = path.with_name("best.safetensors")
            if path.exists():  # read whole: a mapped file stays locked
                history.best_weights = load(path.read_bytes())
        except (ValueError, TypeError, SafetensorError) as error:
            raise ValueError(f"{path} cannot be read ({type(error).__name__}): it is damaged, or "
                             "no training run's; start anew with resume=False") from None
        return history
