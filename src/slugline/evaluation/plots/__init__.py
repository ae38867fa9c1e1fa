"""Plots as PNG and as SVG; the same numbers give the same bytes. Matplotlib is imported only when a plot is drawn.

```text
split_plots.py      plot_split: the plots of the errors of a split, by label kind
confusion.py        confusion matrices
label_errors.py     labels that are missed and labels that are added, of texts with any number of labels
curves.py           training curves; learning curves of studies
style.py            colours, settings, files
```
"""
