"""One step of a librdkafka client: takes a command as JSON, prints the outcome as JSON."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaException, Producer, version, libversion
from confluent_kafka.admin import AdminClient, NewTopic


def produce(c):
    config = {"bootstrap.servers": c["at"], "message.timeout.ms": 20000, **c.get("config", {})}
    out = {"ok": 0, "errors": {}}
    if c.get("client_errors"):
        out["client_errors"] = []
        config["error_cb"] = lambda error: out["client_errors"].append(error.name())
    producer = Producer(config)

    def done(error, message):
        if error is None:
            out["ok"] += 1
        else:
            out["errors"][error.name()] = out["errors"].get(error.name(), 0) + 1

    transactional = "transactional.id" in config
    if transactional:
        producer.init_transactions(20)
        producer.begin_transaction()
    values = c.get("values") or ["x" * c["size"]] * c["count"]
    for value in values:
        while True:
            try:
                producer.produce(c["topic"], value.encode(), key=c.get("key"), on_delivery=done)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if transactional:
        producer.commit_transaction(20)
    producer.flush(30)
    return out


def consume(c):
    config = {
        "bootstrap.servers": c["at"],
        "group.id": c["group"],
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        **c.get("config", {}),
    }
    consumer = Consumer(config)
    consumer.subscribe(c["topics"])
    out = {"values": [], "sizes": [], "errors": {}}
    end = time.monotonic() + c.get("timeout", 20)
    while len(out["sizes"]) < c["count"] and time.monotonic() < end:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            name = message.error().name()
            out["errors"][name] = out["errors"].get(name, 0) + 1
            if c.get("stop_at_error"):
                break
            continue
        value = message.value()
        out["sizes"].append(len(value))
        if len(value) < 1000:
            out["values"].append(value.decode(errors="replace"))
    if out["sizes"]:
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as e:
            name = e.args[0].name()
            out["errors"][name] = out["errors"].get(name, 0) + 1
    consumer.close()
    return out


def topics(c):
    metadata = AdminClient({"bootstrap.servers": c["at"], **c.get("config", {})}).list_topics(timeout=20)
    return {
        "topics": sorted(metadata.topics),
        "brokers": {str(b.id): f"{b.host}:{b.port}" for b in metadata.brokers.values()},
    }


def create(c):
    admin = AdminClient({"bootstrap.servers": c["at"], **c.get("config", {})})
    out = {}
    for name, future in admin.create_topics([NewTopic(n, c.get("partitions", 1)) for n in c["topics"]]).items():
        try:
            future.result(20)
            out[name] = None
        except KafkaException as e:
            out[name] = e.args[0].name()
    return out


def trip(c):
    """One record there and back; or the first thing that the client says when it is not let in."""
    told = []
    shared = {"bootstrap.servers": c["at"], "error_cb": lambda error: told.append(error), **c.get("config", {})}
    producer = Producer({"message.timeout.ms": 20000, **shared})
    sent = []
    producer.produce(c["topic"], c["value"].encode(), on_delivery=lambda error, _: sent.append(error))
    while not sent and not told:
        producer.poll(0.1)
    error = told[0] if told else sent[0]
    if error is not None:
        producer.purge()
        raise KafkaException(error)
    read = consume({**c, "topics": [c["topic"]], "count": 1})
    return {"values": read["values"], "errors": read["errors"]}


def outcome(c):
    """What a step comes to."""
    try:
        return {"ok": STEPS[c["op"]](c)}
    except KafkaException as e:
        return {"error": e.args[0].name(), "message": str(e)}


def several(c):
    """Steps side by side."""
    with ThreadPoolExecutor(len(c["steps"])) as pool:
        return list(pool.map(outcome, c["steps"]))


def versions(_):
    return {"client": version()[0] if isinstance(version(), tuple) else version(), "library": libversion()[0]}


STEPS = {
    "produce": produce,
    "consume": consume,
    "topics": topics,
    "create": create,
    "trip": trip,
    "several": several,
    "versions": versions,
}

print(json.dumps(outcome(json.loads(sys.argv[1]))))
