# Every target makes .venv when it is missing. PYTHON names the interpreter to make it with.
PYTHON ?= python3
BIN := .venv/bin
# Many small models run at once in the tests: one thread each on as many processes as there are cores.
# Freed memory stays in the process: where page faults are dear, mapping each activation anew takes longer than the models.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=Agg \
	MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=2147483647
WORKERS ?= auto

# Threads that wait without spinning: on a machine that does other work too, spinning ones can take fifty times as long.
export OMP_WAIT_POLICY ?= passive

.PHONY: demo demo-detection test check check-long docs release-check licences format bench bench-speed bench-search figures clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/.installed  ## train three small models on real digits, tune their cascade, show what it saves
	$(BIN)/orxe run digits --out runs/digits

demo-detection: .venv/.installed  ## train two small YOLOs on scenes of digits, tune their cascade, show what it saves
	$(BIN)/orxe run digits_detection --out runs/digits_detection

test: .venv/.installed  ## the test suite
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check-long: .venv/.installed  ## the tests that take long, such as whole recipes and real data
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m long

check: .venv/.installed  ## lint, format, types, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.:adapters $(BIN)/lint-imports --no-cache --no-logo

docs: .venv/.installed  ## the documentation's site, built strictly, in build/site
	PYTHONPATH=.:adapters $(BIN)/python docs/make_site.py build/pages
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=docs $(BIN)/python -m mkdocs build --quiet --strict -f docs/mkdocs.yml

release-check: .venv/.installed  ## build the sdist and the wheel, and run the demo from each in an empty environment
	bash .ci/release-check $(PYTHON)

licences: .venv/.installed  ## the licence of every installed package
	$(BIN)/python .ci/licences.py

format: .venv/.installed  ## write the format that check wants
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.installed  ## overhead of routing beside its experts' own time
	$(BIN)/python benchmarks/bench_routing.py

bench-speed: .venv/.installed  ## time: detectors beside their single models, choices by time, where GMACs mislead
	$(BIN)/python benchmarks/bench_speed.py

bench-search: .venv/.installed  ## time, memory and objective of the threshold search beside three baselines
	$(BIN)/python benchmarks/bench_search.py

figures: demo  ## write the demo's figures into docs/figures and README.md
	$(BIN)/python docs/make_figures.py runs/digits/report
	$(BIN)/python docs/make_filmstrip.py runs/digits
	$(BIN)/python docs/make_savings.py

clean:  ## remove what was made, the virtual environment too
	rm -rf .venv runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
