.PHONY: setup demo test test-cluster kills soak mutants story lint clean FORCE

# Most tests wait for something, so more of them run side by side than there are cores.
SIDE_BY_SIDE = -n 3

setup: .setup/done
	@:

.setup/done: pyproject.toml tools/setup $(if $(wildcard .venv/bin/python),,FORCE)
	@tools/setup
	@mkdir -p .setup && touch $@

# The whole story of the guide, played and shown.
demo: setup
	@.venv/bin/serinus demo

# Every test, the story in both worlds included, but for those that need a real control plane.
test: setup
	.venv/bin/python -m pytest $(SIDE_BY_SIDE) -m "not controlplane"

# Against a real control plane: etcd, kube-apiserver, kube-controller-manager and Helm are built
# first, from Go modules, with this machine's Go or PyPI's. buildah, for the images, is installed.
test-cluster: setup
	tests/controlplane/build
	tests/deploy/engine
	.venv/bin/python -m pytest $(SIDE_BY_SIDE) -m controlplane

# The operator is killed at random moments through 200 rollouts; prints the counts.
kills: setup
	tests/controlplane/build
	.venv/bin/python tests/faults/kills.py

# 100,000 generated lives of canaries, on every core; prints the counts.
soak: setup
	PYTHONPATH=tests .venv/bin/python -m rollout.soak

# Takes one guard after the other out of the rollout, and shows that the soak notices.
mutants: setup
	PYTHONPATH=tests .venv/bin/python -m rollout.mutants

# The guide in the lab; with CONTROL_PLANE=real on Kubernetes' own control plane, which is built
# first.
story: setup
ifeq ($(CONTROL_PLANE),real)
	tests/controlplane/build
	SERINUS_STORY_CONTROL_PLANE=.setup/controlplane .venv/bin/python -m pytest tests/story
else ifneq ($(CONTROL_PLANE),)
	$(error CONTROL_PLANE is `real` or not set at all, not `$(CONTROL_PLANE)`)
else
	.venv/bin/python -m pytest tests/story
endif

lint: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy --strict src
	.venv/bin/lint-imports

# What setup and the tests made here; Debian packages stay.
clean:
	rm -rf .venv .setup .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
