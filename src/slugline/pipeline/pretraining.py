"""Texts without labels go in, a backbone to fine-tune comes out: `pretrain`."""

from __future__ import annotations

from pathlib import Path

from slugline.core.storage import replacing_folder
from slugline.data.corpus import load_corpus
from slugline.evaluation.plots import plot_curves
from slugline.pipeline.steps import bytes_in, check_unchanged
from slugline.recipe.recipe import Recipe
from slugline.run.run import Run
from slugline.training.fit import check_pretraining, fit_texts
from slugline.training.runtime import environment


def pretrain(
    recipe: Recipe,
    *,
    run_dir: Path | None = None,
    resume: bool = False,
    force: bool = False,
    accept_changes: bool = False,
) -> Run:
    """Pre-train the base of a recipe further; the run's ``model`` folder can then be another recipe's ``model.base``.

    Args:
        recipe: complete, with [pretrain].
        run_dir: the run's own folder; by default ``runs/<name>``.
        resume: go on with an interrupted run, from its latest whole checkpoint.
        force: begin anew in place of what stands in the folder.
        accept_changes: resume although the recipe or the texts have changed.

    Returns:
        The run, complete.

    Raises:
        SluglineError: what is wrong with recipe, texts, base model, folder or disk, and how to mend it.
    """
    check_pretraining(recipe)
    assert recipe.pretrain is not None
    with Run.open(
        run_dir or Path("runs") / recipe.name, recipe, resume=resume, force=force, accept_changes=accept_changes
    ) as run:
        corpus = load_corpus(recipe.pretrain.texts, recipe.data if recipe.has_data else None)
        check_unchanged(run, corpus.fingerprint, accept_changes=accept_changes)
        run.record({"data": corpus.facts()} | environment(recipe.train))
        run.write_json(run.layout.data, corpus.describe())
        measured = fit_texts(recipe, corpus, run)
        manifest = run.manifest
        size = manifest["size"] | {"model_bytes": bytes_in(run.layout.model)}
        run.write_json(run.layout.metrics, {"validation": measured, "timing": manifest["training"], "size": size})
        with replacing_folder(run.layout.plots) as folder:
            plot_curves(run.history, folder / "curves")
    return run
