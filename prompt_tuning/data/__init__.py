"""Text to batches: vocabularies, plain-file tasks, token arrays and their cache, batches,
objectives, metrics.

Only `data/seqio_tasks/` may import seqio or TensorFlow; everything else here needs numpy and
sentencepiece.
"""
