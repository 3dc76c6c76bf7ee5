"""Makes the reference for tests/telemetry/event_record_test.cpp with TensorBoard's own code.

Two event files as one run would leave them: a start that wrote steps 1 to 4 and was killed, and one that resumed at
step 3. outcome.json is what TensorBoard's reader then shows: each step once, the later start's values from step 3 on.

    python event_reference.py     # needs the tensorboard package (made with 2.21.0); writes beside itself
"""
import json
import os
import shutil
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

HERE = os.path.dirname(os.path.abspath(__file__))


def scalars(wall_time, step, values):
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values])
    return Event(wall_time=wall_time, step=step, summary=summary)


def write(name, events):
    with open(os.path.join(HERE, name), "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()


first = [Event(wall_time=1000.5, file_version="brain.Event:2")]
first += [scalars(1000.5 + step, step, [("train/loss", 4.0 / step), ("train/lr", 6e-4)]) for step in range(1, 5)]
second = [
    Event(wall_time=2000.25, step=3, file_version="brain.Event:2"),
    Event(wall_time=2000.25, step=3, session_log=SessionLog(status=SessionLog.START)),
]
second += [scalars(2000.25 + step, step, [("train/loss", 40.0 / step)]) for step in range(3, 301, 99)]
write("first.tfevents", first)
write("second.tfevents", second)

with tempfile.TemporaryDirectory() as folder:
    for number, name in enumerate(["first", "second"]):
        shutil.copy(os.path.join(HERE, name + ".tfevents"),
                    os.path.join(folder, f"events.out.tfevents.{number:010d}.host.1.0"))
    reader = EventAccumulator(folder)
    reader.Reload()
    outcome = {tag: [[item.step, item.value] for item in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}

with open(os.path.join(HERE, "outcome.json"), "w") as file:
    json.dump(outcome, file, indent=1, sort_keys=True)
    file.write("\n")
