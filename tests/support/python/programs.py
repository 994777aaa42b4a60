"""Programs of a librdkafka client: each runs as one user on one cluster and leaves a trace, a line for every call."""

import json
import sys
import threading
import time

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

RIGHTS = ["full", "read", "write", "seen", "hidden", "mixed"]


def show(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}={show(value[k])}" for k in sorted(value, key=str)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(show(v) for v in value) + "]"
    if isinstance(value, set):
        return show(sorted(value))
    return str(value)


def describe(error):
    if isinstance(error, KafkaException):
        error = error.args[0]
    if hasattr(error, "code"):
        fatal = ", fatal" if error.fatal() else ""
        # Whether the client has heard of a refusal when it is given a record, or hears of it later, is a matter of time.
        text = error.str().removeprefix("Unable to produce message: ")
        return f"{error.name()}({error.code()}{fatal}): {text}"
    return f"{type(error).__name__}: {error}"


class Site:
    def __init__(self, job):
        self.user, self.scope = job["user"], job["scope"]
        self.client, self.back_config = job["client"], job["back"]
        self.lines = []
        self.back = AdminClient(self.back_config)

    def name(self, right, what):
        return f"{right}-{self.scope}-{what}"

    def names(self, what="t"):
        return [self.name(right, what) for right in RIGHTS]

    def add(self, line):
        self.lines.append(line.replace("\n", "\\n"))

    def call(self, what, step):
        try:
            value = step()
            self.add(f"{what} -> {show(value)}")
            return value
        except Exception as e:  # noqa: BLE001: whatever it is, it is the outcome
            self.add(f"{what} !! {describe(e)}")
            return None

    def config(self, **more):
        return {**self.client, **{k.replace("_", "."): v for k, v in more.items()}}

    def make(self, names, partitions=1):
        for future in self.back.create_topics([NewTopic(n, partitions) for n in names]).values():
            future.result(60)
        self.until(lambda: all(self.ends(n) for n in names))

    def until(self, wanted):
        for _ in range(800):
            try:
                if wanted():
                    return
            except KafkaException:
                pass
            time.sleep(0.05)

    def ends(self, topic):
        spec = {TopicPartition(topic, 0): OffsetSpec.latest()}
        return [f.result(5).offset + 1 for f in self.back.list_offsets(spec).values()]

    def fill(self, names, values):
        producer = Producer(self.back_config)
        for name in names:
            for value in values:
                producer.produce(name, value, partition=0, timestamp=1_700_000_000_000)
        producer.flush(20)

    def each(self, futures, of=lambda v: "done"):
        out = {}
        for key, future in futures.items():
            try:
                out[str(key)] = of(future.result(60))
            except KafkaException as e:
                out[str(key)] = "!! " + describe(e)
        return out

    def end(self):
        names = [t for t in self.back.list_topics(timeout=20).topics if f"-{self.scope}-" in t]
        self.call("in the end: topics and their ends", lambda: {n: self.ends(n)[0] - 1 for n in sorted(names)})


def send(producer, topic, value, **more):
    """The offset, or the error that the delivery report tells."""
    told = []
    producer.produce(topic, value, partition=0, on_delivery=lambda e, m: told.append((e, m)), **more)
    end = time.monotonic() + 60
    while not told and time.monotonic() < end:
        producer.poll(0.1)
    if not told:
        return "no report"
    error, message = told[0]
    if error is not None:
        raise KafkaException(error)
    return f"{message.partition()}@{message.offset()}"


def begin(site, producer, what):
    """Whether the producer got its id; a coordinator that is still loading is asked again."""

    def step():
        for _ in range(5):
            try:
                return producer.init_transactions(20)
            except KafkaException as e:
                if not e.args[0].retriable():
                    raise
        return "not in time"

    site.call(what, step)
    return "!!" not in site.lines[-1]


def read(consumer, count, seconds=40):
    """The next records; an error ends it."""
    out, end = [], time.monotonic() + seconds
    while len(out) < count and time.monotonic() < end:
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        out.append(f"{message.topic()}-{message.partition()}@{message.offset()}={message.value().decode()}")
    return out


def refusal(site, idempotent, step):
    """Whether the topic or the producer id is refused first is chance for who has no right to either."""
    try:
        return step()
    except KafkaException as e:
        if idempotent and site.user == "carol" and e.args[0].code() in (29, 31):
            return "refused"
        raise


