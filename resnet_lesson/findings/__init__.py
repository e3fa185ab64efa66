"""What the records say; nothing here trains.

Two differences are computed, both seed by seed:

- plain − residual at one depth, after the sweep's few steps: ``comparison.paired``;
- deep − shallow within one arm, the degradation of He et al. (2016): ``long.difference``.
"""
