"""A librdkafka client under remote control: a command a line on standard input, as JSON; an answer a line on standard output."""

import json
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

CLIENTS = {}


class Member:
    """A consumer that polls in a thread of its own, and what it saw."""

    def __init__(self, c):
        self.events = []
        self.consumer = Consumer({"auto.offset.reset": "earliest", "enable.auto.commit": False, **c["config"]})
        self.consumer.subscribe(c["topics"])
        self.stop = False
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while not self.stop:
            message = self.consumer.poll(0.1)
            if message is None:
                continue
            if message.error():
                event = {"type": "error", "error": message.error().name(), "topic": message.topic()}
                if not self.events or self.events[-1] != event:
                    self.events.append(event)
                continue
            self.events.append({
                "type": "record", "topic": message.topic(), "partition": message.partition(),
                "offset": message.offset(), "value": message.value().decode(),
            })

    def close(self):
        self.stop = True
        self.thread.join()
        self.consumer.close()


def send(c):
    told = []
    producer = CLIENTS[c["h"]]
    producer.produce(c["topic"], c["value"], on_delivery=lambda e, m: told.append((e, m)))
    end = time.monotonic() + 30
    while not told and time.monotonic() < end:
        producer.poll(0.1)
    if not told:
        raise TimeoutError("no delivery report")
    if told[0][0] is not None:
        raise KafkaException(told[0][0])
    return told[0][1].offset()


def offsets(c):
    """Sends offsets to the transaction, in the name of a group without members."""
    reader = Consumer({**c["config"], "group.id": c["group"]})
    partition = TopicPartition(c["topic"], 0, c["offset"])
    return CLIENTS[c["h"]].send_offsets_to_transaction([partition], reader.consumer_group_metadata(), 20)


def keep(client):
    CLIENTS[len(CLIENTS)] = client
    return len(CLIENTS) - 1


STEPS = {
    "member": lambda c: keep(Member(c)),
    "events": lambda c: CLIENTS[c["h"]].events[c.get("from", 0):],
    "close": lambda c: CLIENTS[c["h"]].close(),
    "producer": lambda c: keep(Producer(c["config"])),
    "init": lambda c: CLIENTS[c["h"]].init_transactions(30),
    "begin": lambda c: CLIENTS[c["h"]].begin_transaction(),
    "send": send,
    "offsets": offsets,
    "commit": lambda c: CLIENTS[c["h"]].commit_transaction(30),
    "abort": lambda c: CLIENTS[c["h"]].abort_transaction(30),
}


def main():
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"ok": STEPS[command["op"]](command)}
        except KafkaException as e:
            answer = {"error": e.args[0].name(), "message": str(e)}
        except Exception as e:  # noqa: BLE001: the test shall read it
            answer = {"error": type(e).__name__, "message": str(e)}
        print(json.dumps(answer), flush=True)


main()
