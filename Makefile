.PHONY: setup demo test test-cluster test-kuma kills soak mutants story lint clean FORCE

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

# Every test, the story in both worlds included, but for those that need a real control plane, of
# Kubernetes or of Kuma.
test: setup
	.venv/bin/python -m pytest $(SIDE_BY_SIDE) -m "not controlplane and not realkuma"

# Against a real control plane: etcd, kube-apiserver, kube-controller-manager and Helm are built
# first, from Go modules, with this machine's Go or PyPI's. buildah, for the images, is installed.
test-cluster: setup
	tests/controlplane/build
	tests/deploy/engine
	.venv/bin/python -m pytest $(SIDE_BY_SIDE) -m controlplane

# Against Kuma's own control planes, 1.8 and 2.7, on the real one of Kubernetes. Both are built
# first; the first time takes some minutes for each.
test-kuma: setup
	tests/kuma/real/build
	.venv/bin/python -m pytest -m realkuma tests/kuma/real

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

# The guide in the lab with each Kuma, and every other story; with KUMA=3.0 what goes wrong around a
# rollout, too, with that one only. With CONTROL_PLANE=real on Kubernetes' own control plane, which
# is built first.
KUMAS = 1.8 2.7 2.14 3.0
STORY = SERINUS_STORY_KUMA="$(KUMA)" .venv/bin/python -m pytest \
	$(if $(KUMA),tests/story/test_guide.py tests/story/test_faults.py,tests/story)

story: setup
	$(if $(filter-out $(KUMAS),$(KUMA)),$(error KUMA is one of $(KUMAS) or not set at all, not `$(KUMA)`))
ifeq ($(CONTROL_PLANE),real)
	tests/controlplane/build
	SERINUS_STORY_CONTROL_PLANE=.setup/controlplane $(STORY)
else ifneq ($(CONTROL_PLANE),)
	$(error CONTROL_PLANE is `real` or not set at all, not `$(CONTROL_PLANE)`)
else
	$(STORY)
endif

lint: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy --strict src
	.venv/bin/lint-imports

# What setup and the tests made here; Debian packages stay.
clean:
	rm -rf .venv .setup .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
