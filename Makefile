# quickstart: set up and run notebook 00 | test: set up and run all tests | lab: open JupyterLab
# figures: re-execute all notebooks and redraw figures/ | records: the runs over three seeds behind the comparisons
# course: build the assignments' release in runs/course and rehearse grading with a class of ten
# transfer: pretraining of all encoders and the table of notebook 05, hours on two cores; what is kept is not measured again
# priors: the trainings behind notebook 04's table on real images and its shipped weights, hours on two cores
PYTHON ?= python3
BIN := .venv/bin
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
SEEDS ?= 0,1,2
comma := ,
export LDR_DATA ?= $(realpath ../shared/data)

.PHONY: quickstart test lab figures records priors transfer course

quickstart: .venv/ready
	@mkdir -p runs/00_quickstart
	$(BIN)/papermill --cwd notebooks notebooks/00_quickstart.ipynb runs/00_quickstart/00_quickstart.ipynb
	@echo "Done. Look at the pictures in $(CURDIR)/runs/00_quickstart:"
	@cd runs/00_quickstart && ls *.png *.csv record.json 00_quickstart.ipynb

test: .venv/ready
	$(BIN)/python -m pytest
	LDR_TIER=smoke LDR_RUNS=runs/tests $(BIN)/python -m pytest --nbval-lax --nbval-current-env $(NOTEBOOKS)

lab: .venv/ready
	$(BIN)/jupyter lab notebooks

figures: .venv/ready
	@set -e; for notebook in $(NOTEBOOKS); do $(BIN)/python -m ldr_lib.runs execute $$notebook; done

SWEEP := $(BIN)/python -m ldr_lib.runs sweep --keep
SIMULATED := simulated_fundus,simulated_chest
records: .venv/ready
	for notebook in 00_quickstart 03_embedding_visualization; do \
		$(SWEEP) notebooks/$$notebook.ipynb --grid dataset=$(SIMULATED)$(if $(LDR_DATA),$(comma)chase_db1) --grid seed=$(SEEDS) -p data_dir "$(LDR_DATA)" || exit 1; done
	$(SWEEP) notebooks/02_two_branch_training.ipynb --grid dataset=simulated_fundus --grid seed=$(SEEDS)
	$(SWEEP) notebooks/04_prior_guided_clustering.ipynb --grid seed=$(SEEDS)

course: .venv/ready
	$(BIN)/python tests/course/rehearse.py runs/course

STUDY := $(BIN)/python -m ldr_lib.prior_study
priors: .venv/ready
	$(STUDY) baselines
	@set -e; for seed in $(subst $(comma), ,$(SEEDS)); do \
		for method in rendered combined; do \
			$(STUDY) vessel --prior octa --method $$method --seed $$seed; \
			$(STUDY) vessel --prior octa --method $$method --control "from representation" --seed $$seed; \
			$(STUDY) disc --method $$method --seed $$seed; \
			$(STUDY) chest --method $$method --seed $$seed; \
		done; \
		for prior in octa dsa simulated; do $(STUDY) vessel --prior $$prior --tier short --seed $$seed; done; \
		$(STUDY) vessel --prior octa --method adversarial --tier short --seed $$seed; \
		for control in shuffled "other structure" "no region" "no distractors" untrained "one label" "from representation"; do \
			$(STUDY) vessel --prior octa --control "$$control" --tier short --seed $$seed; \
		done; \
	done

CELLS := $(BIN)/python -m ldr_lib.transfer --seed $(subst $(comma), ,$(SEEDS)) --jobs 2
transfer: .venv/ready
	@set -e; for modality in fundus chest; do for method in ldr instance dense autoencoder patch patch_mixup simulated; do \
		$(BIN)/python -m ldr_lib.pretraining $$modality --method $$method; done; done
	$(BIN)/python -m ldr_lib.pretraining fundus --method whole
	@set -e; for modality in fundus chest; do for seed in 1 2; do \
		$(BIN)/python -m ldr_lib.pretraining $$modality --method ldr --seed $$seed; done; done
	$(BIN)/python -m ldr_lib.pretraining ship
	$(CELLS) --task real --init random ldr instance dense autoencoder --labels 1 4 0
	$(CELLS) --task real --init patch patch_mixup simulated ldr-1 ldr-2 scratch guided --labels 1
	$(CELLS) --task disc_drions vessel_chase_db1 --init whole --labels 1
	$(BIN)/python -m ldr_lib.transfer --table

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit('Python 3.10 or newer is needed, this is ' + sys.version) if sys.version_info < (3, 10) else None"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[test]" || { \
		echo "The exact versions in constraints.txt do not fit this Python; taking the newest that fit."; \
		$(BIN)/python -m pip install --quiet -e ".[test]"; }
	touch $@
