# Every target does its own set-up: nothing but Python 3.11, make and, for a real broker, Docker or Java 17 with Maven.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: help setup demo test lint format lock clean
help:           ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

setup: $(STAMP) ## the virtual environment .venv, with the commands bridge and consumers
$(STAMP): requirements/development.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": run make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup     ## the whole path once, on an embedded broker and Redis: posts a recall, shows the event and the badge
	$(VENV)/bin/bridge demo

test: setup     ## every test, on a real Kafka (Docker, or Java and Maven) and a real Redis
	$(VENV)/bin/python -m pytest

lint: setup     ## ruff and mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: setup   ## let ruff format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock:           ## resolve the dependencies of pyproject.toml anew
	$(PYTHON) -m venv .cache/lock && .cache/lock/bin/pip install --quiet pip-tools
	.cache/lock/bin/pip-compile $(LOCK) -o requirements/production.txt pyproject.toml
	.cache/lock/bin/pip-compile $(LOCK) --extra embedded --extra test -c requirements/production.txt -o requirements/development.txt pyproject.toml
LOCK := --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
export CUSTOM_COMPILE_COMMAND = make lock

clean:          ## remove what make made
	rm -rf $(VENV) .cache