def produce(site):
    site.make(site.names())
    for acks, idempotent in [("1", False), ("all", True)]:
        for topic in site.names():
            producer = Producer(site.config(acks=acks, enable_idempotence=idempotent, message_timeout_ms=40000))
            site.call(f"send acks={acks} {topic}", lambda: refusal(site, idempotent, lambda: send(producer, topic, acks)))
    producer = Producer(site.config(acks="1", message_timeout_ms=40000, allow_auto_create_topics=True))
    for right in ["full", "write", "seen", "create", "hidden"]:
        topic = site.name(right, "new")
        site.call(f"send to the unknown {topic}", lambda: send(producer, topic, "new"))
    producer = Producer(site.config(acks="0", message_timeout_ms=40000))
    for right in ["full", "write"]:
        topic = site.name(right, "t")
        before = site.ends(topic)[0]
        site.call(f"send acks=0 {topic}", lambda: send(producer, topic, "0"))
        if site.user != "carol":
            site.until(lambda: site.ends(topic)[0] > before)
    site.end()


def consume(site):
    topics = site.names()
    site.make(topics)
    site.fill(topics, ["a", "b", "c"])
    for topic in topics:
        consumer = Consumer(site.config(group_id=site.name("full", "assign"), auto_offset_reset="earliest", enable_auto_commit=False))
        zero = TopicPartition(topic, 0, 0)
        site.call(f"watermarks {topic}", lambda: consumer.get_watermark_offsets(zero, timeout=40, cached=False))
        site.call(f"offsets for times {topic}", lambda: [p.offset for p in consumer.offsets_for_times([TopicPartition(topic, 0, 0)], timeout=40)])
        consumer.assign([zero])
        site.call(f"poll {topic}", lambda: read(consumer, 3))
        site.call(f"position {topic}", lambda: [p.offset for p in consumer.position([zero])])
        if site.user != "carol":  # who may not know of the group waits for its coordinator without an end
            site.call(f"commit {topic}", lambda: [(p.offset, p.error and describe(p.error)) for p in consumer.commit(offsets=[TopicPartition(topic, 0, 2)], asynchronous=False)])
            site.call(f"committed {topic}", lambda: [(p.offset, p.error and describe(p.error)) for p in consumer.committed([zero], timeout=40)])
        consumer.close()
    site.call("list topics", lambda: sorted(t for t in Consumer(site.config(group_id="none")).list_topics(timeout=40).topics if f"-{site.scope}-" in t))
    site.end()


def groups(site):
    topics = site.names()
    site.make(topics, 4)
    site.fill(topics, ["a", "b", "c"])
    full, hidden = site.name("full", "t"), site.name("hidden", "t")
    for protocol in ["classic", "consumer"]:
        for right in ["full", "seen", "hidden"]:
            group = site.name(right, f"one-{protocol}")
            consumer = member(site, protocol, group, [full])
            site.call(f"join {group}", lambda: read(consumer, 3))
            done = lambda: [(p.topic, p.partition, p.offset) for p in consumer.commit(asynchronous=False) if p.offset >= 0]
            site.call(f"commit {group}", done)
            site.call(f"close {group}", consumer.close)
        consumer = member(site, protocol, site.name("full", f"two-{protocol}"), [full, hidden])
        # with the new protocol one refused topic refuses the heartbeat
        records = {"alice": 6, "bob": 3 if protocol == "classic" else 0, "carol": 0}[site.user]
        gather(site, f"join {protocol} to two", consumer, records, 0 if site.user == "alice" else 1)
        consumer.close()
        consumer = member(site, protocol, site.name("full", f"pattern-{protocol}"), [f"^.*-{site.scope}-t$"])
        records = {"alice": 18, "bob": 6, "carol": 0}[site.user]
        gather(site, f"join {protocol} to a pattern", consumer, records, 0 if site.user == "alice" else 1)
        consumer.close()
    site.end()


def member(site, protocol, group, topics):
    consumer = Consumer(site.config(group_id=group, group_protocol=protocol, auto_offset_reset="earliest", enable_auto_commit=False))
    consumer.subscribe(topics)
    return consumer


def gather(site, what, consumer, wanted, refused):
    """What comes, in whatever order; waits for as many as there should be, and a little longer."""
    records, errors, end, complete = set(), set(), time.monotonic() + 40, False
    while time.monotonic() < end:
        if not complete and (len(records) >= wanted and len(errors) >= refused or any("FATAL" in e for e in errors)):
            complete, end = True, time.monotonic() + 0.5
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            errors.add(describe(message.error()))
        else:
            records.add(f"{message.topic()}@{message.offset()}={message.value().decode()}")
    site.add(f"{what} -> records {show(records)} errors {show(errors)}")


