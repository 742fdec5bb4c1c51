# `make help` lists the targets. Everything runs from .venv, which `make setup` makes and keeps up to date.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.lock
IMAGE := build/whodex.binpb
RELEASED := proto/released.binpb
PROTOS := $(shell find proto -name '*.proto')
GENERATOR := proto/generate.py proto/hatch_build.py
COMPILE := $(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | sort | expand -t 18

# --- Setting up

.PHONY: setup
setup: install ## Make .venv, install everything, prepare the models and the sample media
	@$(BIN)/whodex models pull
	@$(BIN)/whodex demo --pull

.PHONY: install
install: $(VENV)/.stubs ## Make .venv with everything in it, but no models

$(BIN)/uv: | $(LOCK)
	@for python in python3.11 python3.12 python3; do \
	  if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	    2>/dev/null; then break; fi; \
	  python=; \
	done; \
	if [[ -z $$python ]]; then \
	  echo "Python 3.11 or 3.12 with its venv module is needed, and none is on PATH" \
	    "(on Debian and Ubuntu: apt install python3 python3-venv)." >&2; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' $(LOCK) > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock

$(VENV)/.installed: $(LOCK) pyproject.toml | $(BIN)/uv
	@echo "Installing the packages of $(LOCK)"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes $(LOCK)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.stubs: $(VENV)/.installed $(PROTOS) $(GENERATOR)
	@$(BIN)/python proto/generate.py
	@touch $@

# --- Developing

.PHONY: proto
proto: install ## Generate the stubs from the contracts
	@$(BIN)/python proto/generate.py

.PHONY: format
format: install ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: check
check: check-format lint types contracts imports check-lock dependencies containers docs ## The one gate: all checks but the tests
	@echo "make check: ok"

.PHONY: check-format
check-format: install ## Check the format
	$(BIN)/ruff format --check .

.PHONY: lint
lint: install ## Lint with ruff
	$(BIN)/ruff check .

.PHONY: types
types: install ## Check the types with mypy
	$(BIN)/mypy
	$(BIN)/mypy docs/site

.PHONY: contracts
contracts: $(IMAGE) ## Lint the contracts, and compare them with the last release
	$(BIN)/buf lint $(IMAGE) --config proto/buf.yaml
	$(BIN)/buf breaking $(IMAGE) --against $(RELEASED) --config proto/buf.yaml

.PHONY: imports
imports: install ## Check who imports whom
	$(BIN)/lint-imports

.PHONY: check-lock
check-lock: install ## Check that the lock follows pyproject.toml
	@mkdir -p build
	@cp $(LOCK) build/dev.lock
	$(COMPILE) --output-file build/dev.lock
	@diff -u $(LOCK) build/dev.lock || { echo "$(LOCK) is not up to date: run make lock" >&2; exit 1; }

.PHONY: dependencies
dependencies: install ## Check for unused and undeclared dependencies
	$(BIN)/deptry .

.PHONY: containers
containers: install ## Check the container files: Dockerfile, docker-compose.yml, Kubernetes manifests
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/kubernetes-validate --quiet --strict --kubernetes-version 1.34 deploy/kubernetes/*.yaml

.PHONY: lock
lock: install ## Update the lock to pyproject.toml; UPGRADE=1 takes the newest versions
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file $(LOCK)

$(IMAGE): $(VENV)/.stubs
	@$(BIN)/python proto/generate.py --image $@

.PHONY: release-image
release-image: $(IMAGE) ## Make today's contracts the ones that later ones may not break
	cp $(IMAGE) $(RELEASED)

.PHONY: docs
docs: $(IMAGE) ## Build the documentation's site in build/site; a broken link or anchor fails
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env \
	  --conf-dir docs/site --doctree-dir build/doctrees docs build/site

# --- Testing

.PHONY: test
test: setup ## Set up, and run all tests with the real parts
	$(BIN)/pytest

.PHONY: test-unit
test-unit: install ## Run the tests that need no running part
	$(BIN)/pytest tests/unit

.PHONY: test-wheel
test-wheel: setup ## Build the wheel and run every task from it, away from the checkout
	@tests/wheel/run.sh

.PHONY: fuzz
fuzz: install ## Fuzz every parser of untrusted bytes: SECONDS=60 for each
	$(BIN)/python -m tests.fuzz --seconds=$(or $(SECONDS),60)

.PHONY: bench
bench: setup ## Measure, and compare with the targets
	$(BIN)/python -m tests.benchmarks

.PHONY: bench-accuracy
bench-accuracy: setup ## Measure the accuracy on a folder of photographs: DATA=FOLDER
	@[[ -n "$(DATA)" ]] || { echo "Which photographs? make bench-accuracy DATA=FOLDER" >&2; exit 1; }
	$(BIN)/python -m tests.benchmarks.accuracy $(DATA)

# --- Running

.PHONY: demo
demo: setup ## Enrol people, search a video, compare with the truth
	@$(BIN)/whodex demo

.PHONY: up
up: setup ## Start the local stack in the background
	@$(BIN)/whodex up --detach

.PHONY: down
down: ## Stop the local stack
	@$(BIN)/whodex down

.PHONY: status
status: ## Show the parts of the local stack
	@$(BIN)/whodex status

.PHONY: clean
clean: ## Remove what was built; the stack's state and the models stay
	rm -rf build dist $(VENV) whodex/v1 whodex/buf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
