# Everything that this project is made, run and checked with. `make` alone says what there is.
#
# All goes into .venv in this folder; nothing is installed for the whole machine. Written for GNU make 3.81 (macOS) and
# later, and for folders with spaces in their names: only relative paths.

PYTHON ?= python3
BIN = .venv/bin
# Everybody gets the versions that `make lock` has written: the demo those of Binder, the tests all of them, with hashes.
# What is imported is compiled then: to compile all of it first takes as long as the rest of the installation.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile
BROWSERS = chromium chromium-browser google-chrome google-chrome-stable \
	'/Applications/Chromium.app/Contents/MacOS/Chromium' \
	'/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'

# Where Python is told to keep nothing compiled (images for containers often are), each of hundreds of programs would
# compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-fast test-project test-sessions test-cluster test-storage test-browser test-lowest search lint format lock bench docs screenshots site release clean

help:
	@echo 'make demo     the whole thing on this machine, no account needed; Ctrl-C ends it'
	@echo '              (for a server without a screen: make demo ARGS=--no-browser)'
	@echo 'make test     the tests; some of them: make test ARGS="-k plugin"'
	@echo 'make test-fast     the tests without network, in a minute'
	@echo 'make test-project, test-sessions, test-cluster, test-storage (a real Ceph gateway), test-browser: the long tests'
	@echo 'make test-lowest   the tests without network, with the lowest versions that are allowed'
	@echo 'make search   new inputs for the tests of properties'
	@echo 'make lint     style, types and clean notebooks'
	@echo 'make format   put the style right'
	@echo 'make lock     write which versions are installed; the newest: make lock ARGS=--upgrade'
	@echo 'make bench    how fast a launch is, against JupyterLab alone'
	@echo 'make docs     write the pages that are made from the code'
	@echo 'make site     the documents as a web site'
	@echo 'make release  the wheel, built, checked and tried with every Python of this machine'
	@echo 'make screenshots   make the pictures of README and docs again'
	@echo 'make clean    remove what these commands made, the environment too'

# `exec`: the program takes the place of the shell, so that Ctrl-C reaches it, and make waits until it has cleaned up.
demo: .venv/installed-demo
	@exec $(BIN)/python -m run_qarnot demo $(ARGS)

# The browser of the tests: CHROMIUM, or the first of the usual ones that is installed.
ifeq ($(origin CHROMIUM),undefined)
CHROMIUM := $(shell for browser in $(BROWSERS); do command -v "$$browser" && break; done)
endif
export CHROMIUM

# Tests run in some processes at once, a file in one of them: many tests wait for something most of the time.
WORKERS ?= 3
PYTEST = $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder --durations=$(DURATIONS)
DURATIONS ?= 0
NO_BROWSER = $(if $(CHROMIUM),,and not browser)

# `make test` proves that the product works, in a few minutes. The other targets are the further steps of .ci/run: together
# they are all tests.
test: .venv/installed-dev .venv/browser .venv/hub_proxy/installed
	@exec $(PYTEST) -m 'not slow and not storage $(NO_BROWSER)' $(ARGS)

test-fast: .venv/installed-dev
	@exec $(PYTEST) tests/unit tests/project -m 'not slow' $(ARGS)

test-project: .venv/installed-dev .venv/hub_proxy/installed
	@exec $(PYTEST) tests/unit tests/project -m slow $(ARGS)

test-sessions: .venv/installed-dev .venv/hub_proxy/installed
	@exec $(PYTEST) tests/integration --ignore=tests/integration/local -m 'slow and not storage' $(ARGS)

test-cluster: .venv/installed-dev
	@exec $(PYTEST) tests/integration/local -m 'slow and not storage' $(ARGS)

test-browser: .venv/installed-dev .venv/browser .venv/hub_proxy/installed
	@exec $(PYTEST) tests/browser -m slow $(ARGS)

# The lowest versions that pyproject.toml allows, in an environment of their own. Not test_binder.py: it holds the pins.
LOWEST = .venv/lowest/bin/python
test-lowest: .venv/installed-dev
	@$(BIN)/uv pip compile --quiet --resolution lowest-direct --python $(BIN)/python --extra local --extra dev \
	  --output-file .venv/lowest.txt --no-header --upgrade pyproject.toml
	@[ -x $(LOWEST) ] || $(BIN)/uv venv --quiet --python $(BIN)/python .venv/lowest
	@$(BIN)/uv pip sync --quiet --python $(LOWEST) .venv/lowest.txt
	@$(BIN)/uv pip install --quiet --python $(LOWEST) --no-deps --editable .
	@exec $(PYTEST:$(BIN)/python=$(LOWEST)) tests/unit tests/project --ignore=tests/project/test_binder.py \
	  -m 'not slow' $(ARGS)

