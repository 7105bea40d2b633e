# Everything runs in .venv, which is made when it is missing, and renewed when pyproject.toml or constraints.txt changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ARGS ?=
SEEDS ?= 10000
SECONDS ?= 60

.PHONY: help demo test test-long integration simulate faults fuzz planted-bugs audit check constraints format up kafka kafka-stop kafka-clean bench-worker bench-raw bench-streams bench-replay soak clean bench-smoke
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 24

# An environment whose pip does not work is what a failed attempt left behind.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Tocsin needs Python 3.11 to 3.13, $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % v)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
		{ echo "$(PYTHON) cannot make the environment $(VENV): install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@touch $@

# What Tocsin itself needs; the tools of a developer come with .installed.
$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing into $(VENV) ..."
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing into $(VENV), with the tools of a developer ..."
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $(VENV)/.runtime $@

demo: $(VENV)/.runtime ## a bad day and a storm through a Tocsin of your own; no broker, no network (ARGS=--json, --keep, ...)
	@$(BIN)/python -m app demo $(ARGS)

up: $(VENV)/.runtime ## a Tocsin on an embedded journal in ./tocsin-data
	@$(BIN)/python -m app up

# As many processes as there are cores, up to 8; whoever debugs wants one: make test ARGS="-n 0 --pdb tests/test_x.py".
# Bytecode is kept, whatever the environment says: the tests start some 20 processes, and each would compile the app anew.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal
test: $(VENV)/.installed ## the tests that need no server of somebody else's, with a sample of each property's examples
	@$(PYTEST) -m "not slow" $(ARGS)

EXAMPLES ?= 5
test-long: $(VENV)/.installed ## what make test leaves out: slow tests, and EXAMPLES=5 times as many examples of each property
	@TOCSIN_EXAMPLES=$(EXAMPLES) $(PYTEST) -m "slow or sampled" $(ARGS)

integration: $(VENV)/.installed ## the tests on a real Kafka, Prometheus and Alertmanager (Java 17, Maven, Debian packages)
	@$(BIN)/python -m pytest -o addopts="--strict-markers --strict-config -q" tests/integration $(ARGS)

simulate: $(VENV)/.installed ## the real worker in a world that breaks, one run a seed (SEEDS=10000, ARGS="--first N")
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

faults: $(VENV)/.installed ## break everything on purpose, on a real Kafka and the embedded journal (ARGS=--short, --record, -k NAME)
	@$(BIN)/python -m pytest -o addopts="--strict-markers --strict-config -q -p no:cacheprovider" tests/faults $(ARGS)

$(VENV)/.fuzz: $(VENV)/.installed
	@$(PIP_INSTALL) -e '.[dev,fuzz]'
	@touch $@

fuzz: $(VENV)/.fuzz ## any bytes into every parser, with atheris (SECONDS=60, ARGS="policy journal")
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

planted-bugs: $(VENV)/.installed ## plant each of a list of bugs in a copy of the tree, and see that a test catches it (ARGS=07)
	@$(BIN)/python -m tests.planted $(ARGS)

# Without --strict pip-audit says that all is well of packages that nobody could tell it anything of.
audit: $(VENV)/.installed ## known vulnerabilities of what is installed; asks an advisory service (ARGS="-s osv" asks another)
	@$(PIP_INSTALL) -e '.[audit]'
	@$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check > $(VENV)/installed.txt
	@$(BIN)/python -m pip_audit --strict --disable-pip --no-deps -r $(VENV)/installed.txt $(ARGS)

check: $(VENV)/.installed ## format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

constraints: $(VENV)/.made ## write constraints.txt anew, with the newest versions that pyproject.toml allows
	@$(BIN)/python -m deploy.constraints

format: $(VENV)/.installed ## put the code into its format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

kafka: $(VENV)/.installed ## start an Apache Kafka for a developer, with the port and data of before; says which TOCSIN_BROKER to use
	@$(BIN)/python -m deploy.kafka.broker start

kafka-stop: $(VENV)/.installed ## stop it; its port and data are kept
	@$(BIN)/python -m deploy.kafka.broker stop

kafka-clean: $(VENV)/.installed ## stop it, and delete its data and port
	@$(BIN)/python -m deploy.kafka.broker clean

bench-worker: $(VENV)/.installed ## one worker's rate on that Kafka, beside what one core can fetch and parse at all
	@$(BIN)/python bench/worker.py $(ARGS)

bench-raw: $(VENV)/.installed ## what an alert costs from the raw topic to its effects, beside fetching and parsing it (ARGS=--profile)
	@$(BIN)/python bench/raw.py $(ARGS)

bench-streams: $(VENV)/.installed ## the raw topic again, beside a Kafka Streams job that does much of the same (Java 17, Maven)
	@$(BIN)/python bench/streams.py $(ARGS)

bench-replay: $(VENV)/.installed ## how fast 1,000,000 records are replayed, beside the engine alone
	@$(BIN)/python bench/replay.py $(ARGS)

bench-smoke: $(VENV)/.installed ## count the bytecodes of each kind of alert; fails when one grows by a tenth (ARGS=--write)
	@$(BIN)/python bench/smoke.py $(ARGS)

soak: $(VENV)/.installed ## is memory flat under churning alerts, in real time or (ARGS="--driven --minutes 180") as fast as it goes
	@$(BIN)/python bench/soak.py $(ARGS)

clean: ## remove what was built, and the data of make kafka
	@rm -rf $(VENV) .tools dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
