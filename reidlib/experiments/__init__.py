"""Many runs and what they say: studies and sweeps, the ledger of results, comparisons, claims, the benchmark.

Modules load on first use: ``experiments.ledger.table()``.
"""

from reidlib import submodules

__getattr__ = submodules(__name__)
