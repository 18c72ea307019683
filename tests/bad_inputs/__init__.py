"""The table of bad inputs: which argument of which valid call is changed to what, and the sentence
that it must end with. One module a room.
"""

from .data import DATA
from .explore import EXPLORE
from .guided import GUIDED
from .inputs import FOLDER as FOLDER
from .inputs import Row as Row
from .losses import LOSSES
from .method import METHOD
from .runs import RUNS
from .settings import SETTINGS
from .training import TRAINING
from .transfer import TRANSFER

TABLE = {
    "settings": SETTINGS,
    "method": METHOD,
    "training": TRAINING,
    "losses": LOSSES,
    "data": DATA,
    "guided": GUIDED,
    "explore": EXPLORE,
    "transfer": TRANSFER,
    "runs": RUNS,
}
"""Room to its rows."""
