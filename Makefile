# Needs Python ≥ 3.11 and make; everything else is installed into .venv from here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check package clean

demo: $(VENV)/ready  ## fit the built-in digits, and show the result
	$(BIN)/ptheta fit digits --minutes 1.5 --out runs/demo --force
	$(BIN)/ptheta info runs/demo
	@echo; echo "samples: runs/demo/samples.png"

test: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/ready-dev  ## pass the tests; what is compiled is shared by the processes that they start
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/ready-dev  ## lint, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

package: $(VENV)/ready-dev  ## every extra resolves with the constraints, and the wheel is whole
	$(BIN)/python .ci/package.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first and pinned, so that pip takes the tested build
$(VENV)/ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache
