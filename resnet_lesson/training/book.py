"""The book's own tools (the package ``d2l``), made to run on current IPython.

Source: Zhang, Lipton, Li, Smola, "Dive into Deep Learning", section 8.6. ``d2l`` 0.17.0, the last
release without old pins, breaks on ``IPython.display.set_matplotlib_formats``, gone in IPython 9.
"""

import contextlib
import math
import os
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

from matplotlib_inline.backend_inline import set_matplotlib_formats

from resnet_lesson.data import idx

# Values of the book: section 8.6, "Training".
LEARNING_RATE, EPOCHS, BATCH_SIZE, SIZE = 0.05, 10, 256, 96


def load():
    """Return the module ``d2l.torch``, mended. The first call takes a few seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas and numpy, about d2l's old idioms
        from d2l import torch as d2l
    d2l.use_svg_display = lambda: set_matplotlib_formats("svg")
    return d2l


@contextmanager
def loaders(splits, batch_size=BATCH_SIZE, size=SIZE, workers=None):
    """Run the book's data loader on our splits: yield its (train_iter, test_iter).

    ``d2l.load_data_fashion_mnist`` reads ``../data``; the pictures are written where it looks,
    in a folder that is deleted at the end of the ``with`` block. ``workers`` are loader processes;
    ``None`` takes the book's 4, or as many as there are processors.

    Raises:
        ValueError: fewer than five steps in an epoch; the book's loop divides by a fifth of them.
    """
    steps = math.ceil(len(splits.train) / batch_size)
    if steps < 5:
        raise ValueError(f"the book's loop needs at least 5 steps an epoch; {len(splits.train)} "
                         f"pictures in batches of {batch_size} make {steps}; give more pictures "
                         "or a smaller batch_size")
    d2l = load()
    before = d2l.get_dataloader_workers
    if workers is None:
        workers = min(before(), os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="resnet-lesson-", ignore_cleanup_errors=True) as home:
        idx.write_idx(splits, Path(home) / "data")
        (Path(home) / "here").mkdir()
        d2l.get_dataloader_workers = lambda: workers
        try:
            with contextlib.chdir(Path(home) / "here"):
                iterators = d2l.load_data_fashion_mnist(batch_size, resize=size)
        finally:
            d2l.get_dataloader_workers = before
        yield iterators
