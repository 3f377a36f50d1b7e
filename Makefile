# make run      sets up the environment and starts the demo
# make test     sets up, lints, type-checks and tests, on the newest libraries, on Debian's own and as a Debian package
# make deb      builds the Debian package, into build/deb
# make package  installs, upgrades and removes it in a Debian of its own, which systemd runs, as root
# make soak     kills the exporter hundreds of times while its log is rotated, and counts the lines; a quarter of an hour
# make bench    compares the speed with other programs'

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests on Debian's own packages need Debian's own interpreter.
DEBIAN_PYTHON := /usr/bin/python3
DEBIAN_VENV := .venv-debian
# Debian 12 as debootstrap makes it, and with the programs that the package works with, to install the package on.
DEBIAN_ROOT := build/debian
MACHINE_ROOT := build/root
PACKAGES := haproxy rsyslog logrotate prometheus curl openssl nghttp2-client socat python3-venv \
	python3-prometheus-client python3-watchdog python3-typer python3-rich python3-haproxy-log-analysis python3-zstandard \
	python3-yaml docker-compose iproute2 \
	python3-pytest python3-pytest-xdist python3-pytest-timeout python3-hypothesis \
	python3-systemd systemd systemd-journal-remote libsystemd-dev pkgconf gcc libc6-dev python3-dev \
	libivykis0 libnet1 libwrap0 libjson-c5 \
	help2man man-db mandoc bash-completion fish zsh
DEB_PACKAGES := build-essential debhelper git
PACKAGE_PACKAGES := buildah debootstrap lintian systemd-container util-linux
BENCH_PACKAGES := haproxy mtail goaccess nghttp2-client
APT_GET := DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120
ROOT := $(shell [ "$$(id -u)" = 0 ] && command -v apt-get)
# The tests start their daemons by hand: while packages are installed, none may start by itself.
POLICY := /usr/sbin/policy-rc.d
define start_nothing
[ -e $(POLICY) ] || { trap 'rm -f $(POLICY)' EXIT; printf '#!/bin/sh\nexit 101\n' >$(POLICY); chmod +x $(POLICY); }
endef
define install
missing=$$(dpkg-query -W -f '$${db:Status-Abbrev} $${Package}\n' $(1) 2>/dev/null | awk '$$1 == "ii" {print $$2}' \
  | sort | comm -13 - <(printf '%s\n' $(1) | sort)); \
if [ -n "$$missing" ] && [ -n "$(ROOT)" ]; then \
  $(start_nothing); \
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

.PHONY: run test lint types unit deb unit-debian package programs soak bench clean FORCE
# What installs packages must not do so twice at a time; pytest has workers of its own.
.NOTPARALLEL:

run: $(VENV)/installed
	@$(BIN)/haproxy-log-exporter demo

test: programs lint types unit $(if $(ROOT),deb) unit-debian $(if $(ROOT),package)

lint: $(VENV)/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/developing
	$(BIN)/mypy

unit: $(VENV)/developing
	$(BIN)/pytest -n $(WORKERS) --ignore tests/package

# The tests but those of integration run again while the package is built, by Debian's interpreter and libraries.
DEB := build/deb
DEB_BUILD_OPTIONS ?= parallel=$(WORKERS)
SOURCE := $(wildcard $(shell git ls-files --cached --others --exclude-standard 2>/dev/null))

deb: $(DEB)/built

