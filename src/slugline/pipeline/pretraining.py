"""`pretrain`: texts without labels in, a run with a backbone to fine-tune out."""

from __future__ import annotations

from pathlib import Path

from slugline.core.messages import visible_messages
from slugline.core.storage import bytes_in, replacing_folder
from slugline.data.corpus import load_corpus
from slugline.data.identity import DataIdentity
from slugline.evaluation.plots.curves import plot_curves
from slugline.pipeline.run_data import check_unchanged
from slugline.recipe.recipe import Recipe, read, with_absolute_paths
from slugline.run.lifecycle import open_run
from slugline.run.run import Run
from slugline.training.fit import check_pretraining, fit_backbone
from slugline.training.runtime import environment


@visible_messages()
def pretrain(
    recipe: Recipe | str | Path,
    *,
    run_dir: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    accept_changes: bool = False,
) -> Run:
    """Pre-train the base of a recipe; the run's ``model`` folder can then be the ``model.base`` of another recipe.

    Args:
        recipe: recipe with [pretrain], or its file.
        run_dir: the run's own folder; by default ``runs/<name>``.
        resume: continue an interrupted run, from its last complete checkpoint.
        force: start over and replace the contents of the folder.
        accept_changes: resume although the recipe or the texts have changed.

    Returns:
        The complete run.

    Raises:
        SluglineError: recipe, texts, base model, folder or disk cannot be used.
    """
    recipe = with_absolute_paths(recipe if isinstance(recipe, Recipe) else read(recipe))
    check_pretraining(recipe)
    assert recipe.pretrain is not None
    path = Path(run_dir or Path("runs") / recipe.name)
    with open_run(path, recipe, resume=resume, force=force, accept_changes=accept_changes) as run:
        corpus = load_corpus(recipe.pretrain.texts, recipe.data if recipe.has_data else None)
        check_unchanged(run, DataIdentity(corpus.fingerprint), accept_changes=accept_changes)
        run.update_manifest({"data": corpus.to_manifest()} | environment(recipe.train))
        run.write_json(run.layout.data, corpus.describe())
        result = fit_backbone(recipe, corpus, run)
        run.update_manifest({"size": result.size, "training": result.timing, "chosen": result.selected})
        run.write_json(run.layout.data, run.data | dict(result.data))
        size = {**result.size, "model_bytes": bytes_in(run.layout.model)}
        run.write_json(run.layout.metrics, {"validation": result.scores, "timing": result.timing, "size": size})
        with replacing_folder(run.layout.plots) as folder:
            plot_curves(
                run.history,
                folder / "curves",
                title=f"{recipe.name}: pre-training and validation",
                chosen_epoch=result.selected.get("epoch"),
            )
    return run
