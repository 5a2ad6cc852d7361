# demo, test, lint, bench: each sets itself up in .venv, with nothing but Python 3.10 or newer.
PYTHON ?= python3
# One more than two cores have: in a part of the tests something is waited for.
TEST_PROCESSES ?= 3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
# Compiled modules are kept, whatever this machine says of them: the tests start many processes.
export PYTHONDONTWRITEBYTECODE =
PYTHON_FILES := migrate.py extract transform load validate utils tests

.PHONY: help demo test torture lint bench wheels format clean

help:
	@echo "make demo    a full migration between two servers started for it"
	@echo "make test    every test, against real embedded servers"
	@echo "make test ARGS=tests/unit/load    the tests of a package; any arguments of pytest will do"
	@echo "make torture faults of every kind, seeded (an hour; TORTURE_SEED=n repeats one)"
	@echo "make lint    ruff and mypy --strict"
	@echo "make bench   every phase, beside what it is compared with (half an hour)"
	@echo "make wheels  whether all packages are there for the Pythons of AWS Glue and EMR Serverless"
	@echo "make format  lay the code out as ruff does"
	@echo "make clean   remove the virtual environment and caches (not data/)"

demo: $(STAMPS)/demo
	$(BIN)/python migrate.py demo

test: $(STAMPS)/dev $(STAMPS)/import-server $(STAMPS)/spark
	$(BIN)/python -m pytest -c tests/pytest.ini --rootdir=. -n $(TEST_PROCESSES) \
		--dist loadfile --no-loadscope-reorder $(PYTEST_ARGS) $(ARGS)

torture: $(STAMPS)/dev $(STAMPS)/spark
	$(BIN)/python -m pytest -c tests/pytest.ini --rootdir=. --timeout=0 tests/torture/torture_*.py \
		tests/torture/*/torture_*.py \
		$(PYTEST_ARGS) $(ARGS)
	ARTIFACTS_IN_PARTS=1 $(BIN)/python -m pytest -c tests/pytest.ini --rootdir=. \
		tests/scenarios tests/trials $(PYTEST_ARGS) $(ARGS)

lint: $(STAMPS)/dev
	$(BIN)/ruff check --config .ci/ruff.toml $(PYTHON_FILES)
	$(BIN)/ruff format --config .ci/ruff.toml --check $(PYTHON_FILES)
	$(BIN)/mypy --config-file .ci/mypy.ini

bench: $(STAMPS)/dev
	$(BIN)/python -m tests.bench $(BENCH_ARGS)
	$(BIN)/python -m tests.bench.following $(FOLLOWING_ARGS)

wheels: $(STAMPS)/dev
	$(BIN)/python -m tests.wheels

format: $(STAMPS)/dev
	$(BIN)/ruff check --config .ci/ruff.toml --fix $(PYTHON_FILES)
	$(BIN)/ruff format --config .ci/ruff.toml $(PYTHON_FILES)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMPS)/venv:
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/demo: $(STAMPS)/venv requirements.txt requirements-demo.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-demo.txt
	touch $@

$(STAMPS)/dev: $(STAMPS)/venv requirements.txt requirements-demo.txt requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

# A ministack that imports from S3 wants a botocore that is not ours: an environment of its own.
$(STAMPS)/import-server: $(STAMPS)/venv requirements-import-server.txt
	$(PYTHON) -m venv $(VENV)/import-server
	$(VENV)/import-server/bin/python -m pip install --quiet --disable-pip-version-check \
		-r requirements-import-server.txt
	touch $@

# Spark comes beside everything else: who has one machine needs neither it nor Java.
$(STAMPS)/spark: $(STAMPS)/dev requirements-spark.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-spark.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--target $(VENV)/spark-3.5 pyspark==3.5.9 py4j==0.10.9.7
	touch $@
