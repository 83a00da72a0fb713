# `make` lists the commands. Every one does its own set-up; `make run` needs Python and nothing else.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
UV_VERSION := 0.13.9

# The interpreters that are tried, best first. `make run PYTHON=/path/to/python` takes that one.
PYTHONS := $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3 python)

# -qq: nothing but errors is said.
INSTALL := $(PY) -m pip install -qq --disable-pip-version-check --no-input --require-hashes

# The C library otherwise gives threads up to eight memory arenas for each CPU, which keep memory
# that nobody uses. It is read before Python starts, so it cannot be set in gunicorn.conf.py.
export MALLOC_ARENA_MAX ?= 2

.PHONY: help
help: ## list the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/installed ## start the service on http://127.0.0.1:8000 (set PORT, WEB_CONCURRENCY, ...)
	@exec $(PY) -m deploy.serve

.PHONY: dev
dev: $(VENV)/installed ## start one process that reloads on change, with debug pages
	@DEBUG=1 LOG_FORMAT=$${LOG_FORMAT:-console} exec $(PY) -m deploy.dev

.PHONY: worker
worker: $(VENV)/installed ## execute durable jobs; start as many as there is work for
	@exec $(PY) -m deploy.worker

.PHONY: routes
routes: $(VENV)/installed ## print the middleware and the routes of the service
	@$(PY) -m deploy.routes

.PHONY: test
test: $(VENV)/installed-dev ## run all tests (choose some with ARGS="-k hello")
	@$(PY) -m pytest $(ARGS)

.PHONY: check
check: lint type test ## lint, format check, types and all tests: what CI runs

.PHONY: lint
lint: $(VENV)/installed-dev ## check style and formatting
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet .

.PHONY: format
format: $(VENV)/installed-dev ## repair style and formatting
	@status=0; $(PY) -m ruff check --quiet --fix . || status=$$?; \
		$(PY) -m ruff format --quiet . && exit $$status

.PHONY: type
type: $(VENV)/installed-dev ## check types
	@$(PY) -m mypy

.PHONY: bench
bench: $(VENV)/installed-dev ## compare with other frameworks: dispatch, or ARGS=core, server, channels, sockets, scrapes
	@$(PY) -m load.bench $(ARGS)

.PHONY: load
load: $(VENV)/installed-dev ## put the running service under load (ARGS="--help")
	@$(PY) -m load $(ARGS)

.PHONY: drill
drill: $(VENV)/installed-dev ## let real services meet stops, crashes, overload and slow clients
	@$(PY) -m tests.drills $(ARGS)

.PHONY: image
image: ## build the container image
	@GIT_REVISION=$$(git rev-parse --short HEAD 2>/dev/null || echo unknown) docker compose build

.PHONY: up
up: ## start the container and wait until it is healthy
	@GIT_REVISION=$$(git rev-parse --short HEAD 2>/dev/null || echo unknown) \
		docker compose up --build --detach --wait

.PHONY: down
down: ## stop the container
	@docker compose down

.PHONY: lock
lock: $(VENV)/installed ## make the lock files anew from pyproject.toml, with the newest versions
	@$(PY) -m pip install -qq --disable-pip-version-check uv==$(UV_VERSION)
	@$(LOCK) --output-file requirements.lock
	@$(LOCK) --group dev --output-file requirements-dev.lock

.PHONY: clean
clean: ## remove everything that was made, the environment included
	@rm -rf $(VENV) .venv-bench .venv-thirdparty load/results .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One lock for Linux and macOS and all supported versions of Python; no address of a registry in it.
LOCK = $(PY) -m uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header

# Installed again when a lock is newer than the last installation. The second lock holds the first.
$(VENV)/installed: requirements.lock $(PY)
	@echo "Installing $<"
	@$(INSTALL) --requirement $<
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock $(PY)
	@echo "Installing $<"
	@$(INSTALL) --requirement $<
	@touch $(VENV)/installed $@

$(PY):
	@old=; for python in $(PYTHONS); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || { old="$$python"; continue; }; \
		echo "Making $(VENV) with $$("$$python" --version)"; \
		exec "$$python" -m venv --clear $(VENV); \
	done; \
	if [ -n "$$old" ]; then \
		package=$$("$$old" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		echo "$$old cannot make virtual environments: install its venv module (Debian, Ubuntu: apt install $$package)" >&2; \
	else \
		echo "Python 3.11 or newer is needed and none of these is: $(PYTHONS). Install one, or name it: make PYTHON=/path/to/python" >&2; \
	fi; exit 1
