"""`DataIdentity`: recognises the data of a run or of a prepared set by what was stored about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DataIdentity:
    """Fingerprints and class names of a data set, or fingerprint of texts without labels.

    Args:
        fingerprint: checksum of rows and class names.
        former_fingerprint: checksum of the rows alone, which earlier versions stored; empty if it is the same.
        labels: class names in label order; empty if there are no labels.
    """

    fingerprint: str
    former_fingerprint: str = ""
    labels: tuple[str, ...] = ()

    def matches(self, stored: Mapping[str, Any]) -> bool:
        """True if stored values are about this data.

        Args:
            stored: ``data`` of the manifest of a run, or the contents of metadata.json, also of an earlier version.

        Returns:
            True for the same rows with the same class names.
        """
        if stored.get("fingerprint") == self.fingerprint:
            return True
        names = stored.get("labels", stored.get("classes", ()))
        return stored.get("fingerprint") == self.former_fingerprint != "" and tuple(names) == self.labels
