# `make help` lists what can be done: every target that is annotated `## group: text`.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
SHOPSTREAM_HOME ?= $(CURDIR)/.shopstream
export SHOPSTREAM_HOME

STACK_PYTHON = $(SHOPSTREAM_HOME)/venvs/stack/bin/python
# Runs one command of the launcher.
STACK = @test -x "$(STACK_PYTHON)" || { echo "error: nothing is installed in $(SHOPSTREAM_HOME) (run: make install)" >&2; exit 1; }; \
	PYTHONPATH="$(CURDIR)" "$(STACK_PYTHON)" -m embedded

# Runs one module of the measurements, in the jobs' environment; OPTIONS="--help" says what else it takes.
BENCHMARK = @PYTHONPATH="$(CURDIR)" "$(SHOPSTREAM_HOME)/venvs/spark/bin/python" -m benchmarks

# What both commands for clusters are told, as options.
DEPLOY = $(if $(CONTEXT),--context "$(CONTEXT)") $(if $(NAMESPACE),--namespace "$(NAMESPACE)") $(if $(REGISTRY),--registry "$(REGISTRY)") \
	$(if $(TAG),--tag "$(TAG)") $(if $(STORAGE_CLASS),--storage-class "$(STORAGE_CLASS)") \
	$(if $(ACCESS_MODE),--access-mode "$(ACCESS_MODE)") $(if $(SKIP),--skip "$(SKIP)")

.PHONY: help install up down status logs reset mongodb-uri demo dead-letters deploy deploy-check test chaos bench-replay bench-streaming bench-training bench-quality soak lock

help: ## general: show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^[a-z0-9-]+:.*## / { \
			split($$2, part, ": "); group = part[1]; text = substr($$2, length(group) + 3); \
			if (!(group in lines)) order[++count] = group; \
			lines[group] = lines[group] sprintf("  make %-15s %s\n", $$1, text) \
		} \
		END { for (i = 1; i <= count; i++) printf "%s%s\n%s", (i > 1 ? "\n" : ""), order[i], lines[order[i]] }' $(MAKEFILE_LIST)

install: ## stack: install everything the stack needs (locked, hashed) into SHOPSTREAM_HOME; PYTHON=python3.x chooses the interpreter
	@command -v "$(PYTHON)" >/dev/null || { echo "error: there is no $(PYTHON) on PATH (install Python 3.11 or newer, or name one: PYTHON=...)" >&2; exit 1; }
	@PYTHONPATH="$(CURDIR)" "$(PYTHON)" -m embedded.bootstrap

up: install ## stack: install if needed, start what does not run, wait until all is healthy
	$(STACK) up

down: ## stack: end every process of the stack; state survives
	$(STACK) down

status: ## stack: show each component: state, pid, port, uptime, memory
	$(STACK) status

logs: ## stack: show the last log lines; COMPONENT=kafka for one component, FOLLOW=1 to go on
	$(STACK) logs $(COMPONENT) $(if $(FOLLOW),--follow)

reset: ## stack: stop, then delete all data and logs (asks first; YES=1 does not)
	$(STACK) reset $(if $(filter 1 y yes true,$(YES)),--yes)

mongodb-uri: ## stack: print the connection string of the database
	$(STACK) mongodb-uri

demo: install ## platform: run a month of a shop from file to models; EVENTS=path.csv.gz for your own events
	$(STACK) demo $(if $(EVENTS),--events "$(EVENTS)")

dead-letters: ## platform: count the refused records by reason; REASON=bad_price lists those, LIMIT=n of them
	$(STACK) job dead_letters $(if $(REASON),--reason "$(REASON)") $(if $(LIMIT),--limit "$(LIMIT)")

deploy: ## kubernetes: install everything on a cluster, in order, safe to repeat; REGISTRY=... TAG=... (DRY_RUN=1 changes nothing)
	@PYTHONPATH="$(CURDIR)" "$(PYTHON)" -m deploy apply $(DEPLOY) $(if $(DRY_RUN),--dry-run) $(if $(ONLY),--only "$(ONLY)") \
		$(if $(WITH),--with "$(WITH)") $(if $(CHARTS),--charts "$(CHARTS)")

deploy-check: ## kubernetes: say what a cluster lacks, as a table; PULL=1 tries to pull the images
	@PYTHONPATH="$(CURDIR)" "$(PYTHON)" -m deploy check $(DEPLOY) $(if $(PULL),--pull)

test: ## development: run all tests; LANES="lint unit" for some of lint, unit, servers, kubernetes, stack, recovery, chaos, faults
	@PYTHONPATH="$(CURDIR)" "$(PYTHON)" -m embedded.bootstrap --dev
	@tests/run $(LANES)

chaos: ## development: kill parts of a platform of its own while events flow, compare what it stored; ROUNDS=5 SEED=1
	@PYTHONPATH="$(CURDIR)" "$(PYTHON)" -m embedded.bootstrap --dev
	@PYTHONPATH="$(CURDIR)" SPARK_LOCAL_IP=127.0.0.1 "$(SHOPSTREAM_HOME)/venvs/spark/bin/python" -m tests.chaos \
		$(if $(ROUNDS),--rounds "$(ROUNDS)") $(if $(SEED),--seed "$(SEED)")

bench-replay: install ## development: measure how fast replay_events sends, with a broker of its own (1 minute); EVENTS=400000
	$(BENCHMARK).replay $(if $(EVENTS),--events "$(EVENTS)") $(OPTIONS)

bench-streaming: install ## development: measure the stream's speed and latency on servers of its own (10 minutes); EVENTS=500000
	$(BENCHMARK).streaming $(if $(EVENTS),--events "$(EVENTS)") $(OPTIONS)

bench-training: install ## development: measure a whole training on a store of its own (5 minutes); SIZES="100000 1000000"
	$(BENCHMARK).training $(if $(SIZES),--sizes $(SIZES)) $(OPTIONS)

bench-quality: install ## development: measure the hourly checks, on a database of their own (15 minutes); EVENTS=1000000
	$(BENCHMARK).quality $(if $(EVENTS),--events "$(EVENTS)") $(OPTIONS)

soak: install ## development: stream many simulated days, say whether anything grows with age (half an hour); EVENTS=5000000
	$(BENCHMARK).soak $(if $(EVENTS),--events "$(EVENTS)") $(OPTIONS)

lock: ## development: compile the dependency groups of pyproject.toml to hashed locks (UPGRADE=1 for newer versions)
	@scripts/lock $(if $(UPGRADE),--upgrade)