def transactions(site):
    topics = site.names()
    site.make(topics)
    full = site.name("full", "t")
    for right in ["full", "write", "seen", "hidden"]:
        identity = site.name(right, "x")
        producer = Producer(site.config(transactional_id=identity, message_timeout_ms=40000))
        if not begin(site, producer, f"init {identity}"):
            continue
        for end in ["commit", "abort"]:
            site.call(f"begin {identity}", producer.begin_transaction)
            site.call(f"send {identity}", lambda: send(producer, full, end))
            site.call(f"{end} {identity}", lambda: getattr(producer, f"{end}_transaction")(8))
        for group in ["full", "seen", "hidden"]:
            name = site.name(group, "g")
            consumer = Consumer(site.config(group_id=name))
            metadata = consumer.consumer_group_metadata()
            site.call("begin", producer.begin_transaction)
            site.call(f"offsets of {name}", lambda: producer.send_offsets_to_transaction([TopicPartition(full, 0, 1)], metadata, 30))
            site.call(f"abort {name}", lambda: producer.abort_transaction(30))
    for topic in topics:
        producer = Producer(site.config(transactional_id=site.name("full", f"x-{topic}"), message_timeout_ms=40000))
        if not begin(site, producer, f"init for {topic}"):
            continue
        site.call("begin", producer.begin_transaction)
        site.call(f"send {topic}", lambda: send(producer, topic, "in"))
        site.call(f"commit with {topic}", lambda: producer.commit_transaction(30))
    reader = Consumer({**site.back_config, "group.id": "reader", "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
    reader.assign([TopicPartition(full, 0, 0)])
    site.add(f"in the end: committed -> {show(read(reader, 3, 2))}")
    reader.close()
    site.end()


def admin(site):
    topics = [site.name(r, "t") for r in RIGHTS + ["delete", "alter", "config"]]
    site.make(topics)
    site.fill(topics, ["a", "b", "c"])
    client = AdminClient(site.client)
    new = [site.name(r, "new") for r in ["full", "create", "write", "hidden"]]
    site.call("create", lambda: site.each(client.create_topics([NewTopic(n, 1) for n in new + topics[:1]])))
    site.call("describe", lambda: {n: describe_topic(f) for n, f in client.describe_topics(_collection(topics)).items()})
    site.call("list offsets", lambda: site.each(client.list_offsets({TopicPartition(t, 0): OffsetSpec.latest() for t in topics}), lambda v: v.offset))
    resources = [ConfigResource(ResourceType.TOPIC, t) for t in topics]
    site.call("configs", lambda: site.each(client.describe_configs(resources), lambda v: v["retention.ms"].value))
    entry = [ConfigEntry("retention.ms", "3000000000000", incremental_operation=AlterConfigOpType.SET)]
    changes = [ConfigResource(ResourceType.TOPIC, t, incremental_configs=entry) for t in topics]
    site.call("alter configs", lambda: site.each(client.incremental_alter_configs(changes)))
    site.call("partitions", lambda: site.each(client.create_partitions([NewPartitions(t, 2) for t in topics])))
    site.call("delete records", lambda: site.each(client.delete_records([TopicPartition(t, 0, 2) for t in topics]), lambda v: v.low_watermark))
    names = [site.name(r, "g") for r in ["full", "seen", "hidden", "delete"]]
    for group in names:
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(t, 0, 1) for t in topics[:2]])
        site.until(lambda: "!!" not in show(site.each(site.back.alter_consumer_group_offsets([wanted]))))
    site.call("groups", lambda: sorted(g.group_id for g in client.list_consumer_groups().result(60).valid if f"-{site.scope}-" in g.group_id))
    site.call("describe groups", lambda: site.each(client.describe_consumer_groups(names), lambda g: f"{g.state} {len(g.members)}"))
    for group in names:
        asked = ConsumerGroupTopicPartitions(group, None)
        told = lambda v: [(p.topic, p.offset, p.error and describe(p.error)) for p in sorted(v.topic_partitions, key=lambda p: p.topic)]
        site.call(f"offsets of {group}", lambda: site.each(client.list_consumer_group_offsets([asked]), told))
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(t, 0, 2) for t in topics[:5]])
        site.call(f"alter offsets of {group}", lambda: site.each(client.alter_consumer_group_offsets([wanted]), told))
    site.call("delete groups", lambda: site.each(client.delete_consumer_groups(names)))
    site.call("cluster", lambda: len(client.describe_cluster(include_authorized_operations=True).result(60).nodes))
    site.call("delete", lambda: site.each(client.delete_topics([site.name(r, "t") for r in ["full", "seen", "hidden", "delete"]])))
    site.until(lambda: site.name("delete", "t") not in site.back.list_topics(timeout=20).topics or site.user == "carol")


def describe_topic(future):
    try:
        topic = future.result(60)
        return f"{len(topic.partitions)} partitions"
    except KafkaException as e:
        return "!! " + describe(e)


def _collection(names):
    from confluent_kafka import TopicCollection

    return TopicCollection(names)


def run(job, out):
    site = Site(job)
    try:
        {"produce": produce, "consume": consume, "groups": groups, "transactions": transactions, "admin": admin}[job["program"]](site)
    except Exception as e:  # noqa: BLE001: a program that fails is a difference, not the end of the others
        site.add(f"the program failed: {describe(e)}")
    out[job["key"]] = site.lines


def main():
    jobs, out = json.loads(sys.stdin.read()), {}
    threads = [threading.Thread(target=run, args=(job, out)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"ok": out}))


main()
