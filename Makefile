# The project's commands. Each makes its own virtual environment in .venv the first time.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
WORKERS ?= 3
INSTALLED := .venv/.installed

.PHONY: help demo test lint bench proof clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the wizard on a small project, no GPU needed     (make demo ARGS=\"DIR --headless\")"
	@echo "make test    the tests                                        (make test ARGS=\"tests/plan -k buckets\")"
	@echo "make lint    style, types, and who may import whom"
	@echo "make bench   how fast training is, beside plain loops         (make bench ARGS=…)"
	@echo "make proof   the long tests that make test leaves out"
	@echo "make clean   remove .venv and caches"

demo: $(INSTALLED)
	@$(BIN)/lora-tui demo $(ARGS)

# Three workers for two cores: many tests wait for an engine or a terminal. Files in their own order: xdist would begin
# with those of many tests, and end with few long ones on one worker.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not proof" -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

proof: $(INSTALLED)
	$(BIN)/python -m pytest -m proof $(ARGS)

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The stamp makes the second start quick; a changed dependency list renews the installation. What is said goes to
# stderr, so that `make -s demo ARGS=--json` prints one JSON object and nothing else.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "lora-tui needs Python 3.11 or newer; none was found." >&2; exit 1; }
	@echo "Setting up .venv (the first time takes some minutes: torch alone is large) …" >&2
	@$(PYTHON) -m venv .venv >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' >&2
	@touch $@

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
