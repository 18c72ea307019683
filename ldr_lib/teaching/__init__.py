"""What the course's assignments use: checks whose messages teach, the project's photographs, and
the leaderboard of a class.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
