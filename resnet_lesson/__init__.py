"""What stands behind the notebooks of resnet-lesson.

Importing this package costs next to nothing: each module loads when it is first used, so
``import resnet_lesson`` does not pull in torch.
"""

import importlib
import os
import pkgutil

__version__ = "0.1.0"

# Torch's threads on Linux wait for each other by spinning. Where another program wants one of
# the processors, long spinning makes a training step many times slower; short spinning costs a
# quiet machine nothing that could be measured. Read when torch loads; `make` sets it as well.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

_MODULES = {module.name for module in pkgutil.iter_modules(__path__)}


def __getattr__(name):
    """Load ``resnet_lesson.<name>`` on first use."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    """List the modules beside what is already loaded."""
    return sorted(_MODULES | set(globals()))
