"""In plain words what a run shows, and which setting to change."""

from slugline.evaluation.diagnosis.diagnose import SAID_BY, diagnose, diagnose_folds
from slugline.evaluation.diagnosis.evidence import Diagnosis

__all__ = ["SAID_BY", "Diagnosis", "diagnose", "diagnose_folds"]
