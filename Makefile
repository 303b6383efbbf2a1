# make demo · make test · make check · make bench · make test-editors · make dist · make lock
# Each makes its own virtual environment when there is none, of the versions in constraints.txt and tests/constraints/.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
GPTQ_VENV ?= .venv-auto-gptq
GPTQ_PYTHON ?= python3.11
GPTQMODEL_VENV ?= .venv-gptqmodel
ENGINES_VENV ?= .venv-engines
VLLM_VENV ?= .venv-vllm
TOOLS_VENV ?= .venv-tools
LATEST_VENV ?= .venv-latest
OLDEST_VENV ?= .venv-oldest
# What installs into an environment. With uv's: make demo INSTALL='uv pip install --torch-backend=cpu'
INSTALL ?= pip install --disable-pip-version-check
KERNELS := $(wildcard server/starfill/engine/native/*.[ch])

NOTICE := 'Installing Starfill into $(VENV). To download: 0.3 GB with the CPU build of torch; where pip takes torch for Linux from' \
	'the default index, that brings NVIDIA libraries: about 3 GB. For the CPU build alone, stop here and use' \
	"  make $(or $(MAKECMDGOALS),demo) INSTALL='uv pip install --torch-backend=cpu'" \
	'or set PIP_EXTRA_INDEX_URL to the address that PyTorch shows on its installation page for pip and CPU.'

COMMA := ,
# $(call environment,FOLDER,PYTHON,WHAT...): makes the virtual environment where there is none, and installs into it.
environment = { test -x $(1)/bin/python || $(2) -m venv $(1); } && \
	VIRTUAL_ENV=$(abspath $(1)) PATH="$(abspath $(1))/bin:$$PATH" $(INSTALL) $(3)

# As many processes as cores; memory is short for more than four. How tests are dealt out is in tests/conftest.py.
# A process that crashes ends the run: pytest-xdist would wait for ever.
TEST := -m pytest --numprocesses auto --maxprocesses 4 --max-worker-restart 0 --no-loadscope-reorder
# Without real editors, training and kernels for GPUs.
FAST := $(TEST) --ignore tests/editors --ignore tests/training --ignore tests/engine/cuda

.PHONY: demo test lint check format editors test-editors test-cuda test-sanitized test-latest test-oldest test-auto-gptq test-gptqmodel test-engines \
	soak bench bench-gpu bench-peers evaluate-bundled docs lock dist clean

demo: $(VENV)/installed
	@$(BIN)/python clients/demo.py

test: $(VENV)/dev-installed
	$(BIN)/python $(TEST) $(PYTEST)

lint: $(VENV)/dev-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test

# VS Code (code-server, Chromium), Neovim, Emacs, Helix and Vim, into STARFILL_EDITORS (~/.cache/starfill-editors): Debian on amd64.
editors:
	@tests/editors/install.sh

test-editors: editors $(VENV)/dev-installed
	STARFILL_EDITORS_REQUIRED=1 $(BIN)/python $(TEST) tests/editors $(PYTEST)

# What a keystroke costs here, in llama.cpp's server and in transformers. BENCH: options of benchmarks/bench.py.
bench: bench-peers
	$(BIN)/python benchmarks/bench.py $(BENCH)
	$(BIN)/python benchmarks/action_latency.py

# llama.cpp's programs, for this processor: about ten minutes, once. Needs cmake and a C++ compiler.
bench-peers: $(VENV)/bench-installed
	@PYTHONPATH=benchmarks $(BIN)/python -m peers.llama_build

# What an NVIDIA GPU reaches, and the tests that need one; see benchmarks/gpu/README.md. GPU_PYTHON: the interpreter that has what they
# need, as `make test-cuda GPU_PYTHON=python3`, where nothing is to be installed. BENCH: options of benchmarks/gpu/bench_gpu.py.
ifdef GPU_PYTHON
GPU_RUN := PYTHONPATH=server:benchmarks $(GPU_PYTHON)
else
GPU_RUN := PYTHONPATH=benchmarks $(BIN)/python
bench-gpu test-cuda: $(VENV)/dev-installed
endif

bench-gpu:
	$(GPU_RUN) -m gpu.bench_gpu $(BENCH)

# Warnings are shown there, and are no errors: other versions of libraries have others. PYTEST: more options.
test-cuda:
	STARFILL_TESTS_ON_GPU=1 $(GPU_RUN) -m pytest -m cuda -W default -p no:cacheprovider tests/engine/test_cuda*.py $(PYTEST)

# How good the bundled model is, into its model card. DATA: the folder with HumanEval-SingleLineInfilling.jsonl.gz.
evaluate-bundled: $(VENV)/installed
	@$(MAKE) -C training evaluate PYTHON=$(abspath $(BIN)/python) DATA=$(abspath $(DATA))

# The memory of the server over an hour of typing. SOAK: options of tests/soak/typist.py.
soak: $(VENV)/dev-installed
	$(BIN)/python tests/soak/typist.py $(SOAK)

format: $(VENV)/dev-installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The CPU kernels under the address sanitizer: for whoever changes them.
test-sanitized: $(VENV)/dev-installed
	STARFILL_SANITIZED=1 $(BIN)/python -m pytest tests/engine/native/test_sanitized.py

# auto-gptq 0.7.1 has a wheel for Python 3.11 and imports with transformers 4.51-4.52, so it has an environment of its own.
test-auto-gptq: $(GPTQ_VENV)/installed
	$(GPTQ_VENV)/bin/python -m pytest -m auto_gptq

# gptqmodel 7.6.0 builds from source and pins an older numpy, so it has an environment of its own too.
test-gptqmodel: $(GPTQMODEL_VENV)/installed
	$(GPTQMODEL_VENV)/bin/python -m pytest -m gptqmodel

# Serving engines with the bundled model: llama.cpp's server, that of llama-cpp-python, transformers serve, vLLM. The first two are
# built from source, with cmake and a C++ compiler: about twenty minutes, once. vLLM has an environment of its own.
test-engines: $(ENGINES_VENV)/installed $(VLLM_VENV)/installed
	@PYTHONPATH=benchmarks $(ENGINES_VENV)/bin/python -m peers.llama_build
	STARFILL_ENGINES_REQUIRED=1 STARFILL_VLLM=$(VLLM_VENV)/bin/vllm $(ENGINES_VENV)/bin/python -m pytest -m engines tests/engines

# The table in docs/settings.md, from the settings themselves (a test holds them together).
docs: $(VENV)/installed
	@$(BIN)/python -m starfill.config.reference

# The newest release of everything that pyproject.toml admits: what a user gets who installs today.
test-latest:
	@$(call environment,$(LATEST_VENV),$(PYTHON),--upgrade --upgrade-strategy eager --editable '.[dev]')
	$(LATEST_VENV)/bin/python $(FAST) $(PYTEST)

# The oldest ones that it admits.
test-oldest: $(TOOLS_VENV)/installed
	@mkdir -p build
	@$(COMPILE) --resolution lowest-direct --python-version 3.11 --extra dev pyproject.toml --output-file build/constraints-oldest.txt
	@$(call environment,$(OLDEST_VENV),$(GPTQ_PYTHON),--constraint build/constraints-oldest.txt --editable '.[dev]')
	$(OLDEST_VENV)/bin/python $(FAST) $(PYTEST)

# ---- Environments ------------------------------------------------------------------------------------------------------

# What is installed is what was tested: exact versions, written by `make lock` from what resolves on that day.
PINS := tests/constraints
COMPILE := $(TOOLS_VENV)/bin/uv pip compile --quiet --upgrade --no-header --no-annotate
UNIVERSAL := --universal --python-version 3.10

lock: $(TOOLS_VENV)/installed
	$(COMPILE) $(UNIVERSAL) --extra dev --extra bench --extra training pyproject.toml --output-file constraints.txt
	$(COMPILE) --python-version 3.11 --extra dev --extra auto-gptq pyproject.toml --output-file $(PINS)/auto-gptq.txt
	$(COMPILE) --python-version 3.11 --extra dev --extra gptqmodel pyproject.toml --output-file $(PINS)/gptqmodel.txt
	$(COMPILE) --python-version 3.11 --extra dev --extra engines pyproject.toml --output-file $(PINS)/engines.txt
	$(COMPILE) --python-version 3.11 $(PINS)/vllm.in --override $(PINS)/vllm.in --output-file $(PINS)/vllm.txt

$(VENV)/installed: pyproject.toml constraints.txt $(KERNELS)
	@test -x $(BIN)/python || printf '%s\n' $(NOTICE)
	@$(call environment,$(VENV),$(PYTHON),--constraint constraints.txt --editable '.[demo]')
	@touch $@

$(VENV)/dev-installed: pyproject.toml constraints.txt $(KERNELS)
	@test -x $(BIN)/python || printf '%s\n' $(NOTICE)
	@$(call environment,$(VENV),$(PYTHON),--constraint constraints.txt --editable '.[dev]')
	@touch $(VENV)/installed $@

$(VENV)/bench-installed: $(VENV)/dev-installed
	@$(call environment,$(VENV),$(PYTHON),--constraint constraints.txt --editable '.[bench]')
	@touch $@

$(GPTQ_VENV)/installed: pyproject.toml $(PINS)/auto-gptq.txt $(KERNELS)
	@$(call environment,$(GPTQ_VENV),$(GPTQ_PYTHON),--constraint $(PINS)/auto-gptq.txt --editable '.[auto-gptq$(COMMA)dev]')
	@touch $@

$(GPTQMODEL_VENV)/installed: pyproject.toml $(PINS)/gptqmodel.txt $(KERNELS)
	@$(call environment,$(GPTQMODEL_VENV),$(PYTHON),--constraint $(PINS)/gptqmodel.txt --editable '.[gptqmodel$(COMMA)dev]')
	@touch $@

$(ENGINES_VENV)/installed: pyproject.toml $(PINS)/engines.txt $(KERNELS)
	@$(call environment,$(ENGINES_VENV),$(PYTHON),--constraint $(PINS)/engines.txt --editable '.[engines$(COMMA)dev]')
	@touch $@

$(VLLM_VENV)/installed: tests/engines/install_vllm.sh $(PINS)/vllm.txt
	@PYTHON=$(PYTHON) sh tests/engines/install_vllm.sh $(VLLM_VENV) $(PINS)/vllm.txt
	@touch $@

$(TOOLS_VENV)/installed:
	@$(call environment,$(TOOLS_VENV),$(PYTHON),--quiet build uv)
	@touch $@

# The wheel and the sdist, and the extension for VS Code (with node and npm), into dist/.
dist: $(TOOLS_VENV)/installed
	$(TOOLS_VENV)/bin/python -m build
	cd clients/vscode && npm ci --ignore-scripts --no-audit --no-fund && npm run package
	cp clients/vscode/dist/starfill.vsix dist/

clean:
	rm -rf .venv .venv-* build dist training/build
