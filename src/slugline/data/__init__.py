"""Texts and labels on their way to the model: read, checked, split, tokenised, batched."""
