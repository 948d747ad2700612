# Tidemill. `make demo` shows the closed loop on a real cluster, `make test` runs every test; both set up what they need.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PYTHONPATH := $(CURDIR)/operator:$(CURDIR)/tests
python := .venv/bin/python

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 24

.venv/.ready: pyproject.toml operator/constraints.txt tests/environment.sh
	@echo "Preparing .venv (about 20 s with warm caches)"
	@sh tests/environment.sh

.PHONY: demo
demo: .venv/.ready ## Show the closed loop on a real cluster, narrated
	@$(python) -m demo

.PHONY: test
test: lint test-unit test-cluster ## Run every test: first those without a cluster, then those on real pods

.PHONY: lint
lint: .venv/.ready ## Check style, types and the direction of imports
	@$(python) -m ruff check operator tests
	@$(python) -m ruff format --check operator tests
	@$(python) -m mypy
	@MYPYPATH=tests $(python) -m mypy --strict --explicit-package-bases -p cluster -p chaos -p fuzz
	@.venv/bin/lint-imports --no-logo

# A cluster that was up before stays up; one that the tests started goes with them, however they end.
.PHONY: test-cluster
test-cluster: .venv/.ready ## Run the tests that need an API server or pods, on a cluster
	@$(python) -m cluster status >/dev/null 2>&1 || trap '$(python) -m cluster down' EXIT; \
	$(python) -m cluster up; \
	$(python) -m cluster images; \
	TIDEMILL_HELM="$$($(python) -m cluster tools)/helm" $(python) -m tidemill generate --check; \
	$(python) -m pytest -m api -q; \
	$(python) -m pytest -m e2e -q

# The tests of serving that read, answer and log most kinds of request; they run a second time without the fast path.
slow_path := tests/unit/runtime/protocol $(addprefix tests/unit/runtime/serve/,test_http.py test_log.py test_protocol.py)

.PHONY: test-unit
test-unit: .venv/.ready .venv-clients/.ready ## Run the tests that need only Python
	@$(python) -m pytest -m "not api and not e2e" -n 2 -q
	@TIDEMILL_FAST_PATH=no $(python) -m pytest $(slow_path) -n 2 -q

.PHONY: test-slow-path
test-slow-path: .venv/.ready .venv-clients/.ready ## Run all tests of serving without its fast path (TIDEMILL_FAST_PATH=no)
	@TIDEMILL_FAST_PATH=no $(python) -m pytest tests/unit/runtime/protocol tests/unit/runtime/serve -n 2 -q

.PHONY: search
search: .venv/.ready ## Try the properties on new examples, ROUNDS times
	@for round in $$(seq $(or $(ROUNDS),5)); do \
		TIDEMILL_SEARCH=1 $(python) -m pytest $$(grep -rl "^@given" tests) -n 2 -q; \
	done

.PHONY: test-api
test-api: .venv/.ready ## Run the tests on a real API server without a node
	@$(python) -m pytest -m api -q

.PHONY: test-e2e
test-e2e: .venv/.ready ## Run the tests on real pods
	@$(python) -m pytest -m e2e -q

.PHONY: cluster-up
cluster-up: .venv/.ready ## Start a local Kubernetes cluster
	@$(python) -m cluster up

.PHONY: cluster-down
cluster-down: .venv/.ready ## Stop the local cluster, and leave only the cache
	@$(python) -m cluster down

.PHONY: images
images: .venv/.ready ## Build the images and load them into the cluster
	@$(python) -m cluster images

.PHONY: generate
generate: .venv/.ready ## Write CRDs, chart copies, manifests and the reference from the types
	@TIDEMILL_HELM="$$($(python) -m cluster tools)/helm" $(python) -m tidemill generate

.PHONY: verify
verify: .venv/.ready ## Fail if anything that is generated differs from its source
	@TIDEMILL_HELM="$$($(python) -m cluster tools)/helm" $(python) -m tidemill generate --check

.PHONY: chaos
chaos: .venv/.ready ## Play every class of faults against the operator, at most an hour; failing plans land in reports/chaos
	@$(python) -m chaos run --minutes 58 --at-once 18 --failures reports/chaos

