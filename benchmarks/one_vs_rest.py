"""F1 of a baseline on multi-label sets: scikit-learn's one-vs-rest linear SVM on TF-IDF features.

Validation chooses C by the metric that the recipe selects models by. A label is predicted if its margin is above 0.
Test is scored once.

    SLUGLINE_DATA=folder python benchmarks/one_vs_rest.py recipes/modapte-embedded.toml recipes/goemotions-embedded.toml
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from slugline.core.predictions import Predictions
from slugline.data.dataset import TextDataset
from slugline.data.load import load_dataset
from slugline.evaluation.metrics import metric
from slugline.evaluation.score import score
from slugline.recipe.recipe import read

#: Values of C that validation chooses from.
COSTS = (0.1, 0.3, 1.0, 3.0, 10.0)


def main(paths: list[str]) -> None:
    """Print the baseline's test metrics on the data set of each recipe."""
    for path in paths:
        recipe = read(path)
        dataset = load_dataset(recipe.data)
        predictions, cost = baseline(dataset, select_by=recipe.train.select_by)
        metrics = score(predictions).metrics
        print(f"{recipe.data.name}, C = {cost:g}")
        for name in ("f1_micro", "f1_macro"):
            low, high = metrics["confidence_intervals"][name]
            print(f"  {name} {metrics[name]:.4f} [{low:.4f}, {high:.4f}]")


def baseline(dataset: TextDataset, *, select_by: str) -> tuple[Predictions, float]:
    """Return the predictions on test, and the C with the best metric on validation."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform(dataset["train"]["text"][:])
    targets = dataset.labels.targets(dataset["train"]["label"][:])
    models = {cost: OneVsRestClassifier(LinearSVC(C=cost), n_jobs=2).fit(features, targets) for cost in COSTS}
    selected_by = metric(select_by, dataset.labels)

    def predict(model: OneVsRestClassifier, split: str) -> Predictions:
        rows = dataset[split]
        return Predictions(
            ids=np.array(rows["id"][:], dtype=object),
            targets=dataset.labels.targets(rows["label"][:]),
            logits=model.decision_function(vectorizer.transform(rows["text"][:])).astype(np.float32),
            labels=dataset.labels,
            split=split,
        )

    cost = max(COSTS, key=lambda cost: selected_by.value(predict(models[cost], "validation")))
    return predict(models[cost], "test"), cost


if __name__ == "__main__":
    main(sys.argv[1:])
