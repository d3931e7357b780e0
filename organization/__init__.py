"""What exists once for all environments."""
