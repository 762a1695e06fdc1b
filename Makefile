# Every target does its own set-up: nothing but Python 3.11, make and, for a real broker, Docker or Java 17 with Maven.
PYTHON ?= python3
# With it each command would compile all that it imports, at every start.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
LOCKS := requirements
RECENT := import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, and $(PYTHON) is " + sys.version.split()[0] + ": run make PYTHON=/path/to/python3.11")
CHECKED = { command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) cannot be found: install Python 3.11 or newer"; exit 1; }; } \
	&& $(PYTHON) -c '$(RECENT)' && $(PYTHON) -E -s -m
# Without the user's own packages and PYTHON… variables.
INSTALL = $(CHECKED) requirements.install

.PHONY: help setup demo test test-slow model-test compose-test chart chart-test console-test console-assets torture bench instructions outage soak \
	examples lint metrics rules-test observe-test format wheel sbom lock clean
help:           ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

setup: $(VENV)/.development ## the virtual environment .venv, with the commands bridge and consumers, and all that develops them
$(VENV)/.development: $(LOCKS)/uv.txt $(LOCKS)/build.txt $(LOCKS)/development.txt pyproject.toml
	@$(INSTALL) $@ $(LOCKS)/build.txt $(LOCKS)/development.txt
	@touch $(VENV)/.embedded

$(VENV)/.embedded: $(LOCKS)/uv.txt $(LOCKS)/build.txt $(LOCKS)/embedded.txt pyproject.toml
	@$(INSTALL) $@ $(LOCKS)/build.txt $(LOCKS)/embedded.txt

$(VENV)/.bench: $(VENV)/.development bench/requirements.txt
	@$(INSTALL) $@ bench/requirements.txt

$(VENV)/.chart: $(VENV)/.development tests/deploy/requirements.txt
	@$(INSTALL) $@ tests/deploy/requirements.txt

$(VENV)/.console: $(VENV)/.development tests/console/requirements.txt
	@$(INSTALL) $@ tests/console/requirements.txt

demo: $(VENV)/.embedded ## the whole path once, on an embedded broker and Redis: posts a recall, shows the event and the badge
	$(VENV)/bin/bridge demo

