"""A trained network from within."""
