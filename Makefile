# inpaintd. CMake does the work (CMakePresets.json); this says it in one word.
# On Debian and Ubuntu each goal installs the packages that it lacks, after saying which (scripts/setup).

# make run LISTEN=0.0.0.0:8080 MODEL=/path/to/a/diffusers/folder DATA=/var/lib/inpaintd
LISTEN ?= 127.0.0.1:8080
MODEL ?= models/bundled
DATA ?= data
# make test TESTS=parity runs only the tests whose name matches.
TESTS ?= .

.PHONY: help run build test test-full soak lint format asan tsan clang fuzz clean

help: ## this text
	@echo "inpaintd: paint new content into the masked part of a photo"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  make run LISTEN=$(LISTEN) MODEL=$(MODEL) DATA=$(DATA)"

run: build ## build, then serve the page and the API on http://LISTEN
	build/release/inpaintd serve --listen "$(LISTEN)" --data "$(DATA)" --model "$(MODEL)"

build: ## build/release/inpaintd
	@scripts/setup build
	@scripts/build release inpaintd

test: ## build, lint and run all tests
	@scripts/setup build test
	@scripts/build release
	ctest --test-dir build/release --output-on-failure -R "$(TESTS)"

test-full: ## parity on a checkpoint of the real model's size, written on the spot (2.6 GB)
	@scripts/setup build test test-full
	@scripts/build release
	@scripts/full-checkpoint build/full-checkpoint
	INPAINT_FULL_CHECKPOINT=$(CURDIR)/build/full-checkpoint ctest --test-dir build/release --output-on-failure -R parity

# make soak SEED=7 MINUTES=60
SEED ?= 1
MINUTES ?= 10

soak: ## kills, cut networks and failing calls at random, for MINUTES, from SEED on
	@scripts/setup build test
	@scripts/build release inpaintd soak-check fault
	@scripts/soak "$(SEED)" "$(MINUTES)"

lint: ## layout, clang-tidy, cppcheck and the house rules
	@scripts/setup build test lint
	@[ -f build/release/build.ninja ] || cmake --preset release
	@scripts/lint

format: ## lay out all C sources by .clang-format
	@scripts/setup lint
	@find src include tests fuzz bench -name '*.[ch]' -print0 | xargs -0 -r clang-format -i

asan: ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/setup build test
	@scripts/build asan
	ctest --test-dir build/asan --output-on-failure -R "$(TESTS)"

tsan: ## the tests under ThreadSanitizer
	@scripts/setup build test
	@scripts/build tsan
	ctest --test-dir build/tsan --output-on-failure -R "$(TESTS)"

clang: ## the tests, built by clang
	@scripts/setup build test clang
	@scripts/build clang
	ctest --test-dir build/clang --output-on-failure -R "$(TESTS)"

fuzz: ## build the fuzz targets into build/fuzz (see fuzz/CMakeLists.txt)
	@scripts/setup build test clang
	@scripts/build fuzz

clean: ## remove build/
	rm -rf build
