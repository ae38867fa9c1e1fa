"""From a classifier to evidence: predictions, metrics, comparisons, plots."""
