# On a machine with Python 3.11 or newer: `make run` and `make test` install what they need, nothing else has to be there.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8000
# Tests run in this many processes, each with its own database server: programs, screens, all the rest (tests/conftest.py).
WORKERS ?= 3

.PHONY: run test bench lint types audit web install install-test clean

$(VENV)/.installed: pyproject.toml requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test

web: $(VENV)/.installed
	$(BIN)/python -m api.web.build

run: web
	NUMUNE_HTTP=$${NUMUNE_HTTP:-127.0.0.1:$(PORT)} $(BIN)/numune run --demo

test: $(VENV)/.installed-test web
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-test
	$(BIN)/mypy lis_core drivers rules qc barcode api hbys_bridge simulators

# Known advisories of the locked packages; needs a network that reaches the advisory service.
audit: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/pip-audit --disable-pip --no-deps -r requirements.lock -r requirements-test.lock

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build *.egg-info api/static/build
