# make run    install into .venv if needed and start the default ensemble
# make test   install with the test extra if needed and run everything that CI runs
# make lint   only the static checks

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# make/make/p' Makefile

# torch goes first: its pinned version decides whether the rest needs a GPU build at all.
define install
	@echo "installing into $(VENV), which takes a minute or two"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '$(1)'
	touch $@
endef

$(VENV)/installed: pyproject.toml constraints.txt
	$(call install,.)

$(VENV)/installed-test: pyproject.toml constraints.txt
	$(call install,.[test])

run: $(VENV)/installed
	$(BIN)/python launch/run_ensemble.py $(ARGS)

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
