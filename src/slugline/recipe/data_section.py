"""[data]: texts and labels, their cleaning, splits and truncation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from slugline.recipe.section import Count, Fraction, Positive, Section

Sampling = Literal["shuffle", "balanced", "curriculum:length", "curriculum:loss", "curriculum:rarity"]
AugmentationName = Literal["dropout", "swap", "neighbours", "masked", "paraphrase"]
CleaningStep = Literal["encoding", "whitespace", "lowercase", "artefacts"]


#: Keys that name a source; a section has one of them.
SOURCE_KEYS = ("name", "path", "hub", "query")


class SourceSection(Section):
    """One source of rows, and the names of its labels."""

    name: str = Field("", description="a known set (see `slugline data list`); or give path, or hub")
    path: str = Field(
        "",
        description="a file, a glob, a folder of class folders, a folder with train/validation/test files, or a URL "
        "(s3://, gs://, https://); relative to the folder of the recipe",
    )
    hub: str = Field("", description="a data set of the Hugging Face Hub: owner/set")
    query: str = Field(
        "", description="SQL that DuckDB runs: select text, label from 'rows.parquet'; all of its rows, without splits"
    )
    query_folder: str = Field(
        "", description="folder that relative paths in query start from; the folder of the recipe when empty"
    )
    export: Literal["", "label-studio", "doccano", "prodigy", "argilla"] = Field(
        "", description="tool whose annotation export the files are; guessed when empty"
    )
    text: list[str] = Field([], description="text column, or several, joined by a space; guessed when empty")
    label: list[str] = Field(
        [],
        description="label column; guessed when empty; several: one 0/1 column a label, or the levels of a path, "
        "top first",
    )
    label_kind: Literal["", "single", "multi", "hierarchical"] = Field(
        "",
        description="labels of a text: one, any number, or the path of one leaf of a tree (sport/tennis); guessed when "
        "empty",
    )
    label_delimiter: str = Field(
        "",
        description="between the labels of a cell (wheat|grain), or the parts of a path; guessed when empty",
    )
    encoding: str = Field(
        "", description="of text files: utf-8, cp1252, ...; guessed when empty, and the guess is reported"
    )
    header: bool | None = Field(
        None,
        description="whether the first line of a table names its columns; without a header they are 0, 1, ...; "
        "guessed when unset",
    )
    delimiter: str = Field(
        "",
        description="between the fields of a table: a character, or tab; none = each line is a text; guessed when "
        "empty",
    )
    label_offset: int = Field(0, description="added to integer labels: -1 turns 1..K into 0..K-1")
    label_map: dict[str, str] = Field(
        {},
        description='renames and merges classes: { sport = "Sports" }; needs an entry for every label; '
        "the order of its values is the label order",
    )

    @field_validator("text", "label", mode="before")
    @classmethod
    def _one_column_is_a_list(cls, value: object) -> object:
        return ([value] if value else []) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        given = [key for key in SOURCE_KEYS if getattr(self, key)]
        if len(given) != 1 and self._needs_source():
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"give exactly one of name, path, hub and query; found {found}")
        return self

    def _needs_source(self) -> bool:
        return True

    @property
    def address(self) -> tuple[str, ...]:
        """The values of `SOURCE_KEYS`: equal for two sections with the same source."""
        return tuple(getattr(self, key) for key in SOURCE_KEYS)


#: Keys of [data] that apply to the rows of a single source.
SINGLE_SOURCE_KEYS = ("id", "test_path", "validation_path", "split")


class DataSection(SourceSection):
    """Texts and labels: sources, cleaning, splits, truncation."""

    sources: list[SourceSection] = Field(
        [],
        description="several sets in one, instead of name, path, hub or query: [[data.sources]] tables with such keys",
    )
    id: str = Field("", description="column with row ids; made from the contents of the row when empty")
    test_path: str = Field("", description="file with the test rows, if they are in a file of their own")
    validation_path: str = Field("", description="file with the validation rows, if they are in a file of their own")
    split: str = Field("", description="column that names the split: train, validation or test")
    group: str = Field(
        "", description="column of authors, stories or customers: all rows of one value stay in one split and fold"
    )
    time: str = Field(
        "", description="column of times: own splits are train before validation before test, folds are blocks of time"
    )
    split_rule: str = Field(
        "",
        description="rule of own splits and folds: stratified (each class evenly), time (by the column time); when "
        "empty: time if that is set, else stratified",
    )
    out_of_scope: str = Field(
        "", description="class that is not learned; its validation and test rows measure how well the model abstains"
    )
    validation_fraction: Fraction = Field(
        0.1, description="share of each class for validation, if the source has no validation rows"
    )
    test_fraction: Fraction = Field(0.2, description="share of each class for test, if the source has no test rows")
    split_seed: int = Field(13, description="of the splits; independent of `seed`, which never changes the test rows")
    max_train_examples: Count | Fraction = Field(
        0, description="stratified subset of train: a number, or a share below 1; 0 = all"
    )
    min_class_examples: Count = Field(
        0, description="drops classes with fewer rows in train from every split; counted before other filters"
    )
    keep_classes: list[str] = Field([], description="only these classes; empty = all")
    drop_classes: list[str] = Field([], description="without these classes")
    unlabelled: Literal["refuse", "drop"] = Field(
        "refuse",
        description="rows without a label, in every split; a multi-label set refuses only rows whose labels are null",
    )
    leaks: Literal["drop", "keep", "refuse"] = Field(
        "drop", description="train rows whose text is also in validation or test"
    )
    clean: list[CleaningStep] = Field(
        ["encoding", "whitespace"],
        description="in this order: encoding (ftfy), whitespace, lowercase, artefacts ([UNK], quot;, stray \\)",
    )
    min_words: Count = Field(
        0, description="drops shorter texts from train and validation, never from a given test split; 0 = none"
    )
    max_length: Positive = Field(256, description="maximum input length in tokens, special tokens included")
    long_texts: Literal["head", "tail", "head_tail", "window"] = Field(
        "head", description="truncation of longer texts; window: overlapping windows over the whole text"
    )
    stride: Count = Field(64, description="overlap of neighbouring windows in tokens")
    max_windows: Positive = Field(8, description="maximum number of windows per text, from its beginning")
    sampling: Sampling = Field(
        "shuffle",
        description="balanced: draws every class equally often, with replacement; curriculum: easy texts first, by "
        "number of tokens, by loss of a linear model, or by rarity of the tokens",
    )
    augment: list[AugmentationName] = Field(
        [],
        description="changed copies of the training texts of small classes, in turn by: dropout, swap, neighbours "
        "(near words of an embedding), masked (words by a masked language model), paraphrase",
    )
    augment_to: Count = Field(0, description="training rows that copies fill each class up to; 0 = the median class")
    augment_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="share of the words of a text that a copy changes, at least one"
    )
    augment_models: dict[Literal["neighbours", "masked", "paraphrase"], str] = Field(
        {}, description="folder or Hub name of the model of an augmentation; by default model.base"
    )

    def all_sources(self) -> Sequence[SourceSection]:
        """The sources of the rows: `sources`, or this section itself if there are none."""
        return self.sources or [self]

    def _needs_source(self) -> bool:
        return not self.sources

    @model_validator(mode="after")
    def _sources_stand_alone(self) -> Self:
        fields = type(self).model_fields
        beside = [
            key
            for key in (*SourceSection.model_fields, *SINGLE_SOURCE_KEYS)
            if getattr(self, key) != fields[key].get_default(call_default_factory=True)
        ]
        if self.sources and beside:
            raise ValueError(
                f"{' and '.join(beside)} cannot be used with sources; put {', '.join(SourceSection.model_fields)} "
                "into each [[data.sources]] table; splits and ids come from the sources"
            )
        return self

    @model_validator(mode="after")
    def _augmentation_is_complete(self) -> Self:
        if "paraphrase" in self.augment and "paraphrase" not in self.augment_models:
            raise ValueError(
                "augment has 'paraphrase', which needs a sequence-to-sequence model: "
                'augment_models = { paraphrase = "folder" }'
            )
        return self

    @model_validator(mode="after")
    def _rows_remain(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction and test_fraction leave no rows for train")
        if self.group and self.time:
            raise ValueError("group and time cannot be used together: a group may have rows at all times")
        if self.long_texts == "window" and self.stride >= self.max_length:
            raise ValueError(f"stride is {self.stride}; it must be smaller than max_length = {self.max_length}")
        return self
