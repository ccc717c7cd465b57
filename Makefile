# Set-up and everything else: `make quickstart` on a fresh machine, `make test` before a commit.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INTEGRATIONS := .venv-integrations
PYTHON_FITS = $(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python 3.11 to 3.13 is needed, found {v[0]}.{v[1]}; name another with make PYTHON=...")'

.PHONY: quickstart test test-surgery test-faults test-integrations check format bench calibrate clean

quickstart: $(INSTALLED)
	$(BIN)/harness run quickstart

# A file's tests stay together: what they share is made once, and no two clusters of Ray run at a time.
test: $(INSTALLED)
	$(BIN)/pytest tests -n auto --maxprocesses 8 --dist loadfile

# Many more networks than `make test` tries: random ones (tests/surgery/grammar), and all of tests/surgery/zoo.
test-surgery: $(INSTALLED)
	HARNESS_NETWORKS=500 $(BIN)/pytest tests/surgery/test_grammar.py tests/surgery/test_zoo.py \
		tests/sizing/test_gate_places.py -n auto --maxprocesses 8

# Kills, hangs and lost workers on real clusters of Ray; slow.
test-faults: $(INSTALLED)
	$(BIN)/pytest tests -m faults

test-integrations: $(INTEGRATIONS)/.installed
	$(INTEGRATIONS)/bin/pytest tests/integrations

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Slow; prints figures and is never part of the tests.
bench: $(INSTALLED)
	$(BIN)/python -m tests.benchmarks

calibrate: $(INSTALLED)
	$(BIN)/python -m tests.calibration

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON_FITS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)

# Other people's tools pin versions of their own, MLflow an older pyarrow: constraints.txt cannot hold here.
$(INTEGRATIONS)/.installed: pyproject.toml
	$(PYTHON_FITS)
	$(PYTHON) -m venv $(INTEGRATIONS)
	$(INTEGRATIONS)/bin/python -m pip install --quiet --upgrade pip
	$(INTEGRATIONS)/bin/python -m pip install --quiet --editable '.[dev,integrations]'
	touch $@

clean:
	rm -rf $(VENV) $(INTEGRATIONS) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
