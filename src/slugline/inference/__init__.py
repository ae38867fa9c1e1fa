"""Inference: load a trained model, predict classes and probabilities.

```text
load.py               load: a classifier from a run, a model folder, a checkpoint or a Hub name
classifier.py         Classifier: texts to class names and probabilities
classifier_config.py  ClassifierConfig: cleaning, lengths and calibration, saved in the model folder
text_inputs.py        texts_of: lists, arrays, series and tables of texts; refuses what is not text
predictor.py          Predictor: texts to logits, the protocol of all kinds of models
transformer.py        TransformerPredictor
load_transformer.py   loading of transformers
linear.py             LinearPredictor: TF-IDF and a linear SVM
ensemble.py           EnsemblePredictor: averages several models
paths.py              answers of each level in a hierarchy, and where to stop
predict_files.py      predict_texts, predict_file: predictions for a few texts or a file of any size
```
"""