$(DEB)/built: $(SOURCE) $(DEB).made-of
	@$(call install,$(DEB_PACKAGES))
	@[ -z "$(ROOT)" ] || dpkg-checkbuilddeps 2>/dev/null || { $(start_nothing); \
	  $(APT_GET) update && $(APT_GET) build-dep -y --no-install-recommends ./ >/dev/null; }
	rm -rf $(DEB) && mkdir -p $(DEB)/source
	set -o pipefail; git ls-files -z --cached --others --exclude-standard \
	  | tar --null --ignore-failed-read --files-from - -c | tar -x -C $(DEB)/source
	cd $(DEB)/source && env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$$HOME" REQUIRE_PROGRAMS="$$REQUIRE_PROGRAMS" \
	  CI="$$CI" DEB_BUILD_OPTIONS="$(DEB_BUILD_OPTIONS)" DEB_BUILD_PROFILES="$$DEB_BUILD_PROFILES" dpkg-buildpackage -us -uc -b
	@touch $@; ls $(DEB)/*.deb

# A file that is gone, or was renamed, is newer than nothing; and a package without tests is not the one with them.
$(DEB).made-of: FORCE
	@mkdir -p $(@D); made_of=$$(printf "%s\n" "$$DEB_BUILD_PROFILES" "$(filter nocheck,$(DEB_BUILD_OPTIONS))" $(SOURCE)); \
	[ "$$(cat $@ 2>/dev/null)" = "$$made_of" ] || echo "$$made_of" >$@

# The same tests with Debian's interpreter and libraries; the package is not installed there. Where the Debian package is
# built before, only those of integration are left.
DEBIAN_TESTS := $(if $(ROOT),tests/integration,--ignore tests/package)
unit-debian: programs
	@if $(DEBIAN_PYTHON) -c 'import haproxy, hypothesis, prometheus_client, pytest, rich, typer, watchdog, xdist' 2>/dev/null; \
	then [ -e $(DEBIAN_VENV) ] || $(DEBIAN_PYTHON) -m venv --system-site-packages --without-pip $(DEBIAN_VENV); \
	     PYTHONPATH=$(CURDIR) $(DEBIAN_VENV)/bin/python -m pytest -n $(WORKERS) $(DEBIAN_TESTS); \
	elif [ -n "$$REQUIRE_PROGRAMS" ]; then echo "Debian's own libraries are missing" >&2; exit 1; \
	else echo "skipped: Debian's own libraries are not installed"; fi

package: $(if $(ROOT),$(DEB)/built $(MACHINE_ROOT) $(VENV)/developing)
	@[ -n "$(ROOT)" ] || { echo "make package has to be root on Debian" >&2; exit 1; }
	DEBIAN_ROOT=$(CURDIR)/$(DEBIAN_ROOT) $(BIN)/pytest -n 2 --dist loadfile tests/package

$(DEBIAN_ROOT): Makefile
	@$(call install,$(PACKAGE_PACKAGES))
	rm -rf --one-file-system $@ $@.new && mkdir -p $(@D)
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus bookworm $@.new >$@.log || { tail $@.log; exit 1; }
	mv $@.new $@ && touch $@

# The programs as they come; what the package depends on is only downloaded.
$(MACHINE_ROOT): $(DEBIAN_ROOT) debian/control debian/tests/control | $(DEB)/built
	rm -rf --one-file-system $@ $@.new && cp -a $(DEBIAN_ROOT) $@.new && cp $(DEB)/*.deb $@.new/tmp
	chroot $@.new sh -c 'set -e; export DEBIAN_FRONTEND=noninteractive; apt-get -qq update; \
	  apt-get -qq install -y --no-install-recommends haproxy rsyslog logrotate prometheus curl autopkgtest; \
	  systemctl --quiet disable prometheus; \
	  apt-get -qq install -y --download-only /tmp/*.deb; rm /tmp/*.deb' >$@.log 2>&1 || { tail $@.log; exit 1; }
	echo 127.0.0.1 localhost >$@.new/etc/hosts
	mv $@.new $@ && touch $@

# Installs what is missing, where that can be done.
programs:
	@[ -n "$(ROOT)" ] || echo "not root on Debian, so the Debian package is neither built nor tried"
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

# What an unfinished debootstrap has left mounted is not gone into.
clean:
	rm -rf --one-file-system build
	rm -rf $(VENV) $(DEBIAN_VENV) $(PROGRAMS) *.egg-info .benchmarks .hypothesis .mypy_cache .pybuild .pytest_cache .ruff_cache
	rm -rf benchmarks/corpus
	cd debian && rm -rf .debhelper .home .man debhelper-build-stamp files *.debhelper *.debhelper.log *.substvars \
	  prometheus-haproxy-log-exporter
	find . -name __pycache__ -prune -exec rm -rf {} +