.PHONY: chaos-windows
chaos-windows: .venv/.ready ## Kill the operator in each of 1,000 drift windows; each must have exactly one TrainingJob
	@$(python) -m chaos windows --count 1000

.PHONY: soak-serving
soak-serving: .venv/.ready ## Roll fifty versions out under 100,000 requests while the cluster is disturbed, about half an hour
	@$(python) -m soak

.PHONY: fuzz-specs
fuzz-specs: .venv/.ready ## Try mutated, misused, tampered and reverted specs on the operator, at most an hour; failing cases land in reports/fuzz
	@$(python) -m fuzz run --minutes 60 --failures reports/fuzz

.venv-clients/.ready: tests/clients/requirements.txt | .venv/.ready
	@$(python) -m venv --without-pip --clear .venv-clients
	@.venv/bin/uv pip install -q --python .venv-clients/bin/python -r $< || \
		{ sleep 3; .venv/bin/uv pip install -q --python .venv-clients/bin/python -r $<; }
	@touch $@

.PHONY: test-clients
test-clients: .venv/.ready .venv-clients/.ready ## Try the server with Triton's and KServe's clients, from an environment of their own
	@$(python) -m pytest tests/unit/runtime/serve/test_clients.py -q

.PHONY: keda
keda: .venv/.ready ## Let KEDA itself scale a service by a real Prometheus, on an embedded cluster of its own; builds for ten minutes once
	@$(python) -m keda

.PHONY: bench-drift
bench-drift: .venv/.ready ## Time drift statistics against Evidently, NannyML, whylogs, polars, DuckDB and an expert's script, then a long stream
	@$(python) tests/benchmarks/drift --rows 200000 --rounds 3
	@$(python) tests/benchmarks/drift --rows 1000000 --rounds 3 --stream 2000000 10000000
	@$(python) tests/benchmarks/drift/command.py --rows 1000000 --rounds 3
	@$(python) tests/benchmarks/drift --rows 100000 --width 500 --rounds 3
	@$(python) tests/benchmarks/drift --rows 100000 --width 2000 --rounds 3 --peers "numpy + scipy"

.PHONY: search-bounds
search-bounds: .venv/.ready ## Try the bounds of drift statistics on 100,000 random pairs of samples (PAIRS=1000000)
	@TIDEMILL_BOUNDS=$(or $(PAIRS),100000) $(python) -m pytest tests/properties/test_bounds.py -n 2 -q

.PHONY: bench-drift-level
bench-drift-level: .venv/.ready ## Print how often one column is called moved where nothing moved and where it did (LEVEL="--trials 1000 --seconds 600")
	@$(python) tests/benchmarks/drift/level.py $(LEVEL)

.PHONY: bench-drift-peers
bench-drift-peers: .venv/.ready ## Install the tools that drift is compared with, each in an environment of its own in the cache (PEERS="evidently nannyml")
	@$(python) tests/benchmarks/drift/peers.py $(PEERS)

.PHONY: bench-serving
bench-serving: .venv/.ready ## Time the server against an echo, MLServer, KServe, BentoML, MLflow and FastAPI; needs wrk (SERVING="--rows 100 --binary")
	@$(python) tests/benchmarks/serving/budget.py
	@$(python) tests/benchmarks/serving/compare.py --models logistic --forms all
	@$(python) tests/benchmarks/serving/compare.py --peers fastapi mlserver kserve bentoml mlflow $(SERVING)

.PHONY: bench-operator
bench-operator: .venv/.ready ## Time the operator against an idiomatic one on a real API server; OBJECTS=1000,10000 says how many
	@$(python) -m benchmarks.operator --objects $(or $(OBJECTS),1000) --rounds $(or $(ROUNDS),1)

.PHONY: clean
clean: ## Remove what was built here; caches of the user stay
	@rm -rf .venv build dist reports *.egg-info operator/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find operator tests -name __pycache__ -type d -prune -exec rm -rf {} +