# New inputs for the property tests; what fails prints how to try it again.
search: .venv/installed-dev
	@HYPOTHESIS_PROFILE=search exec $(PYTEST) -m 'hypothesis and not storage' $(ARGS)

.PHONY: .venv/browser
.venv/browser:
	@if [ -n "$(CHROMIUM)" ]; then exit 0; fi; \
	echo 'No Chromium was found, so the page cannot be tried in a browser.' >&2; \
	echo 'Install it (Debian, Ubuntu: apt-get install chromium; macOS: brew install --cask chromium),' >&2; \
	echo 'or name yours: make test CHROMIUM=/path/to/chrome' >&2; \
	if [ "$$CI" = true ]; then exit 1; fi; \
	echo 'Everything else is tested now.' >&2

# What is tested on the local cluster's storage and on a gateway's, and the transfers once more on the gateway's.
test-storage: .venv/installed-dev
	@PYTHONPATH=tests $(BIN)/python -m support.ceph
	@exec $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --durations=$(DURATIONS) --gateway tests/integration/storage \
	  $(patsubst %,tests/integration/cloud/test_%.py,uploads downloads direct) $(ARGS)

lint: .venv/installed-dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m nbstripout --verify *.ipynb
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --no-progress --quiet --persona pedantic .github/workflows

format: .venv/installed-dev
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .
	$(BIN)/python -m nbstripout *.ipynb

bench: .venv/installed-dev
	@for part in launch following catalog cluster transfers uploads cards page proxy mounts; do \
	  [ ! -e benchmarks/$$part.py ] || $(BIN)/python benchmarks/$$part.py || exit 1; \
	done
	@$(BIN)/python docs/make_reference.py  # the README's table

# Versions of before stay where they fit; the newest of all: make lock ARGS=--upgrade
lock: .venv/installed-dev
	@PYTHONPATH=tests $(BIN)/python building/lock.py $(ARGS)

docs: .venv/installed-dev
	@$(BIN)/python docs/make_lifecycle.py
	@$(BIN)/python docs/make_reference.py

# The documents as a web site, in build/site; a link that leads nowhere ends it.
site: docs .venv/installed-dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo 'The documents are in build/site/index.html'

# Builds the wheel, checks it, and installs it in an environment for each Python of this machine. Publishes nothing.
release: .venv/installed-dev
	@$(BIN)/python building/release.py

screenshots: .venv/installed-dev
	@exec $(BIN)/python docs/screenshots.py

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each is as old as the last installation, which is repeated when what is to be installed changes. To install is
# also to compile the page's components.
INSTALLED = pyproject.toml binder/constraints.txt constraints-dev.txt $(wildcard building/*.* building/vue/* run_qarnot/page/components/*.vue run_qarnot/page/components/*.js run_qarnot/page/components/vendor/*)
.venv/installed-demo: $(INSTALLED) | .venv/made
	@echo 'Installing into .venv; the first time takes a minute or two.'
	@$(INSTALL) --constraint binder/constraints.txt --editable '.[local]'
	@touch $@

.venv/installed-dev: $(INSTALLED) | .venv/made
	@echo 'Installing into .venv, with the tools for development; the first time takes a minute or two.'
	@$(INSTALL) --no-deps --require-hashes --requirement constraints-dev.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ .venv/installed-demo

# JupyterHub's proxy is a program of node. Without npm only the tests with a hub, which are among the long ones, fail.
.venv/hub_proxy/installed: building/hub_proxy/package-lock.json | .venv/made
	@mkdir -p .venv/hub_proxy
	@cp building/hub_proxy/package.json building/hub_proxy/package-lock.json .venv/hub_proxy/
	@if command -v npm >/dev/null; then \
	  cd .venv/hub_proxy && npm ci --silent --no-audit --no-fund --ignore-scripts && touch installed; \
	else \
	  echo 'There is no npm, so the page cannot be tried in a JupyterHub (Debian, Ubuntu: apt-get install npm).' >&2; \
	  [ "$$CI" != true ]; \
	fi

.venv/made:
	@command -v '$(PYTHON)' >/dev/null || { \
	  echo 'There is no $(PYTHON) here. Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python3' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is `'$(PYTHON)' --version 2>&1`." >&2; \
	  echo 'If a newer one is installed, name it: make PYTHON=python3.12' >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'This Python cannot make environments: its module ensurepip is missing.' >&2; \
	  echo 'Install it (Debian, Ubuntu: apt-get install python3-venv), then try again.' >&2; exit 1; }
	@rm -rf .venv
	@'$(PYTHON)' -m venv .venv || { rm -rf .venv; exit 1; }
	@touch $@
