"""Room of notebook 06: runs and their records, sweeps over parameters, claims and the ledger of
what was measured.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
