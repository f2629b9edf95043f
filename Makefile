# `make docs` does the main job, `make test` proves it. Both install what they need.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := docs
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# A file's tests share a lab and stay together; files run side by side, the long ones first. Much of their time is
# spent in waiting, for Slurm and for time limits: seven workers keep two cores busy.
SIDE_BY_SIDE := --dist=loadfile --no-loadscope-reorder --numprocesses
SHELL_FILES := tests/install-system tests/bare tests/matrix/make-root tests/matrix/enter-root .ci/run
export NO_MKDOCS_2_WARNING := 1
# What Python has compiled is kept: every test that starts a program would compile it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: docs render check serve test test-fast matrix bare mutation bench reliability kills fuzz lint format lock clean

docs: $(VENV)/docs.stamp  ## scripts, READMEs and site, built and checked
	$(BIN)/python -m diffueraser_docs render
	for script in scripts/*.s*; do bash -n "$$script"; done
	$(BIN)/python -m diffueraser_docs check
	$(BIN)/python -m mkdocs build --strict

render: $(VENV)/docs.stamp  ## only scripts and READMEs
	$(BIN)/python -m diffueraser_docs render

check: $(VENV)/docs.stamp  ## only the checks, nothing is written
	$(BIN)/python -m diffueraser_docs check

serve: $(VENV)/docs.stamp  ## the site while you write it
	$(BIN)/python -m mkdocs serve

# Meanwhile the packages for the cluster tests are downloaded.
test: $(VENV)/test.stamp tests/system.stamp  ## everything, on real parts
	$(BIN)/python -c 'import tests.pypi as index; index.build_wheelhouse()' & \
	$(BIN)/pytest $(SIDE_BY_SIDE)=3 -m "not cluster and not browser and not matrix"; wait $$!
	$(BIN)/pytest $(SIDE_BY_SIDE)=7 -m "cluster or browser"

test-fast: $(VENV)/test.stamp  ## without cluster and browser, in seconds
	$(BIN)/pytest --numprocesses=auto -m "not network and not slow" tests/unit

matrix: $(VENV)/test.stamp  ## launcher, setup and training on four releases of Slurm, or on one: RELEASE=24.11
	tests/install-system debootstrap slurmctld slurmd slurm-client munge curl iproute2 git nano
	$(BIN)/pytest --numprocesses=4 --dist=loadgroup -m matrix -k "$(RELEASE)" --tested-with=docs/generated tests/matrix

bare: $(VENV)/docs.stamp  ## does what is committed need more than Debian 13 with git, make and Python?
	tests/install-system debootstrap
	tests/bare

mutation: $(VENV)/test.stamp  ## are the checks and fast tests any good? COUNT small defects of each kind, each must be caught
	$(BIN)/python -m tests.mutations --count $(or $(COUNT),5) --seed $(or $(SEED),1)

reliability: $(VENV)/test.stamp tests/system.stamp  ## every fault once more, and thirty random kills, for the page Reliability
	KILLS=$(or $(KILLS),30) KILL_SEED=$(or $(SEED),1) $(BIN)/pytest $(SIDE_BY_SIDE)=5 -m fault --reliability=docs/generated tests
	$(MAKE) docs

kills: $(VENV)/test.stamp tests/system.stamp  ## the pipeline is killed at KILLS random moments (SEED says which), here or on a RELEASE=24.11
	KILLS=$(or $(KILLS),30) KILL_SEED=$(or $(SEED),1) $(BIN)/pytest --numprocesses=0 -k "$(RELEASE)" \
	  $(if $(RELEASE),tests/matrix,tests/cluster)/test_random_kills.py

fuzz: $(VENV)/test.stamp tests/system.stamp  ## COUNT mutated config.env files, in scripts and builder, and a tenth as many hostile Hubs and environments (SEED)
	FUZZ_COUNT=$(or $(COUNT),5000) FUZZ_SEED=$(or $(SEED),1) $(BIN)/pytest --numprocesses=auto tests/fuzz tests/browser/test_builder_fuzz.py

lint: $(VENV)/test.stamp  ## Python, Markdown, links, scripts and their embeddings, the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pymarkdown --config pyproject.toml scan docs PRD CONTRIBUTING.md CHANGELOG.md
	cd scripts && ../$(BIN)/shellcheck --external-sources --check-sourced *.sbatch
	$(BIN)/shellcheck $(SHELL_FILES)
	$(BIN)/shfmt -d -i 4 -ci -ln bash scripts/*.s* $(SHELL_FILES)
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/python -m mkdocs build --strict
	$(BIN)/python -m diffueraser_docs check

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/test.stamp tests/system.stamp  ## what the scripts cost against the least possible, for the page Benchmarks
	$(BIN)/python -m tests.bench

lock: $(VENV)/test.stamp  ## after an edit of requirements/*.in or of versions in facts/environment.yaml
	for name in docs test; do \
	  $(BIN)/uv pip compile --quiet requirements/$$name.in --universal --python-version 3.11 \
	    --generate-hashes --no-header --output-file requirements/$$name.txt; \
	done
	$(BIN)/python requirements/environment.py

# Debian ships Python without venv; a stamp is written only when everything before it succeeded.
$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); tests/install-system python3-venv; $(PYTHON) -m venv $(VENV); }

$(VENV)/docs.stamp: requirements/docs.txt pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --require-hashes --requirement requirements/docs.txt
	touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/docs.stamp
	$(BIN)/pip install --quiet --require-hashes --requirement requirements/test.txt
	touch $@

tests/system.stamp: tests/system-packages.txt
	tests/install-system $$(sed 's/#.*//' $<)
	touch $@

clean:
	rm -rf $(VENV) site .cache tests/system.stamp
