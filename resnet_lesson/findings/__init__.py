"""What the records say; nothing here trains.

Two differences are computed, both by ``comparison.compare``, seed by seed:

- plain − residual at one depth: ``comparison.paired``;
- deep − shallow within one arm, the degradation of He et al. (2016): ``conclusions.degradation``.
"""
