# make book: the book in _build/html.   make test: every test.   make lab: JupyterLab on the chapters.
# A reader on Linux without a GPU can save gigabytes: make test TORCH_INDEX="--index-url https://download.pytorch.org/whl/cpu"

SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON      ?= python3
PORT        ?= 8000
TORCH_INDEX ?=
BIN         := .venv/bin
PIP         := $(BIN)/python -m pip install --disable-pip-version-check
HTML        := _build/html
NOTEBOOKS   ?= notebooks
# Chapters make many small calls, which threads only slow down (fourfold on two cores); set these to use more. The kernels,
# whose calls are long, take a thread a core.
ONE_THREAD  := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=$${MKL_NUM_THREADS:-1} OPENBLAS_NUM_THREADS=$${OPENBLAS_NUM_THREADS:-1}
# pip says much, and with --quiet nothing for minutes: one line for every 20 packages, and one before the last step.
COUNT       := awk '/^(Collecting|Processing) / && ++n % 20 == 0 { print "  " n " packages" } \
                    /^Installing collected/ { print "  unpacking" } { fflush() }'

.DEFAULT_GOAL := help
.PHONY: help book serve offline lab execute lint lock new test test-library test-tools test-kernels test-notebooks test-browser \
        test-cpus test-peers mutants chromium bench bench-gpu explorer wasm clean

help: ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*##/ { printf "%-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13) and \
		f"Python 3.11, 3.12 or 3.13 is needed, $(PYTHON) is {v[0]}.{v[1]}; say which: make PYTHON=python3.13 ...")'
	@$(PYTHON) -m venv .venv

# What builds the book: no torch, no library.
.venv/.book: requirements-book.lock | .venv/bin/python
	@echo "installing what builds the book into .venv: $$(grep -c '==' requirements-book.lock) packages, 240 MB on disk, about a minute"
	@$(PIP) --no-deps --require-hashes -r requirements-book.lock | $(COUNT)
	@touch $@

# Everything. Torch comes last and alone, because it is the one package without hashes.
.venv/.all: requirements.lock pyproject.toml .venv/.book
	@echo "installing the library, JupyterLab and the test tools into .venv: $$(grep -c '==' requirements.lock) packages, 1.8 GB on disk, a few minutes"
	@grep -v '^torch==' requirements.lock > .venv/hashed.txt
	@$(PIP) --no-deps --require-hashes -r .venv/hashed.txt | $(COUNT)
	@echo "installing torch: $(if $(TORCH_INDEX),the CPU build has 0.7 GB,with CUDA some GB; README says how to get the small CPU build)"
	@$(PIP) $(TORCH_INDEX) "$$(grep -o '^torch==[0-9.]*' requirements.lock)"
	@$(PIP) --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Second opinions. Nothing that they ask for is followed: galore-torch would bring other packages' builds of half of the lock.
.venv/.peers: pyproject.toml | .venv/.all
	@$(PIP) --quiet --no-deps $$($(BIN)/python -c "import tomllib; \
		print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['peers'])")
	@touch $@

.venv/.mutants: pyproject.toml | .venv/.all
	@$(PIP) --quiet --no-deps $$($(BIN)/python -c "import tomllib; \
		print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['mutants'])")
	@touch $@

book: .venv/.book ## build the static book from the stored outputs
	@$(BIN)/python book/_tools/build.py

serve: book ## serve the book on localhost
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(HTML)

offline: .venv/.all chromium book ## the site as one zip, each chapter as a PDF, in _build/offline (CHAPTER=slug prints that one)
	@$(BIN)/python book/_tools/offline.py $(CHAPTER)

lab: .venv/.all ## open JupyterLab on copies of the chapters (LABFLAGS=--no-browser and the like)
	@$(BIN)/python book/_tools/lab.py $(NOTEBOOKS)
	@export IMPLICITLY_THREADS=$${IMPLICITLY_THREADS:-$$($(BIN)/python -c 'import os; print(os.cpu_count())')}; \
	$(ONE_THREAD) $(BIN)/jupyter lab --notebook-dir $(NOTEBOOKS) $(LABFLAGS)

