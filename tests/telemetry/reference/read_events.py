"""Reads a run's tensorboard/ folder with TensorBoard's own reader and prints its scalars, one a line.

    python read_events.py checkpoints/<name>/tensorboard
"""
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

reader = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
reader.Reload()
for tag in sorted(reader.Tags()["scalars"]):
    for item in reader.Scalars(tag):
        print(tag, item.step, repr(item.value))
