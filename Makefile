.PHONY: setup demo test story lint clean FORCE

setup: .setup/done
	@:

.setup/done: pyproject.toml tools/setup $(if $(wildcard .venv/bin/python),,FORCE)
	@tools/setup
	@mkdir -p .setup && touch $@

# The whole story of the guide, played and shown.
demo: setup
	@.venv/bin/serinus demo

# Every test, the story in both worlds included.
test: setup
	.venv/bin/python -m pytest

story: setup
	.venv/bin/python -m pytest tests/story

lint: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy --strict src
	.venv/bin/lint-imports

# What setup and the tests made here; Debian packages stay.
clean:
	rm -rf .venv .setup .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
