# Every target sets up .venv first if it is missing or out of date; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet
LDR_DATA ?=
export LDR_DATA

.DEFAULT_GOAL := help
.PHONY: help quickstart test lint lab figures records priors transfer site course slides quiz solutions grade wall

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Set LDR_DATA to the folder of your datasets for what needs real images."

quickstart: .venv/ready ## train on the real sample, show where the figures are and what to compare
	@echo "Notebook 00 trains and measures: about two minutes on two processor cores."
	@$(BIN)/python -c "from ldr_lib.readme import quickstart; print(quickstart())"

test: .venv/ready ## run all tests and re-execute the notebooks in seconds each
	$(BIN)/python -m pytest
	LDR_TIER=smoke LDR_RUNS="$(CURDIR)/runs/tests" $(BIN)/python -m pytest --nbval-lax --nbval-current-env $(NOTEBOOKS)

lint: .venv/ready ## check style and formatting of code and notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lab: .venv/ready ## open JupyterLab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

figures: .venv/ready ## re-execute all notebooks in place, redraw figures/, about half an hour
	$(BIN)/python -m ldr_lib execute $(NOTEBOOKS)
	$(BIN)/python -m ldr_lib tables

records: .venv/ready ## repeat the notebooks over three seeds, about an hour
	$(BIN)/python -m ldr_lib records records --data-dir "$(LDR_DATA)"

priors: .venv/ready ## repeat the guided trainings on real images, hours
	$(BIN)/python -m ldr_lib records priors --data-dir "$(LDR_DATA)"

transfer: .venv/ready ## repeat pretraining and segmentation with few labels, hours
	$(BIN)/python -m ldr_lib records transfer --data-dir "$(LDR_DATA)"

site: .venv/ready ## write the kit as pages to runs/site, for any browser
	$(BIN)/python -m website runs/site

course: .venv/ready slides quiz solutions ## build assignments, students' kit, slides, quizzes, solutions; rehearse grading
	$(BIN)/python tests/course/rehearse.py runs/course

slides: .venv/ready ## build the slides, one file for each notebook, to runs/slides
	$(BIN)/python notebooks/course/material slides runs/slides

quiz: .venv/ready ## export the quizzes for learning platforms to runs/quiz
	$(BIN)/python notebooks/course/material quiz runs/quiz

solutions: .venv/ready ## write solutions of exercises and assignments to runs/solutions
	$(BIN)/python notebooks/course/material solutions runs/solutions

grade: .venv/ready ## grade ASSIGNMENT in the course folder COURSE, students' programs behind a wall
	@$(BIN)/python notebooks/course/grading "$(COURSE)" $(ASSIGNMENT) $(if $(STUDENT),--student "$(STUDENT)")

wall: .venv/ready ## build the container image behind which students' programs run
	@$(BIN)/python notebooks/course/grading/image.py

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit('Python 3.10 or newer is needed, this is ' + sys.version) if sys.version_info < (3, 10) else None"
	@echo "Installing into .venv; this takes some minutes the first time."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(INSTALL) --upgrade pip
	@$(INSTALL) -c constraints.txt -e ".[test]" || { \
		echo "The exact versions in constraints.txt do not fit this Python; taking the newest that fit."; \
		$(INSTALL) -e ".[test]"; }
	@touch $@
