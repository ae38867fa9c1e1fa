"""In plain words what a run shows, and which setting to change."""

from slugline.evaluation.diagnosis.diagnose import EXPLAINED_BY, diagnose, diagnose_folds
from slugline.evaluation.diagnosis.evidence import Diagnosis

__all__ = ["EXPLAINED_BY", "Diagnosis", "diagnose", "diagnose_folds"]
