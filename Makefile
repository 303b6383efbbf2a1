# make demo · make test · make check · make bench · make bench-gpu · make test-editors    each makes its own virtual environment when there is none
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
GPTQ_VENV ?= .venv-auto-gptq
GPTQ_PYTHON ?= python3.11
GPTQMODEL_VENV ?= .venv-gptqmodel
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
ENGINES_VENV ?= .venv-engines
VLLM_VENV ?= .venv-vllm
KERNELS := $(wildcard server/starfill/engine/native/*.[ch])

.PHONY: demo test editors test-editors test-cuda check soak bench bench-gpu bench-peers evaluate-bundled format test-auto-gptq test-gptqmodel test-engines docs clean

demo: $(VENV)/installed
	@$(BIN)/python clients/demo.py

test: $(VENV)/installed
	$(BIN)/python -m pytest

# VS Code (code-server, Chromium), Neovim, Emacs, Helix and Vim, into STARFILL_EDITORS (~/.cache/starfill-editors): Debian on amd64.
editors:
	@tests/editors/install.sh

test-editors: editors $(VENV)/installed
	STARFILL_EDITORS_REQUIRED=1 $(BIN)/python -m pytest tests/editors

check: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

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
bench-gpu test-cuda: $(VENV)/installed
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
soak: $(VENV)/installed
	$(BIN)/python tests/soak/typist.py $(SOAK)

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

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

# The settings table of the README, from the settings themselves (a test holds them together).
docs: $(VENV)/installed
	@$(BIN)/python -m starfill.settings

$(VENV)/installed: pyproject.toml $(KERNELS)
	@echo "Installing Starfill into $(VENV): about a minute, most of it torch"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP_INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/bench-installed: $(VENV)/installed
	@$(BIN)/python $(PIP_INSTALL) --editable '.[bench]'
	@touch $@

$(GPTQ_VENV)/installed: pyproject.toml $(KERNELS)
	@$(GPTQ_PYTHON) -m venv $(GPTQ_VENV)
	@$(GPTQ_VENV)/bin/python $(PIP_INSTALL) --editable '.[auto-gptq,dev]'
	@touch $@

$(GPTQMODEL_VENV)/installed: pyproject.toml $(KERNELS)
	@$(PYTHON) -m venv $(GPTQMODEL_VENV)
	@$(GPTQMODEL_VENV)/bin/python $(PIP_INSTALL) --editable '.[gptqmodel,dev]'
	@touch $@

$(ENGINES_VENV)/installed: pyproject.toml $(KERNELS)
	@$(PYTHON) -m venv $(ENGINES_VENV)
	@$(ENGINES_VENV)/bin/python $(PIP_INSTALL) --editable '.[engines,dev]'
	@touch $@

$(VLLM_VENV)/installed: tests/engines/install_vllm.sh
	@PYTHON=$(PYTHON) sh tests/engines/install_vllm.sh $(VLLM_VENV)
	@touch $@

clean:
	rm -rf $(VENV) $(GPTQ_VENV) $(GPTQMODEL_VENV) $(ENGINES_VENV) $(VLLM_VENV) build training/build
