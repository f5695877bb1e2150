# Needs nothing but Python 3.11 or newer (with venv) and make. `make help` lists the targets.
#
#   make run TOPOLOGY=my.yaml HOST=http://collector:4318 USERS=50
#
# Plain `=`: only the command line changes these. Some shells export a HOST of their own.
TOPOLOGY = topologies/shop.yaml
USERS = 10
SPAWN_RATE = $(USERS)
# An OTLP endpoint, such as http://127.0.0.1:4318; without it a receiver starts on loopback.
HOST =
WEB_PORT = 8089
# For one pytest, such as PYTEST="tests/engine -x"; without it all tests run, in lanes side by side.
PYTEST =

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check bench lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

run: $(VENV)/.installed ## load from TOPOLOGY in Locust's web UI, http://127.0.0.1:8089
	$(BIN)/locust -f locustfiles/topology.py --topology $(TOPOLOGY) $(if $(HOST),--host $(HOST)) \
		--autostart --users $(USERS) --spawn-rate $(SPAWN_RATE) \
		--web-host 127.0.0.1 --web-port $(WEB_PORT)

test: $(VENV)/.installed-test ## run the tests; those that need a Collector use the one that OTELCOL names
	$(BIN)/python $(if $(PYTEST),-m pytest $(PYTEST),tests/lanes.py)

check: $(VENV)/.installed-dev ## format, lint, types, import direction
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.installed-dev ## run the benchmarks
	$(BIN)/python -m benchmarks

# In an environment of its own: one that is in use would hand on versions that it happens to have.
lock: ## write requirements.lock anew, with the newest versions that pyproject.toml allows
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet '.[dev]'
	build/lock/bin/python -m pip freeze --exclude motel-locust > requirements.lock
	rm -rf build/lock

clean: ## remove the virtual environment and every cache
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache \
		.pytest_cache .ruff_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps, so that a second call of a target starts at once.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint requirements.lock --editable

$(VENV)/.installed: pyproject.toml requirements.lock | $(VENV)/.created
	@echo "installing into $(VENV), less than a minute"
	@$(INSTALL) .
	@touch $@

$(VENV)/.installed-%: pyproject.toml requirements.lock | $(VENV)/.created
	@echo "installing into $(VENV), with what '$*' needs"
	@$(INSTALL) '.[$*]'
	@touch $@

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is missing or older than 3.11: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) \
		|| { echo "$(PYTHON) has no venv: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@touch $@
