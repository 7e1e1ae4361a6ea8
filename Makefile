# Two commands do all set-up on a machine with Python 3.11 or newer, pip and make:  make lab  ·  make test
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
LESSONS := $(wildcard notebooks/[0-9]*.ipynb) data/what_the_world_looks_like.ipynb
# one thread a worker: workers times threads must not exceed the cores
ALONE_PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 0
# Linux gives the memory of each layer back and asks for it anew; kept, networks on photographs take half the time
PYTEST := MALLOC_MMAP_THRESHOLD_=268435456 MALLOC_TRIM_THRESHOLD_=1073741824 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

# a photo of up to 500 MB reaches the kernel, which can say that it is too large; Jupyter's own limit drops the connection
LAB_FLAGS := "--ServerApp.tornado_settings={'websocket_max_message_size': 500_000_000}"

.DEFAULT_GOAL := help
.PHONY: help lab test test-all test-floors notebooks checkpoints course release grade site slides figures lint bench clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | \
		while IFS="$$(printf '\t')" read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

lab: $(VENV)/.lab  ## set up what is missing, then open JupyterLab on the first lesson (ARGS="--no-browser --port 8899")
	$(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" $(LAB_FLAGS) \
		--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(ARGS)

# lessons that train take the preset `smoke` here; `make notebooks` and `make test-all` run what readers run
test: $(VENV)/.test  ## the tests, and every lesson, with the pretrained weights that are there; about 7 minutes on 2 cores
	$(PYTEST) -m "not slow" tests
	CAM_PRESET=smoke $(PYTEST) --dist loadfile --nbval-lax --nbval-current-env --nbval-cell-timeout 300 $(LESSONS)

# a browser's page is opened once a file; what measures time has the machine to itself
BROWSER := $(wildcard tests/test_browser*.py)
BENCHES := $(wildcard tests/benchmarks/test_bench_*.py)
test-all: test  ## the same, then what is slow: lessons without weights and with every solution, the browser, benchmarks
	$(PYTEST) --dist worksteal -m slow tests $(patsubst %,--ignore=%,$(BROWSER) $(BENCHES))
	$(PYTEST) --dist loadfile -m slow $(BROWSER)
	$(ALONE_PYTEST) -m slow $(BENCHES)

FLOORS := .venv-floors
test-floors: $(FLOORS)/.floors  ## the fast tests with the lowest versions that pyproject.toml permits, in .venv-floors
	OMP_NUM_THREADS=1 $(FLOORS)/bin/python -m pytest -n auto -m "not slow" tests

notebooks: $(VENV)/.test  ## run the lessons again, in place, from top to bottom
	$(BIN)/python notebooks/tools/execute.py $(LESSONS)

checkpoints: $(VENV)/.test  ## train what data/drawn_world/checkpoints/recipes.yaml lists; goes on where it was broken off
	$(BIN)/python notebooks/tools/train_checkpoints.py

course: $(VENV)/.grade  ## what students get: dist/course, dist/course.zip (SOLUTIONS="00 01" or all, BRANCH=students)
	$(BIN)/python notebooks/tools/handout $(if $(SOLUTIONS),--solutions $(SOLUTIONS)) $(if $(BRANCH),--branch $(BRANCH)) $(ARGS)

release: $(VENV)/.grade  ## dist/assignments.zip for students: no solutions, no hidden tests
	$(BIN)/python notebooks/assignments/grader release $(ARGS)

grade: $(VENV)/.grade  ## marks and feedback for SUBMISSIONS=folder; goes on where it was broken off
	@test -n "$(SUBMISSIONS)" || { echo "say where: make grade SUBMISSIONS=folder"; exit 1; }
	$(BIN)/python notebooks/assignments/grader grade "$(SUBMISSIONS)" $(ARGS)

site: $(VENV)/.test  ## all lessons as pages to read without running them: dist/site/index.html
	$(BIN)/python notebooks/site/pages.py site

slides: figures  ## slides of the lecture and of all lessons: dist/slides/index.html (ARGS=--stored: without running them)
	$(BIN)/python notebooks/site/pages.py slides $(ARGS)

figures: $(VENV)/.test  ## every figure as a file, drawn for a 4K wall: dist/figures/index.html; runs each lesson once
	$(BIN)/python notebooks/site/pages.py figures $(ARGS)

lint: $(VENV)/.test  ## ruff on code and notebooks
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

bench: $(VENV)/.test  ## speed, as ratios measured in one run
	for script in tests/benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

clean:  ## remove the environment and everything drawn or computed
	rm -rf $(VENV) $(FLOORS) build dist *.egg-info data/cache .pytest_cache .ruff_cache .hypothesis

.PHONY: lesson check-lesson plan environment formgrader badges
lesson: $(VENV)/.lab  ## start a lesson from the template (NAME=14_my_topic)
	$(BIN)/python notebooks/tools/new_lesson.py "$(NAME)"

check-lesson: $(VENV)/.test  ## what your lesson is held to, and what is still to write (NAME=14_my_topic)
	@test -n "$(NAME)" || { echo "say which: make check-lesson NAME=14_my_topic"; exit 1; }
	$(BIN)/python notebooks/tools/validate.py notebooks/$(NAME:%.ipynb=%).ipynb

plan: $(VENV)/.test  ## write the tables about a term from notebooks/plan.yaml and the notebooks' first cells
	$(BIN)/python notebooks/tools/plan.py

environment: $(VENV)/.test  ## write the versions that are installed here, once the tests pass, into environment.yml
	$(BIN)/python .github/versions.py tested

formgrader: $(VENV)/.grade  ## open JupyterLab where the written parts are marked: Nbgrader, Formgrader
	cd notebooks/assignments && ../../$(BIN)/jupyter lab $(ARGS)

badges:  ## write the repository's public address where readers need it, say what stays open (REPO=owner/name)
	$(PYTHON) .github/badges.py "$(REPO)" $(BRANCH)

# -- set-up: each stamp is younger than pyproject.toml when its packages are installed ---------------------------

# Debian's python3 has venv without ensurepip; then pip, which is there, installs itself into the empty environment.
$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: see https://www.python.org/downloads/"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python install pip; }
	@touch $@

$(VENV)/.lab: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	@touch $@

$(VENV)/.grade: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check -e ".[grade]"
	@touch $(VENV)/.lab $@

$(FLOORS)/.floors: pyproject.toml .github/versions.py
	@command -v python3.11 >/dev/null || { echo "Python 3.11, the lowest that pyproject.toml permits, is needed"; exit 1; }
	$(MAKE) VENV=$(FLOORS) PYTHON=python3.11 $(FLOORS)/.created
	$(FLOORS)/bin/python .github/versions.py floors test site > $(FLOORS)/floors.txt
	$(FLOORS)/bin/python -m pip install --disable-pip-version-check -c $(FLOORS)/floors.txt -e ".[test,site]"
	@touch $@

$(VENV)/.test: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check -e ".[test,site]"
	@touch $(VENV)/.lab $@
