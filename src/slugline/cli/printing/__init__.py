"""Output of the commands.

```text
scores.py       tables of metrics
comparison.py   comparisons: metrics, costs and slices of each run, a verdict for each pair
studies.py      studies: settings, the best one and its scores
demo.py         the demo: comparisons, a prediction, commands to try next
data.py         descriptions of data sets
checks.py       findings of data check, and what was fixed
output.py       JSON on stdout; the message after Ctrl-C
layout.py       tables and sentences that fit the terminal
streams.py      stdout and stderr, whose readers may exit
```
"""