execute: .venv/.all ## run the chapters whose notebooks are stale (CHAPTER=slug runs that one; FORCE=1 replaces edits)
	@$(BIN)/python book/_tools/execute.py $(CHAPTER) $(if $(FORCE),--force)
	@$(BIN)/python book/_tools/readme_chapters.py

lint: .venv/.all ## lints of code, types, layers and chapters
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/mypy
	@$(BIN)/python book/_tools/wasm.py --check
	@$(BIN)/python book/_tools/lint.py

lock: .venv/.all ## pin today's versions (UPGRADE=1 takes the newest)
	@$(BIN)/python book/_tools/lock.py $(if $(UPGRADE),--upgrade)

new: .venv/.all ## start a chapter: make new CHAPTER=slug
	@$(BIN)/python book/_tools/new_chapter.py "$(CHAPTER)"

bench: .venv/.all ## benchmark the kernels on this CPU (five minutes; writes result files)
	@$(BIN)/python kernels/benchmarks/run.py

bench-gpu: .venv/.all ## benchmark the kernels on this GPU
	@$(BIN)/python kernels/benchmarks/run.py --device cuda --peers all

explorer: ## rebuild the explorer's script from its source (needs Node)
	@cd lib/explorer-js && npm ci --no-fund --no-audit && npm run build

wasm: .venv/.all ## compile the page functions whose source has changed (installs wasm-ld)
	@$(BIN)/python book/_tools/ensure_lld.py > /dev/null
	@$(BIN)/python book/_tools/wasm.py

chromium: .venv/bin/python
	@$(BIN)/python book/_tools/ensure_chromium.py > /dev/null

# What a lane prints at its end says where its time goes. Groups are those of tests/workers.py; they start in the order
# in which they are named, which has what takes long first: else one worker waits for it at the end.
PYTEST = $(BIN)/python -m pytest -q -n 2 --durations=10 --dist loadgroup --no-loadscope-reorder
# SHARD=2/3 runs the second of three parts of a lane, as continuous integration does with the long ones.
SHARDED = $(PYTEST) $(if $(SHARD),--shard $(SHARD))

test: lint test-library test-tools test-kernels test-notebooks test-browser ## every test

test-library: .venv/.all chromium ## library, and the claims of chapters with planted faults
	@$(SHARDED) tests/chapters tests/lib

test-tools: .venv/.all chromium ## tools, the built book as files, the repository
	@$(SHARDED) tests $(addprefix --ignore tests/,lib chapters kernels browser peers)

test-kernels: .venv/.all ## kernels: cpu, interpreter and compile lanes (and gpu where there is one)
	@$(PYTEST) tests/kernels -m "not interp"
	@TRITON_INTERPRET=1 $(PYTEST) tests/kernels -m interp

test-notebooks: .venv/.all ## every notebook prints what it stores
	@$(BIN)/python book/_tools/paths.py $(PYTEST) --dist loadfile --nbval chapters --nbval-sanitize-with tests/nbval.cfg -p no:cacheprovider

test-browser: .venv/.all chromium book ## the built book in a real browser, and JupyterLab
	@$(SHARDED) tests/browser

test-cpus: .venv/.all ## library, kernels and notebooks under the arithmetic of other CPUs (hours; CPUS="-a sse -s lib" runs a part)
	@$(BIN)/python book/_tools/cpus.py $(CPUS)

test-peers: .venv/.peers ## second opinions: independent packages on what claims rest on (RECORD=1 writes what they say)
	@$(ONE_THREAD) $(BIN)/python -m pytest -q --durations=10 tests/peers $(if $(RECORD),--record)

mutants: .venv/.mutants ## faults that no test notices (MINUTES=30 ONLY=margins/limits; QUICK=1 leaves out the chapters' tests)
	@$(BIN)/python -m pytest -q tests/test_mutants.py
	@$(BIN)/python book/_tools/mutants.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(ONLY),--only "$(ONLY)") $(if $(QUICK),--quick)

clean: ## remove what was built
	@rm -rf _build .pytest_cache .ruff_cache
