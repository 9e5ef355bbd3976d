# The rebuild: one rule a stage, real files as targets. `make` sets up and runs the demo; STUDY=... runs another study.
# Needs GNU make and Python 3.11 or newer, nothing else.

STUDY  ?= demo
PYTHON ?= python3
BUILD  := data/build/$(STUDY)
BIN    := .venv/bin
READY  := .venv/ready

# What each stage is made of: a change there runs it again, and all that follows.
STORE_CODE    := $(wildcard pipeline/*.py pipeline/store/*.py pipeline/store/migrations/versions/*.py pipeline/collect/*.py \
                   pipeline/collect/github/*.py pipeline/collect/gharchive/*.py pipeline/annotate/*.py)
REPLICA_CODE  := $(wildcard pipeline/replica/*)
ANALYSIS_CODE := $(wildcard pipeline/analyze/*.py pipeline/chapters/*.py pipeline/export/*.py)
CRAWL_demo    := data/build/demo/sample.csv
REPORT_CODE   := $(wildcard pipeline/export/templates/* pipeline/export/templates/*/* taxonomy/checks/*)
CLASSIFIED_denchmark-cv := data/build/denchmark-cv/classified.txt
COMPARED_cv-reengineering := $(wildcard $(CLASSIFIED_denchmark-cv)) # with which it is compared when that has been made
REFERENCE     := $(wildcard data/reference/*/*.toml)

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all help study-data collect findings classify notebooks report paper checklist dataset browse train test test-label-studio coverage check bench bench-crawl bench-memory bench-gharchive bench-classify bench-prevalence bench-label-errors bench-postgres bench-scaling stress-crawl stress-postgres stress-survey clean

all: $(CRAWL_$(STUDY)) $(CLASSIFIED_$(STUDY)) $(BUILD)/findings.txt $(BUILD)/tables/SHA256SUMS $(BUILD)/figures/SHA256SUMS ## set up, then run the study STUDY (demo) end to end

help: ## list the targets, a line each
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# The published data of a study that has some; the study file says what, from where, and with which SHA-256.
RAW_cv-reengineering := data/raw/jiang2024/ready
data/raw/jiang2024/ready: data/studies/cv-reengineering.toml | $(READY)
	$(BIN)/redefect study-data --study cv-reengineering
	touch $@

study-data: $(READY) ## fetch the published study's data (or take it from the folder in REDEFECT_STUDY_DATA)
	$(BIN)/redefect study-data --study cv-reengineering

