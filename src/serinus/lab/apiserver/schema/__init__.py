"""What the API server knows of its objects: kinds, types, defaults, validation, encodings."""
