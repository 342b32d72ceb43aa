# Everything a user or a developer types. `make` alone lists it.
# Each target does its own set-up: it needs a Swift toolchain and nothing else.

SHELL := /bin/bash
PREFIX ?= /usr/local
DESTDIR ?=
PYTHON ?= python3
VENV := build/venv
BINARY := .build/release/semg-train
SWIFT_SOURCES := Sources Tests Package.swift Benchmarks/Sources Benchmarks/Package.swift

.PHONY: help demo build test test-long bench carry lint format install clean packages venv

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build, make recordings, train both models briefly, show what they reach
	@Scripts/demo.sh

build: packages ## The release build: .build/release/semg-train
	@swift build -c release --product semg-train

test: ## Every test, release-built, with its own set-up; some 40 minutes on two cores
	@Scripts/install-packages.sh run test
	@$(PYTHON) Scripts/run_tests.py

test-long: venv build ## What takes hours: Keras and semg-train side by side, by hand; resumes after a stop
	@Scripts/test-long.sh

bench: build ## Samples a second and milliseconds per step of both models on this machine
	@$(BINARY) benchmark

carry: packages ## Ours, its libraries, kernels and recordings for a bare machine with a GPU: build/carry (DATA=DIR)
	@Scripts/install-packages.sh test
	@$(PYTHON) Scripts/make_venv.py $(VENV) Tests/requirements.txt
	@$(PYTHON) Benchmarks/gpu/carry.py $(if $(DATA),--data "$(DATA)")

lint: ## What `make test` demands of the format
	@swift format lint --strict --recursive $(SWIFT_SOURCES)

format: ## Put the format right
	@swift format format --in-place --recursive $(SWIFT_SOURCES)

install: packages ## PREFIX/bin/semg-train, without need of the Swift toolchain (PREFIX=/usr/local)
	@swift build -c release --product semg-train --static-swift-stdlib --scratch-path build/install
	install -D -m 755 build/install/release/semg-train "$(DESTDIR)$(PREFIX)/bin/semg-train"

packages:
	@Scripts/install-packages.sh run

venv:
	@Scripts/install-packages.sh test
	@$(PYTHON) Scripts/make_venv.py $(VENV) Benchmarks/requirements.txt

clean: ## Remove what was built (never what was trained elsewhere)
	rm -rf .build build
