# 城市公共安全风险一张图 | riskmap. `make` lists the targets.
# Every path here is relative, so that a checkout may lie under any name.

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

#: PYTHON 建立虚拟环境的 Python(3.11 起) | the Python (3.11+) that makes the virtual environment
PYTHON ?= python3
#: VENV 虚拟环境的文件夹,默认 .venv | folder of the virtual environment, default .venv
VENV ?= .venv
#: ARGS 传给 pytest 或 riskmap serve 的参数 | arguments for pytest or riskmap serve
ARGS ?=

#: PROVE_KILLS make prove-crash 的次数,默认 60 | how many kills make prove-crash makes, default 60

# Read by riskmap itself:
#: RISKMAP_HOST 监听地址,默认 127.0.0.1 | address to listen on, default 127.0.0.1
#: RISKMAP_PORT 监听端口,默认 8000 | port to listen on, default 8000
#: RISKMAP_DATA_DIR 数据文件夹,默认 .riskmap | data folder, default .riskmap
#: RISKMAP_DATABASE_URL 使用外部 PostgreSQL,而不是自带的 | an external PostgreSQL, not our own
#: RISKMAP_PG_BIN initdb 与 postgres 所在文件夹 | folder of initdb and postgres

export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# A virtual environment knows its own path: one that was moved or copied is made anew.
venv_stamp := $(VENV)/.made-at-$(firstword $(shell pwd -P | cksum))
run_stamp := $(VENV)/.installed-run
dev_stamp := $(VENV)/.installed-dev

.PHONY: help setup venv run test prove-crash lint types imports fmt constraints clean

help: ## 列出所有目标(默认) | list every target (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { split($$2, t, " [|] "); \
		printf "  make %-12s %s\n  %17s %s\n", $$1, t[1], "", t[2] }' Makefile
	@printf '\n变量 | Variables (make run RISKMAP_PORT=9000):\n'
	@awk '/^#: / { name = $$2; sub(/^#: [A-Z_]+ /, ""); split($$0, t, " [|] "); \
		printf "  %-20s  %s\n  %20s  %s\n", name, t[1], "", t[2] }' Makefile

setup: ## 从发行版安装缺少的软件包(PostgreSQL、PostGIS、venv) | install missing packages of the distribution
	@sh scripts/setup-system.sh $(filter run,$(MAKECMDGOALS))

$(venv_stamp): | setup
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(run_stamp): $(venv_stamp) pyproject.toml constraints.txt
	$(VENV)/bin/python -m pip install -c constraints.txt -e .
	@touch $@

$(dev_stamp): $(venv_stamp) pyproject.toml constraints.txt
	$(VENV)/bin/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $@ $(run_stamp)

venv: $(dev_stamp) ## 建立含开发工具的虚拟环境 | make the virtual environment, tools included

# exec: make passes SIGTERM on to its child, which is then the service itself and no shell.
run: $(run_stamp) ## 安装、启动服务与数据库(Ctrl-C 停止) | install, start the service and its database (Ctrl-C stops)
	@exec $(VENV)/bin/riskmap serve $(ARGS)

test: $(dev_stamp) ## 全部检查与测试 | every check and test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m pytest $(ARGS)

prove-crash: $(dev_stamp) ## 导入时随机 kill -9 六十次(约五分钟) | sixty kill -9 at random moments of imports (some five minutes)
	$(VENV)/bin/python -m pytest -m prove tests/client/test_crash.py $(ARGS)

lint: $(dev_stamp) ## 代码风格 | lint and format check
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(dev_stamp) ## 类型检查 | type check
	$(VENV)/bin/mypy

imports: $(dev_stamp) ## 各模块的依赖方向 | the contract on who imports whom
	$(VENV)/bin/lint-imports

fmt: $(dev_stamp) ## 改正格式 | mend the format
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

constraints: setup ## 依赖变更后重写 constraints.txt | write constraints.txt anew after a change of dependencies
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install -e '.[dev]'
	build/constraints/bin/python -m pip freeze --exclude-editable --exclude pip > build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/constraints

clean: ## 删除虚拟环境与缓存,不动数据 | remove the virtual environment and caches, never data
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests migrations -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
