"""The whole way: a recipe goes in, a run comes out, and everything else reads runs."""

from slugline.pipeline.pretraining import pretrain
from slugline.pipeline.reading_runs import compare_runs, evaluate_on, score_split, warn_of_sizes
from slugline.pipeline.training import train

__all__ = ["compare_runs", "evaluate_on", "pretrain", "score_split", "train", "warn_of_sizes"]
