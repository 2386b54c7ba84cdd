# Everything is made inside the checkout: .venv, frontend/node_modules, frontend/dist and var.
.DEFAULT_GOAL := help
.PHONY: bench-site fuzz-api fuzz-import help demo install test check format lock bench-verify bench-allocation rehearse bench-statistics results-demo bench-export bench-viewer bench-inference
PORT ?= 8000
PYTHON ?= python3
IN_VENV := .venv/bin/python

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install ## install and run the demonstration (PORT=8000, DICOM=folder NODULES=file.csv)
	@exec $(IN_VENV) -m launcher.demo --port "$(PORT)" --dicom "$(DICOM)" --nodules "$(NODULES)"

install: ## install all that the demonstration needs
	@$(PYTHON) -m launcher.install

test: ## install, and run all tests (TESTS=tests/domain for some)
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m launcher.checks test $(TESTS)

check: ## install, and run what CI checks: style, types, layers, migrations, front end
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m launcher.checks check

format: ## put the code into its form
	@$(PYTHON) -m launcher.install --dev
	@.venv/bin/ruff check --fix-only --quiet . && .venv/bin/ruff format .
	@cd frontend && PATH="$(CURDIR)/.venv/bin:$$PATH" npm run --silent format

lock: ## make the Python lock files anew from requirements.txt and requirements-dev.txt
	@$(PYTHON) -m launcher.lock

bench-verify: ## measure the check of a study's records (SIZES="10000 1000000")
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m benchmarks.verify --answers $(or $(SIZES),10000)

bench-allocation: ## measure dealing out 1,000 cases to 100 readers in two arms
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m benchmarks.allocation

rehearse: ## conduct every kind of design with simulated readers, and look at their orders
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m benchmarks.designs

results-demo: ## the results and the report of a simulated study, into the folder OUT
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m tests.results.simulated $(OUT)

bench-statistics: ## time and memory of the statistics (NULL=2000: false positives of null studies)
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m benchmarks.statistics $(if $(NULL),--null $(NULL))

bench-inference: ## rate, memory and preprocessing of predictions, in about five minutes (CASES=6)
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m benchmarks.inference --cases $(or $(CASES),6)

fuzz-api: ## call the API as its description allows and does not (EXAMPLES=30 for each operation, role and kind)
	@$(PYTHON) -m launcher.install --dev
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),30) $(IN_VENV) -m pytest tests/test_fuzzing.py -n0 -q -s

fuzz-import: ## look at damaged DICOM files (INPUTS=20000 FIRST=0 DICOM=folder of files to begin with)
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m benchmarks.fuzz_import --inputs $(or $(INPUTS),20000) --first $(or $(FIRST),0) $(if $(DICOM),--dicom "$(DICOM)")

bench-export: ## time and memory of a million ratings: every format, and the site's export
	@$(PYTHON) -m launcher.install --dev
	@$(IN_VENV) -m benchmarks.export
	@$(IN_VENV) -m benchmarks.site_export

bench-site: ## 100 readers at once, images a second, a large study (PART=readers, frames or scale)
	@$(PYTHON) -m launcher.install --dev
	@for part in $(or $(PART),readers frames scale); do $(IN_VENV) -m benchmarks.site $$part || exit 1; done

bench-viewer: ## time the reading room against OHIF and bare Cornerstone3D (TIMES=3; needs npm and LIDC-IDRI)
	@$(PYTHON) -m launcher.install --dev
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(IN_VENV) -m pytest tests/browser/bench_viewer.py -n0 -s -q
