# Needs Python 3.11-3.13, git and make; everything else comes from requirements.lock.
#   make run    set up .venv once, then run the example scenario
#   make test   set up .venv once, then run the tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCENARIO ?= scenarios/sequencing.toml

.DEFAULT_GOAL := run
.PHONY: run test slow bench check lock clean

run: $(READY)
	$(BIN)/crlm run $(SCENARIO)

test: $(READY)
	$(BIN)/python -m pytest -n auto

slow: $(READY)
	$(BIN)/python -m pytest -m slow

bench: $(READY)
	$(BIN)/python -m pytest benchmarks/ --benchmark-only

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Debian ships venv apart from Python, so the search also asks for ensurepip.
# The stamp is written last, so a set-up that was interrupted starts again from nothing.
$(READY): pyproject.toml requirements.lock
	@rm -rf $(VENV)
	@for py in "$(PYTHON)" python3.13 python3.12 python3.11; do \
	    if "$$py" -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then \
	        echo "Setting up $(VENV) with $$("$$py" --version)"; \
	        exec "$$py" -m venv $(VENV); \
	    fi; \
	done; \
	echo "crlm_sim needs Python 3.11, 3.12 or 3.13 with venv (try: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12)" >&2; \
	exit 1
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
# The build backend is in the lock, so this step downloads nothing.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
	@touch $(READY)

# Resolve pyproject.toml again for every supported Python. uv lives in a venv that is thrown away.
lock:
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && \
	$(PYTHON) -m venv "$$tmp" && \
	"$$tmp/bin/python" -m pip install --quiet --disable-pip-version-check uv && \
	"$$tmp/bin/uv" pip compile pyproject.toml --quiet --upgrade \
	    --universal --python-version 3.11 --fork-strategy fewest \
	    --all-extras --generate-hashes --no-annotate --no-header \
	    --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean:
	find . -name "compiled-*" -path "*__pycache__*" -prune -exec rm -rf {} +
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .benchmarks .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
