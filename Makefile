# Two commands are enough: `make lab` to read and run the lesson, `make test` to check it.
# Each sets up what it needs in .venv; delete that folder to start afresh.

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,$(if $(shell \
	$(name) -c 'import sys; print((3, 11) <= sys.version_info < (3, 14) or "")' 2>/dev/null),$(name))))
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)

# see resnet_lesson/__init__.py
export GOMP_SPINCOUNT ?= 10000

# A .venv that came along in a copy, or stayed in a folder that was moved, runs another folder's code.
MADE_IN := $(shell sed -n 's/^command = .* -m venv //p' .venv/pyvenv.cfg 2>/dev/null)
ifneq ($(MADE_IN),)
ifneq ($(MADE_IN),$(CURDIR)/.venv)
$(info This .venv was made in another folder ($(MADE_IN)); it is set up again here.)
FOREIGN := .venv
.venv/ready: again
endif
endif

.PHONY: env lab test bench notebooks results again

env: .venv/ready

.venv/ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Install one, or name it: make PYTHON=/path/to/python3.12 lab"; exit 1; }
	$(if $(FOREIGN),rm -rf .venv)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --editable ".[test]"
	@touch .venv/ready

lab: .venv/ready
	$(BIN)/python -m resnet_lesson.tools.cli lab

test: .venv/ready
	$(BIN)/python -m pytest

notebooks: .venv/ready
	$(BIN)/python -m resnet_lesson.tools.publish

bench: .venv/ready
	$(BIN)/python -m resnet_lesson.tools.bench

# Hours on two cores. Each line goes on where it was interrupted: from the rows that are recorded,
# or, full_run and small_pair, from its folder under runs/.
results: .venv/ready
	$(BIN)/python -m resnet_lesson.experiments.full_run --checkpoint runs/full_run
	$(BIN)/python -m resnet_lesson.experiments.gradients
	$(BIN)/python -m resnet_lesson.experiments.sweep
	$(BIN)/python -m resnet_lesson.experiments.small_pair
	$(BIN)/python -m resnet_lesson.experiments.your_question
	$(BIN)/python -m resnet_lesson.experiments.lesions
	$(BIN)/python -m resnet_lesson.experiments.recipes quick 0 1 2
	$(BIN)/python -m resnet_lesson.experiments.recipes fast 0 1 2
	$(BIN)/python -m resnet_lesson.experiments.recipes fast-long 0 1 2
	$(BIN)/python -m resnet_lesson.experiments.recipes fast-long 0 1 2 --all
	$(BIN)/python -m resnet_lesson.experiments.recipes small 0
	$(BIN)/python -m resnet_lesson.experiments.recipes book 0
