"""Kuma: which of its ways to split traffic a cluster has, and each of them."""
