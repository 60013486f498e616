"""Who shifts the traffic: one protocol, and behind it the dialects of the meshes."""
