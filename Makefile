# `make help` lists what can be done. Targets are annotated `## group: text`; variables follow in the same comment.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
SHOPSTREAM_HOME ?= $(CURDIR)/.shopstream
export SHOPSTREAM_HOME

STACK_PYTHON = $(SHOPSTREAM_HOME)/venvs/stack/bin/python
# Runs one command of the launcher; PYTHONPATH because make may have been called with -C from elsewhere.
STACK = @test -x "$(STACK_PYTHON)" || { echo "error: nothing is installed in $(SHOPSTREAM_HOME) (run: make install)" >&2; exit 1; }; \
	PYTHONPATH="$(CURDIR)" "$(STACK_PYTHON)" -m embedded

.PHONY: help install up down status logs reset mongodb-uri

help: ## general: show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^[a-z0-9-]+:.*## / { \
			split($$2, part, ": "); group = part[1]; text = substr($$2, length(group) + 3); \
			if (!(group in lines)) order[++count] = group; \
			lines[group] = lines[group] sprintf("  make %-14s %s\n", $$1, text) \
		} \
		END { for (i = 1; i <= count; i++) printf "%s%s\n%s", (i > 1 ? "\n" : ""), order[i], lines[order[i]] }' $(MAKEFILE_LIST)

install: ## stack: install everything the stack needs (locked, hashed) into SHOPSTREAM_HOME; PYTHON=python3.x chooses the interpreter
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
	$(STACK) reset $(if $(YES),--yes)

mongodb-uri: ## stack: print the connection string of the database
	$(STACK) mongodb-uri