# The demo is crawled from a replica of GitHub's API that serves its threads, into a store made anew; any other study from GitHub.
data/build/demo/sample.csv: $(READY) $(STORE_CODE) $(REPLICA_CODE) data/studies/demo.toml $(wildcard data/demo/threads/*.jsonl)
	rm -f data/build/demo/redefect.sqlite*
	$(BIN)/redefect replica run --threads data/demo/threads -- $(BIN)/redefect collect --study demo
	$(BIN)/redefect select issues --study demo

collect: $(READY) $(RAW_$(STUDY)) $(CRAWL_$(STUDY)) ## crawl the study STUDY and draw its sample (needs a token; not for the demo)
	$(if $(CRAWL_$(STUDY)),,$(BIN)/redefect collect --study $(STUDY))
	$(if $(CRAWL_$(STUDY)),,$(BIN)/redefect select issues --study $(STUDY))

# The classifier: measured first, since the model's card tells how well it does and what it withholds.
# The shipped model is the one of the study `denchmark`.
DENCHMARK ?= ../shared/corpora/denchmark
NLBSE24   ?= ../shared/corpora/nlbse24
RAW_denchmark := data/raw/denchmark/denchmark-stage2-bugreports.tar.xz
RAW_denchmark-cv := $(RAW_denchmark)
$(RAW_denchmark):
	mkdir -p $(@D)
	test -f $(DENCHMARK)/$(@F) || { echo "$(DENCHMARK)/$(@F) is missing: get Denchmark (see README.md) and name its folder in DENCHMARK"; exit 1; }
	cp $(DENCHMARK)/$(@F) $@

MODELS         = $(if $(filter denchmark,$(STUDY)),data/models,$(BUILD)/model)
GATE           = $(if $(filter denchmark,$(STUDY)),--gate-data $(NLBSE24))
train: $(BUILD)/flaws.csv data/raw/jiang2024/ready ## evaluate and train the classifier for the study STUDY (denchmark: the shipped one)
	$(if $(CRAWL_$(STUDY))$(filter denchmark,$(STUDY)),,$(BIN)/redefect collect --study $(STUDY) --labelled)
	$(BIN)/redefect evaluate --study $(STUDY) $(if $(filter denchmark,$(STUDY)),--beside cv-reengineering)
	$(BIN)/redefect train --study $(STUDY) $(GATE) --folder $(MODELS)

# What the shipped model says of all threads is put into the store; classified.txt counts it.
$(BUILD)/classified.txt: $(BUILD)/flaws.csv $(wildcard data/models/*.skops pipeline/classify/*.py)
	$(BIN)/redefect classify --study $(STUDY) > $@
	@cat $@

classify: $(BUILD)/classified.txt ## label all threads of the study STUDY by the shipped classifier

# The import writes inputs.mk: the files that it read, as further prerequisites of flaws.csv.
-include $(BUILD)/inputs.mk
$(BUILD)/flaws.csv: $(READY) $(STORE_CODE) data/studies/$(STUDY).toml $(RAW_$(STUDY)) $(CRAWL_$(STUDY))
	$(BIN)/redefect import study --study $(STUDY)

$(BUILD)/findings.txt: $(BUILD)/flaws.csv $(ANALYSIS_CODE) $(REFERENCE)
	$(BIN)/redefect findings --study $(STUDY) > $@ || { cat $@; exit 1; }
	@cat $@
	@echo "made $@"

$(BUILD)/tables/SHA256SUMS: $(BUILD)/flaws.csv $(ANALYSIS_CODE) $(REFERENCE)
	$(BIN)/redefect export tables --study $(STUDY)

$(BUILD)/figures/SHA256SUMS: $(BUILD)/flaws.csv $(ANALYSIS_CODE)
	$(BIN)/redefect export figures --study $(STUDY)

$(BUILD)/numbers/SHA256SUMS: $(BUILD)/flaws.csv $(ANALYSIS_CODE) $(REFERENCE)
	$(BIN)/redefect export numbers --study $(STUDY)

checklist: $(BUILD)/checklist/SHA256SUMS ## write what to check before re-engineering a model, from the study STUDY
$(BUILD)/checklist/SHA256SUMS: $(BUILD)/flaws.csv $(ANALYSIS_CODE) $(wildcard pipeline/export/templates/checklist.* taxonomy/checks/*)
	$(BIN)/redefect checklist --study $(STUDY)

# Both the folder and, written after it, the archive.
dataset: $(BUILD)/dataset/$(STUDY)-data.zip ## write the data package of the study STUDY, without texts of issues, to be published
$(BUILD)/dataset/$(STUDY)-data.zip: $(BUILD)/flaws.csv $(CLASSIFIED_$(STUDY)) $(ANALYSIS_CODE) $(REFERENCE) \
    $(wildcard data/studies/*.toml taxonomy/*.yaml taxonomy/lexicons/* taxonomy/checks/* pipeline/export/templates/package/*)
	$(BIN)/redefect dataset --study $(STUDY)

browse: $(BUILD)/flaws.csv ## show the store of the study STUDY in the browser, until Ctrl-C
	$(BIN)/redefect browse --study $(STUDY)

findings: $(BUILD)/findings.txt ## print the findings of the study STUDY
	@cat $<

# Notebooks are executed into the build folder; those in git have no outputs.
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
$(BUILD)/notebooks/SHA256SUMS: $(BUILD)/flaws.csv $(CLASSIFIED_$(STUDY)) $(COMPARED_$(STUDY)) $(NOTEBOOKS) $(ANALYSIS_CODE) $(REFERENCE) $(wildcard data/models/*)
	$(BIN)/redefect notebooks --study $(STUDY)

notebooks: $(BUILD)/notebooks/SHA256SUMS ## execute the notebooks for the study STUDY

$(BUILD)/report/SHA256SUMS: $(BUILD)/notebooks/SHA256SUMS $(REPORT_CODE)
	$(BIN)/redefect report --study $(STUDY)

report: $(BUILD)/report/SHA256SUMS ## make the report of the study STUDY: pages that a browser opens from their folder
	@echo "the report: $(BUILD)/report/index.html"

paper: $(BUILD)/paper/SHA256SUMS ## make an article of the study STUDY: all its tables, figures and numbers, as LaTeX and PDF (needs LaTeX)
	@echo "the article: $(BUILD)/paper/article.pdf"
$(BUILD)/paper/SHA256SUMS: $(BUILD)/flaws.csv $(ANALYSIS_CODE) $(REFERENCE) $(wildcard pipeline/export/templates/paper/*)
	$(BIN)/redefect paper --study $(STUDY)

# GitHub's own descriptions of its API, for the tests; without npm, those tests skip and say why.
CONTRACTS := data/build/contracts/ready
$(CONTRACTS): tests/npm/package.json tests/npm/package-lock.json
	mkdir -p $(@D) && cp tests/npm/package*.json $(@D)
	if command -v npm > /dev/null; then \
	    cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --silent && rm -f node_modules/@octokit/openapi/generated/gh*.json; fi
	touch $@

test: $(READY) $(CONTRACTS) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(PYTEST_ARGUMENTS)

coverage: $(READY) $(CONTRACTS) ## run the tests and measure their branch coverage of pipeline/
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal --cov --cov-report term $(PYTEST_ARGUMENTS)

check: $(READY) ## run the linter, the formatter's check and the type checker
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(READY) ## time the import of Denchmark beside the bare minimum (needs ../shared)
	$(BIN)/python tests/benchmarks/import_denchmark.py

# The tools that this project is measured against or works with, each in a virtual environment of its own.
PEERS := data/build/peers
$(PEERS)/perceval/ready: PEER := perceval==1.6.1
$(PEERS)/github-to-sqlite/ready: PEER := github-to-sqlite==2.9.1
$(PEERS)/%/ready:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(PEER)
	touch $@

$(PEERS)/label-studio/ready: PEER := label-studio==1.23.2
test-label-studio: $(READY) $(PEERS)/label-studio/ready ## label in a real Label Studio, in Debian's Chromium (part of `test` from then on)
	$(BIN)/python -m pytest $(PYTEST_ARGUMENTS) tests/browser

bench-crawl: $(READY) $(PEERS)/perceval/ready $(PEERS)/github-to-sqlite/ready ## crawl beside Perceval and github-to-sqlite (needs ../shared)
	$(BIN)/python tests/benchmarks/crawl.py

bench-memory: $(READY) ## measure a crawl's peak memory on a replica's repository of 100,000 issues
	$(BIN)/python tests/benchmarks/crawl_memory.py

bench-gharchive: $(READY) ## read GH Archive's files beside zcat and jq (takes more when ../shared is there)
	$(BIN)/python tests/benchmarks/gharchive.py

$(PEERS)/fasttext-wheel/ready: PEER := fasttext-wheel==0.9.2 'numpy<2'
bench-classify: $(READY) $(PEERS)/fasttext-wheel/ready ## classify all of Denchmark beside fastText and spaCy (needs ../shared)
	$(BIN)/python tests/benchmarks/classify.py

bench-prevalence: $(READY) ## check the intervals of corrected shares by 500 resamples (takes more when ../shared is there)
	$(BIN)/python tests/benchmarks/prevalence.py

bench-label-errors: $(READY) ## plant wrong labels, and look whether they are found; and those that an adjudicator overturned (needs ../shared)
	$(BIN)/python tests/benchmarks/label_errors.py

stress-crawl: $(READY) ## break and kill 200 crawls, and compare what they store with undisturbed ones
	$(BIN)/python tests/crawl_stress.py --crawls 200

bench-postgres: $(READY) ## import Denchmark into PostgreSQL beside psql's COPY, and time searches (needs PostgreSQL and ../shared)
	$(BIN)/python tests/benchmarks/postgres_import.py

stress-postgres: $(READY) ## write into PostgreSQL by four writers at once for two minutes, and compare with a serial run
	$(BIN)/python tests/postgres_stress.py

stress-survey: $(READY) ## kill a worker of a Dask cluster in ten surveys, and compare with an undisturbed one
	$(BIN)/python tests/survey_stress.py

bench-scaling: $(READY) ## collect, label and count Denchmark 1 and 10 times over (needs ../shared; 100 times by COPIES=100, hours)
	$(BIN)/python tests/benchmarks/scaling.py data/build/scaling $(or $(COPIES),1 10)

clean: ## remove everything generated, but not the fetched data
	rm -rf data/build .venv
