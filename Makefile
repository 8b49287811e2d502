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
#: PAGE PAGE=no 不构建网页,例如连不上 npm 时 | PAGE=no builds no page, as where npm is out of reach
PAGE ?= yes

#: PROVE_KILLS make prove-… 的次数,默认 60 与 50 | how many kills make prove-crash (60) and prove-import (50) make

# Read by riskmap itself:
#: RISKMAP_HOST 监听地址,默认 127.0.0.1 | address to listen on, default 127.0.0.1
#: RISKMAP_PORT 监听端口,默认 8000 | port to listen on, default 8000
#: RISKMAP_DATA_DIR 数据文件夹,默认 .riskmap | data folder, default .riskmap
#: RISKMAP_DEMO 0:数据库为空时不载入演示市 | 0: an empty database gets no demo city
#: RISKMAP_DATABASE_URL 使用外部 PostgreSQL,而不是自带的 | an external PostgreSQL, not our own
#: RISKMAP_PG_BIN initdb 与 postgres 所在文件夹 | folder of initdb and postgres

export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

# A virtual environment knows its own path: one that was moved or copied is made anew.
venv_stamp := $(VENV)/.made-at-$(firstword $(shell pwd -P | cksum))
run_stamp := $(VENV)/.installed-run
dev_stamp := $(VENV)/.installed-dev
node_stamp := $(VENV)/.installed-web

# The build writes its manifest last: with it the page is whole. The folders tell of files that
# were taken away.
page := src/riskmap/web/static/MANIFEST.json
page_sources := $(shell find web/src web/licences) $(wildcard web/*.html web/*.json web/*.mjs)
npm_stamp := web/node_modules/.installed
npm = sh scripts/npm.sh $(VENV)/bin/python --prefix web
wanted_page := $(if $(filter no,$(PAGE)),,$(page))

.PHONY: help setup venv run web test prove-api prove-crash prove-demo prove-import prove-features prove-reach prove-tiles lint types imports fmt demo-files pictures constraints clean

help: ## 列出所有目标(默认) | list every target (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { split($$2, t, " [|] "); \
		printf "  make %-12s %s\n  %17s %s\n", $$1, t[1], "", t[2] }' Makefile
	@printf '\n变量 | Variables (make run RISKMAP_PORT=9000):\n'
	@awk '/^#: / { name = $$2; sub(/^#: [A-Z_]+ /, ""); split($$0, t, " [|] "); \
		printf "  %-20s  %s\n  %20s  %s\n", name, t[1], "", t[2] }' Makefile

setup: ## 从发行版安装缺少的软件包(PostgreSQL、PostGIS、venv) | install missing packages of the distribution
	@sh scripts/setup-system.sh $(filter run test prove-reach pictures,$(MAKECMDGOALS))

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

$(node_stamp): $(run_stamp)
	$(VENV)/bin/python -m pip install -q -c constraints.txt -e '.[web]'
	@touch $@

# --ignore-scripts: what a package would run at its installation is not ours.
$(npm_stamp): $(node_stamp) web/package.json web/package-lock.json web/.npmrc
	@$(npm) ci --ignore-scripts || { printf '%s\n%s\n' \
		'网页所需的 npm 软件包安装失败(见上)。连不上 npm 时可用 make PAGE=no …,服务照常运行,只是没有网页。' \
		'The npm packages of the page could not be installed (see above). Where npm is out of reach, make PAGE=no … does without the page.' \
		>&2; exit 2; }
	@touch $@

$(page): $(npm_stamp) $(page_sources)
	$(npm) run build

venv: $(dev_stamp) ## 建立含开发工具的虚拟环境 | make the virtual environment, tools included

# exec: make passes SIGTERM on to its child, which is then the service itself and no shell.
run: $(run_stamp) $(wanted_page) ## 安装、启动服务与数据库(Ctrl-C 停止) | install, start the service and its database (Ctrl-C stops)
	@exec $(VENV)/bin/riskmap serve $(ARGS)

web: $(page) ## 构建网页(Node 来自 Python 软件包) | build the page (Node comes as a Python package)

test: $(dev_stamp) $(wanted_page) ## 全部检查与测试 | every check and test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	@# One core each: our types and imports, and the page's.
	{ $(VENV)/bin/mypy && $(VENV)/bin/lint-imports; } & ours=$$!; \
		$(if $(wanted_page),{ $(npm) run check && $(npm) test; },:); page=$$?; \
		wait $$ours && exit $$page
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

prove-crash: $(dev_stamp) ## 导入与载入演示市时随机 kill -9(约十分钟) | kill -9 at random moments of imports and of the demo's load (some ten minutes)
	$(VENV)/bin/python -m pytest -m prove tests/client/test_crash.py tests/client/test_demo.py $(ARGS)

prove-api: $(dev_stamp) ## 按接口定义长时间随机请求 | ask what the API's description allows and forbids, at length
	$(VENV)/bin/python -m pytest -m prove tests/client/test_schemathesis.py $(ARGS)

prove-demo: $(dev_stamp) $(wanted_page) ## 演示市:另一个种子,逐部分比对;各级别样式 | the demo city of another seed, and part by part; styles at every zoom
	$(VENV)/bin/python -m pytest -m prove tests/unit/test_demo_files.py tests/unit/test_demo_ground.py tests/unit/test_demo_layers.py tests/unit/test_demo_streets.py tests/browser/test_styles_page.py tests/browser/test_archive_page.py $(ARGS)

prove-import: $(dev_stamp) ## 上传导入时随机 kill -9 服务与 PostgreSQL,50 次;日本避难所全部数据 | kill -9 of service and PostgreSQL during uploads' imports, 50 times; all of Japan's shelters
	$(VENV)/bin/python -m pytest -m prove tests/client/test_prove_import.py tests/client/test_import_service.py tests/db/test_import_truths.py $(ARGS)

prove-features: $(dev_stamp) ## 一万个随机过滤条件与独立求值对比,十分钟恶意过滤条件,全部注入文本 | 10,000 random filters against an evaluator, ten minutes of hostile ones, every injection
	$(VENV)/bin/python -m pytest -m prove tests/client/test_prove_features.py tests/client/test_injection.py tests/api/test_formats.py $(ARGS)

prove-reach: $(dev_stamp) ## 南京 200 个起点的行程时间与 pgRouting、networkx 比对,图形与时间比对 | times of 200 origins in Nanjing against pgRouting and networkx, drawings against times
	$(VENV)/bin/python -m pytest -m prove tests/analysis/test_prove_reach.py $(ARGS)

prove-tiles: $(dev_stamp) ## 两个服务进程,一万次写入与读取:提交一秒后不再有旧瓦片 | two services, 10,000 writes and reads: no old tile a second after a commit
	$(VENV)/bin/python -m pytest -m prove tests/client/test_prove_tiles.py tests/db/test_cells.py $(ARGS)

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

demo-files: $(run_stamp) ## 重新生成演示市的文件 data/layers | generate the demo city's files in data/layers anew
	$(VENV)/bin/riskmap demo generate --output data/layers

pictures: $(dev_stamp) $(page) ## 重新拍摄 README 的图片 | take the README's pictures anew
	$(VENV)/bin/python scripts/pictures.py

constraints: setup ## 依赖变更后重写 constraints.txt | write constraints.txt anew after a change of dependencies
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install -e '.[dev,web]'
	build/constraints/bin/python -m pip freeze --exclude-editable --exclude pip > build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/constraints

clean: ## 删除虚拟环境与缓存,不动数据 | remove the virtual environment and caches, never data
	rm -rf $(VENV) build dist web/node_modules src/riskmap/web/static .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests migrations -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
