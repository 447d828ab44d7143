# Each target first sets up .venv from requirements.lock; a second call finds it up to date.
# The programs in .venv hold its path, so it is made anew when the project's folder was moved or renamed.
PYTHON ?= python3.11
VENV := .venv
STAMP := $(VENV)/installed
MOVED := $(shell grep -qsx "command = .* $$(pwd -P | sed 's/[][\.*^$$]/\\&/g')/$(VENV)" $(VENV)/pyvenv.cfg || echo moved)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# where it is set, as in some containers, every process compiles the project and its tests anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: moved help env repro test tests slow lint reproduce torture bench gpu-check docs lock
.DEFAULT_GOAL := help

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

env: $(STAMP) ## Create .venv from requirements.lock: exact versions, checked hashes

# pip fetches uv alone, at the lock's version and hash; uv fetches the rest in seconds instead of minutes.
# A busy machine may take longer to compile a module than the minute after which uv gives up: 0 means that it waits.
$(STAMP): requirements.lock pyproject.toml $(MOVED)
	$(PYTHON) -m venv --clear $(VENV)
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >$(VENV)/uv.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.lock
	UV_COMPILE_BYTECODE_TIMEOUT=0 $(VENV)/bin/uv pip sync --compile-bytecode --python $(VENV)/bin/python --require-hashes requirements.lock
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --no-deps --no-build-isolation --editable .
	touch $@

# a power cut may leave DVC's list of who writes what half written, and DVC then does nothing at all
repro: env ## Run the whole pipeline, or what of it has changed
	@test ! -e .dvc/tmp/rwlock || python -m json.tool .dvc/tmp/rwlock /dev/null 2>/dev/null || rm .dvc/tmp/rwlock
	dvc repro

PYTEST := OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: env ## Lint, check types and run the tests but those that take longest
	$(MAKE) --no-print-directory --jobs 2 lint tests

tests: env # beside lint, which one processor is enough for
	$(PYTEST) -m "not openvino and not slow" tests/pipeline tests/unit

# OpenVINO once ended a process that had run other tests: its tests have processes of their own.
slow: env ## Run the tests that take longest, and those of OpenVINO; CI does it too
	$(PYTEST) -m "slow and not openvino" tests/pipeline tests/unit
	$(PYTEST) -m openvino $$(grep -rl mark.openvino tests/unit)

lint: env ## Lint and check types
	ruff check
	ruff format --check
	mypy

reproduce: env ## Rebuild the committed result in a fresh clone and compare
	python -m tools.reproduce

torture: env ## Long campaigns: 10,000 mutated pictures, 2,000 videos, 20 kills of `dvc repro` and of `--resume`; not part of the tests
	python -m tests.torture.images
	python -m tests.torture.videos
	python -m tests.torture.kills
	python -m tests.torture.resumes

bench: env ## Time this against the original recipe, quickly
	for name in input train infer predict video videos pipeline scale faces; do echo "== $$name"; python -m benchmarks.$$name --quick || exit 1; done

gpu-check: env ## What needs a GPU, in ten minutes: its tests, the speed of training, repetition, a kill
	python -m tools.gpu_check

docs: env ## Write docs/reference/ anew from the code
	python -m tools.reference
	python -m tools.diagram

lock: env ## Write requirements.lock anew from pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--all-extras pyproject.toml --output-file requirements.lock
