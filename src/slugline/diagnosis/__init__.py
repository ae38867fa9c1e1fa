"""In plain words what a run shows, and which setting to change."""

from slugline.diagnosis.diagnose import SAID_BY, diagnose, diagnose_folds
from slugline.diagnosis.evidence import Diagnosis

__all__ = ["SAID_BY", "Diagnosis", "diagnose", "diagnose_folds"]
