"""One module per recorded experiment; ``results/`` holds what they wrote."""

