"""The workload's side of a rollout: target, primary, their Services and autoscalers."""
