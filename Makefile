# make run      sets up the environment and starts the demo
# make test     sets up, lints, type-checks and tests, on the newest libraries and on Debian's own
# make soak     kills the exporter hundreds of times while its log is rotated, and counts the lines; a quarter of an hour
# make bench    compares the speed with other programs'

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests on Debian's own packages need Debian's own interpreter.
DEBIAN_PYTHON := /usr/bin/python3
DEBIAN_VENV := .venv-debian
PACKAGES := haproxy rsyslog logrotate prometheus curl openssl nghttp2-client socat python3-venv \
	python3-prometheus-client python3-watchdog python3-typer python3-rich python3-haproxy-log-analysis python3-zstandard \
	python3-yaml \
	python3-pytest python3-pytest-xdist python3-pytest-timeout python3-hypothesis \
	python3-systemd systemd systemd-journal-remote libsystemd-dev pkgconf gcc libc6-dev python3-dev \
	libivykis0 libnet1 libwrap0 libjson-c5
BENCH_PACKAGES := haproxy mtail goaccess nghttp2-client
APT_GET := DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120
ROOT := $(shell [ "$$(id -u)" = 0 ] && command -v apt-get)
# The tests start their daemons by hand: while packages are installed, none may start by itself.
POLICY := /usr/sbin/policy-rc.d
define install
missing=$$(dpkg-query -W -f '$${db:Status-Abbrev} $${Package}\n' $(1) 2>/dev/null | awk '$$1 == "ii" {print $$2}' \
  | sort | comm -13 - <(printf '%s\n' $(1) | sort)); \
if [ -n "$$missing" ] && [ -n "$(ROOT)" ]; then \
  [ -e $(POLICY) ] || { trap 'rm -f $(POLICY)' EXIT; printf '#!/bin/sh\nexit 101\n' >$(POLICY); chmod +x $(POLICY); }; \
  $(APT_GET) update && $(APT_GET) install -y --no-install-recommends $$missing >/dev/null; \
elif [ -n "$$missing" ]; then echo "not installed, so some of it is left out:" $$missing; fi
endef
# Debian installs one syslog daemon alone: beside rsyslog, syslog-ng is only unpacked, and found by the path.
PROGRAMS := .programs
SYSLOG_NG := $(PROGRAMS)/bin/syslog-ng
export PATH := $(CURDIR)/$(PROGRAMS)/bin:$(PATH)
define unpack_syslog_ng
mkdir -p $(PROGRAMS)/bin && cd $(PROGRAMS) && { apt-get -qq download syslog-ng-core 2>/dev/null \
  || { $(APT_GET) update && apt-get -qq download syslog-ng-core 2>/dev/null; } } \
  && dpkg-deb -x syslog-ng-core_*.deb syslog-ng && rm syslog-ng-core_*.deb \
  && printf '#!/bin/sh\nLD_LIBRARY_PATH=%s/usr/lib/syslog-ng exec %s/usr/sbin/syslog-ng --module-path="$$(echo %s/usr/lib/syslog-ng/[0-9]*)" "$$@"\n' \
    $(CURDIR)/$(PROGRAMS)/syslog-ng $(CURDIR)/$(PROGRAMS)/syslog-ng $(CURDIR)/$(PROGRAMS)/syslog-ng >bin/syslog-ng && chmod +x bin/syslog-ng
endef
WORKERS ?= 4

.PHONY: run test lint types unit unit-debian programs soak bench clean

run: $(VENV)/installed
	@$(BIN)/haproxy-log-exporter demo

test: programs lint types unit unit-debian

lint: $(VENV)/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/developing
	$(BIN)/mypy

unit: $(VENV)/developing
	$(BIN)/pytest -n $(WORKERS)

# The same tests with Debian's interpreter and libraries, where they are there; the package is not installed there.
unit-debian: programs
	@if $(DEBIAN_PYTHON) -c 'import haproxy, hypothesis, prometheus_client, pytest, rich, typer, watchdog, xdist' 2>/dev/null; \
	then [ -e $(DEBIAN_VENV) ] || $(DEBIAN_PYTHON) -m venv --system-site-packages --without-pip $(DEBIAN_VENV); \
	     PYTHONPATH=$(CURDIR) $(DEBIAN_VENV)/bin/python -m pytest -n $(WORKERS); \
	elif [ -n "$$REQUIRE_PROGRAMS" ]; then echo "Debian's own libraries are missing" >&2; exit 1; \
	else echo "skipped: Debian's own libraries are not installed"; fi

# Installs what is missing, where that can be done.
programs:
	@$(call install,$(PACKAGES))
	@[ -x $(SYSLOG_NG) ] || [ -z "$(ROOT)" ] || { $(unpack_syslog_ng); }

# SOAK_KILLS, SOAK_SECONDS, SOAK_RATE and SOAK_SEED say how much; the seed is told with the result.
soak: export SOAK_KILLS ?= 100
soak: export SOAK_SECONDS ?= 8
soak: export SOAK_SEED ?= $(shell date +%s)
soak: programs $(VENV)/developing
	REQUIRE_PROGRAMS=1 $(BIN)/pytest -s --override-ini timeout=3600 tests/integration/test_survival.py

bench: $(VENV)/developing
	@$(call install,$(BENCH_PACKAGES))
	$(BIN)/python -m benchmarks

# Debian puts venv into a package of its own.
$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { [ -n "$(ROOT)" ] && $(APT_GET) update \
	  && $(APT_GET) install -y --no-install-recommends python3-venv >/dev/null && $(PYTHON) -m venv $(VENV); } \
	  || { echo "python3 has no venv: apt install python3-venv" >&2; exit 1; }

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/developing: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[development]'
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[journal]' \
	  || echo "systemd's binding cannot be built: tests of the journal are left out"
	@touch $@

clean:
	rm -rf $(VENV) $(DEBIAN_VENV) $(PROGRAMS) build *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
