# Everything happens in .venv, which uv fills from requirements.lock. uv is used where it is found and otherwise installed into
# .uv; no interpreter is ever downloaded. The testbed's servers are built into the user's cache folder by the Go that is there.

# Rooms whose tests need no server, in two halves of about the same length: one for each of two cores.
FAST_FIRST := tests/controllers tests/manifests
FAST_SECOND := tests/engine tests/values tests/api

# Every room but those of whole agents, in two halves of about the same length; a new room is in the second.
ROOMS_FIRST := $(addprefix tests/,api architecture audit cli controllers daemon generators git http image metrics)
ELSEWHERE := $(addprefix --ignore=tests/,e2e forge handover image/test_image_built.py node prometheus)

.PHONY: help demo corpus corpus-charts test test-agent test-node rooms-first rooms-second test-forge test-image test-prometheus test-render test-fast fast-first fast-second check lint format types contracts generated site bench soak build image clean
.DELETE_ON_ERROR:

PYTHON := .venv/bin/python
# Debian's interpreter, as the image has it: one that pyenv built is a tenth slower. Where Debian's is too old or missing, any other.
INTERPRETER := $(shell /usr/bin/python3 -c 'import sys; print("/usr/bin/python3" if sys.version_info >= (3, 11) else ">=3.11")' 2> /dev/null || echo '>=3.11')
ENVIRONMENT := .venv/stamp
UV := $(or $(shell uv --version > /dev/null 2>&1 && command -v uv),.uv/bin/uv)
export UV_PYTHON_DOWNLOADS := never
# Images set it, and then each of the thousand processes that tests start would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(ENVIRONMENT) ## the agent's whole job against real servers; KEEP=1 leaves them up, CONTEXT=name uses your cluster
	$(PYTHON) -m testbed.demo $(if $(KEEP),--keep) $(if $(CONTEXT),--context '$(CONTEXT)')

corpus: build ## what of a checkout renders and applies, unit by unit, and why not: DIR=…, JSON=file, DISCLOSE=1
	$(PYTHON) -m testbed.corpus $(if $(JSON),--json '$(JSON)') $(if $(DISCLOSE),--disclose) '$(DIR)'

corpus-charts: build ## whether every chart below a folder gives with sealed values what Helm gives in the clear: DIR=…, JSON=file
	$(PYTHON) -m testbed.equivalence $(if $(JSON),--json '$(JSON)') '$(DIR)'

test: build ## every test, against real servers; those of whole agents beside both halves of the others, since they mostly wait
ifdef PYTEST_ARGS
	$(PYTHON) -m pytest $(PYTEST_ARGS)
else
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target test-agent test-render rooms-first rooms-second
endif

test-agent:
	$(PYTHON) -m pytest -q tests/e2e tests/handover

rooms-first:
	$(PYTHON) -m pytest -q $(ELSEWHERE) $(ROOMS_FIRST)

rooms-second:
	$(PYTHON) -m pytest -q $(ELSEWHERE) $(addprefix --ignore=,$(ROOMS_FIRST))

test-node: build ## the agent in pods on two real nodes; Linux, root. It installs Debian's containerd and what else is missing
	$(PYTHON) -m testbed.node test $(PYTEST_ARGS)

test-image: build ## the image, built twice, and an agent that runs from it; Linux, root. It installs Debian's buildah and mmdebstrap
	$(PYTHON) -m pytest -q tests/image/test_image_built.py

test-prometheus: build ## the alerts and the dashboard in Prometheus; Linux, root. It installs Debian's prometheus
	$(PYTHON) -m pytest -q tests/prometheus

test-forge: build ## pushes to a real Gitea, which is built the first time, and whose webhooks reach a real agent
	@$(PYTHON) -m testbed build gitea > /dev/null
	$(PYTHON) -m pytest -q tests/forge

test-render: ## the Go tests of signet-render
	cd render && gofmt -l . | (! grep .) && go vet ./... && go test ./...

test-fast: $(ENVIRONMENT) ## what needs no server: whole runs and hand-overs in memory, manifests, values; within a minute
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target fast-first fast-second

fast-first:
	$(PYTHON) -m pytest -q -m 'not servers' $(FAST_FIRST)

fast-second:
	$(PYTHON) -m pytest -q -m 'not servers' $(FAST_SECOND)

check: lint format types contracts generated site ## lint, format, types, import contracts, generated files current, links of the site

lint: $(ENVIRONMENT)
	.venv/bin/ruff check

format: $(ENVIRONMENT)
	.venv/bin/ruff format --check

types: $(ENVIRONMENT)
	.venv/bin/basedpyright

contracts: $(ENVIRONMENT)
	.venv/bin/lint-imports --no-logo

generated: $(ENVIRONMENT)
	$(PYTHON) -m generate --check

site: $(ENVIRONMENT) ## the documentation as a site, in build/site; fails where a link leads nowhere
	$(PYTHON) -m generate.site

bench: build ## the benchmarks: tables and JSON
	$(PYTHON) -m bench.sops
	$(PYTHON) -m bench.render
	$(PYTHON) -m bench.charts
	$(PYTHON) -m bench.chart_values
	$(PYTHON) -m bench

soak: build ## what is too long for CI: damaged files for the parsers, half an hour of faults, take-over from Flux, hand-overs, mutants
	$(PYTHON) -m bench.fuzz
	$(PYTHON) -m bench.pipelines
	$(PYTHON) -m bench.soak
	$(PYTHON) -m bench.flux
	$(PYTHON) -m bench.handover --passes 20
	$(PYTHON) -m bench.mutation

build: $(ENVIRONMENT) ## the testbed's programs and signet-render, into the user's cache folder
	@$(PYTHON) -m testbed build > /dev/null
	@$(PYTHON) render/build.py > /dev/null

image: $(ENVIRONMENT) ## the image, in build/image, by buildah without a registry; AGAIN=1 with the newest packages of Debian, BASE=image upon another base
	@$(PYTHON) render/build.py > /dev/null
	$(PYTHON) -m image $(if $(AGAIN),--again) $(if $(BASE),--base '$(BASE)')

clean: ## the environment; programs that were built stay in the cache
	rm -rf .venv .uv .cache build/image build/pages build/site

$(ENVIRONMENT): requirements.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python '$(INTERPRETER)' .venv
	$(UV) pip sync --quiet --python $(PYTHON) --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	@touch $@

# A venv where Python has one to give; --target works where pip refuses to touch the system and ensurepip is not packaged.
.uv/bin/uv: .ci/uv.lock
	python3 -m venv .uv && .uv/bin/python -m pip install --quiet --require-hashes --requirement .ci/uv.lock \
		|| { rm -rf .uv; python3 -m pip install --quiet --target .uv --require-hashes --requirement .ci/uv.lock; }
	@touch $@
