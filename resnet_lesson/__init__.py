"""What stands behind the notebooks of resnet-lesson; importing it loads nothing heavy."""

import os

__version__ = "0.1.0"

# Torch's threads on Linux wait for each other by spinning. Where another program wants one of
# the processors, long spinning makes a training step many times slower; short spinning costs a
# quiet machine nothing that could be measured. Read when torch loads; `make` sets it as well.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
