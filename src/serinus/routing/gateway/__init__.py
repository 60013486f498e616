"""Traffic by the Gateway API: an HTTPRoute whose parent is the apex Service (GAMMA)."""