# As many at a time as there are cores, each with servers of its own; four at most, for a Kafka takes memory.
PYTEST = $(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test: setup     ## the tests, on a real Kafka (Docker, or Java and Maven) and a real Redis; ARGS="tests/journal -x"
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: setup ## the tests that take long: packages, kills under load, attacks
	$(PYTEST) -m slow $(ARGS)

model-test: setup ## the journal against a model of its promises, thirty times as much as in make test; MODEL_EXAMPLES=10000
	MODEL_EXAMPLES=$(or $(MODEL_EXAMPLES),10000) $(VENV)/bin/python -m pytest --timeout 0 tests/journal/test_model.py

compose-test: setup ## the full stack in containers, hurt under load; needs Docker
	$(VENV)/bin/python -m tests.compose

chart: setup    ## what of the Helm chart is generated: the schema of its values, the copies of rules and dashboards
	$(VENV)/bin/python -m deploy.helm

chart-test: $(VENV)/.chart ## the Helm chart: what it makes of many values is valid, a pod that goes loses nothing; needs Go and npm
	$(VENV)/bin/python -m tests.deploy $(ARGS)

# Where it cannot be installed, the tests say so.
CHROMIUM = command -v chromium >/dev/null || ! command -v apt-get >/dev/null || { \
	root=$$([ "$$(id -u)" = 0 ] || echo sudo); $$root apt-get update -qq \
	&& $$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
		chromium fonts-wqy-microhei >/dev/null; }

console-test: $(VENV)/.console ## the page of bridge console in a real browser, which it takes from Debian; ARGS=--pictures for those of docs
	@$(CHROMIUM) || true
	$(VENV)/bin/python -m tests.console $(ARGS)

console-assets: setup ## what the page of bridge console is made of, from npm, as bridge/console/page/vendor/versions.json says
	$(VENV)/bin/python -m requirements.console_assets

torture: setup  ## kill, freeze, fill and cut off everything under load, then compare; ARGS="--minutes 10 --seed 7"
	$(VENV)/bin/python -m tests.torture $(ARGS)

bench: $(VENV)/.bench ## what a callback costs, beside servers in Go, Rust and Python, and an event in the worker; ARGS=--publish
	$(VENV)/bin/python -m bench turns $(ARGS)
	$(VENV)/bin/python -m bench scaling
	$(VENV)/bin/python -m bench.worker

instructions: setup ## instructions per callback and per event in the worker, by callgrind: no more than is stored; ARGS=--update
	$(VENV)/bin/python -m bench instructions $(ARGS)
	$(VENV)/bin/python -m bench.workers.instructions $(ARGS)

outage: $(VENV)/.bench ## ten minutes with the broker frozen at 2,000 callbacks/s: memory, drain, replies; ARGS="--minutes 1"
	$(VENV)/bin/python -m bench outage $(ARGS)

soak: $(VENV)/.bench ## an hour at 1,000 callbacks/s with broker restarts: nothing may grow; ARGS="--minutes 10"
	$(VENV)/bin/python -m bench soak $(ARGS)

wheel: $(VENV)/.embedded ## the package dist/im_bridge-VERSION-py3-none-any.whl, to be installed with requirements/production.txt
	@rm -rf build
	@$(VENV)/bin/python -c 'from setuptools.build_meta import build_wheel; build_wheel("dist")' >/dev/null
	@rm -rf build && ls dist/im_bridge-*.whl

$(VENV)/.sbom: $(VENV)/.development $(LOCKS)/sbom.txt
	@$(INSTALL) $@ $(LOCKS)/sbom.txt

sbom: $(VENV)/.sbom ## what production consists of, as CycloneDX: dist/im-bridge.cdx.json, from the lock file
	@$(VENV)/bin/python -m requirements.sbom dist/im-bridge.cdx.json

examples: setup ## every subscriber of examples/ on a real topic, as far as its toolchain is here
	$(VENV)/bin/python -m tests.examples

lint: setup     ## ruff, mypy --strict, the direction of imports, and whether schemas and references are up to date
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff check --preview --select PLC2701 .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache --no-logo
	$(VENV)/bin/bridge schemas --check
	$(VENV)/bin/python -m deploy.helm --check
	$(VENV)/bin/bridge settings --page docs/settings.md --check
	$(VENV)/bin/consumers settings --page docs/settings.md --check
	$(VENV)/bin/python -m deploy --check
	$(VENV)/bin/python -m requirements.console_assets --check

metrics: setup  ## docs/metrics.md and the dashboard deploy/grafana/im-bridge.json, from what the code declares
	$(VENV)/bin/python -m deploy

# Debian's package has promtool too.
PROMETHEUS = command -v promtool >/dev/null && command -v prometheus >/dev/null || { \
	root=$$([ "$$(id -u)" = 0 ] || echo sudo); $$root apt-get update -qq \
	&& $$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends prometheus >/dev/null; }

rules-test:     ## the alerts of deploy/prometheus: each fires for what it is for; takes promtool from Debian where it is missing
	@$(PROMETHEUS)
	promtool check config deploy/prometheus/prometheus.yml
	promtool check rules deploy/prometheus/rules.yaml
	cd deploy/prometheus && promtool test rules rules-test.yaml

observe-test: setup ## a real Prometheus scrapes a real bridge through an outage of Kafka: the alert fires, and resolves
	@$(PROMETHEUS)
	CI=true $(VENV)/bin/python -m pytest tests/system/test_observed_outage.py $(ARGS)

format: setup   ## let ruff format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock:           ## resolve the dependencies of pyproject.toml into the lock files; ARGS=--upgrade takes newer versions
	@$(CHECKED) requirements.lock $(ARGS)

clean:          ## remove what make made
	rm -rf $(VENV) .cache build dist *.egg-info
