"""From tables to a trained checkpoint.

config.py      the settings
job.py         what one training needs: paths and settings
samples.py     the sample index
plan.py        what one epoch trains on
sampler.py     the mini-batches of an epoch
dataset.py     pixels -> batches on the device
augment.py     random changes of a batch
epoch.py       one epoch
rates.py       the learning rate of a step
tally.py       sums over the steps of an epoch
epoch_row.py   the row that an epoch leaves
epoch_scalars.py  the same as numbers with tags, for TensorBoard
checkpoint.py  what a resume needs beside the model
"""
