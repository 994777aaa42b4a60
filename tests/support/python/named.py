"""A librdkafka client of brokers whose names only tests know: by its own C interface, since that of Python lets nobody
say how names are resolved. Sends records, reads them as a group, and tells which names were asked for."""

import glob
import json
import sys
import time
from ctypes import (
    CDLL, CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p,
    create_string_buffer, string_at,
)

import confluent_kafka

PRODUCER, CONSUMER, COPY, UNASSIGNED = 0, 1, 2, -1


class Message(Structure):
    _fields_ = [
        ("err", c_int), ("topic", c_void_p), ("partition", c_int32), ("payload", c_void_p), ("len", c_size_t),
        ("key", c_void_p), ("key_len", c_size_t), ("offset", c_int64), ("private", c_void_p),
    ]


KAFKA = CDLL(glob.glob(confluent_kafka.__path__[0] + ".libs/librdkafka-*")[0])
LIBC = CDLL(None)
RESOLVE = CFUNCTYPE(c_int, c_char_p, c_char_p, c_void_p, POINTER(c_void_p), c_void_p)
DELIVERED = CFUNCTYPE(None, c_void_p, POINTER(Message), c_void_p)
LIBC.getaddrinfo.argtypes = [c_char_p, c_char_p, c_void_p, POINTER(c_void_p)]
LIBC.freeaddrinfo.argtypes = [c_void_p]
LIBC.freeaddrinfo.restype = None
for name, result, arguments in [
    ("conf_new", c_void_p, []),
    ("conf_set", c_int, [c_void_p, c_char_p, c_char_p, c_char_p, c_size_t]),
    ("conf_set_resolve_cb", None, [c_void_p, RESOLVE]),
    ("conf_set_dr_msg_cb", None, [c_void_p, DELIVERED]),
    ("new", c_void_p, [c_int, c_void_p, c_char_p, c_size_t]),
    ("destroy", None, [c_void_p]),
    ("topic_new", c_void_p, [c_void_p, c_char_p, c_void_p]),
    ("topic_destroy", None, [c_void_p]),
    ("produce", c_int, [c_void_p, c_int32, c_int, c_char_p, c_size_t, c_char_p, c_size_t, c_void_p]),
    ("flush", c_int, [c_void_p, c_int]),
    ("topic_partition_list_new", c_void_p, [c_int]),
    ("topic_partition_list_add", c_void_p, [c_void_p, c_char_p, c_int32]),
    ("topic_partition_list_destroy", None, [c_void_p]),
    ("poll_set_consumer", c_int, [c_void_p]),
    ("subscribe", c_int, [c_void_p, c_void_p]),
    ("consumer_poll", POINTER(Message), [c_void_p, c_int]),
    ("message_destroy", None, [POINTER(Message)]),
    ("consumer_close", c_int, [c_void_p]),
]:
    function = getattr(KAFKA, "rd_kafka_" + name)
    function.restype, function.argtypes = result, arguments

asked, errors, delivered = set(), [], []


@RESOLVE
def resolve(node, service, hints, found, _):
    if not node:
        LIBC.freeaddrinfo(found[0])
        return 0
    asked.add(node.decode())
    return LIBC.getaddrinfo(b"127.0.0.1", service, hints, found)


@DELIVERED
def deliver(_, message, __):
    (errors if message[0].err else delivered).append(message[0].err)


def client(kind, config):
    conf, words = KAFKA.rd_kafka_conf_new(), create_string_buffer(512)
    for key, value in config.items():
        assert KAFKA.rd_kafka_conf_set(conf, key.encode(), value.encode(), words, 512) == 0, words.value
    KAFKA.rd_kafka_conf_set_resolve_cb(conf, resolve)
    if kind == PRODUCER:
        KAFKA.rd_kafka_conf_set_dr_msg_cb(conf, deliver)
    made = KAFKA.rd_kafka_new(kind, conf, words, 512)
    assert made, words.value
    return made


command = json.loads(sys.argv[1])
config, topic = {"bootstrap.servers": command["at"], **command["config"]}, command["topic"].encode()
producer = client(PRODUCER, config)
handle = KAFKA.rd_kafka_topic_new(producer, topic, None)
for value in command["values"]:
    value = value.encode()
    assert KAFKA.rd_kafka_produce(handle, UNASSIGNED, COPY, value, len(value), value, len(value), None) == 0
KAFKA.rd_kafka_flush(producer, 30_000)
KAFKA.rd_kafka_topic_destroy(handle)
KAFKA.rd_kafka_destroy(producer)

consumer = client(CONSUMER, {"group.id": command["group"], "auto.offset.reset": "earliest", **config})
KAFKA.rd_kafka_poll_set_consumer(consumer)
topics = KAFKA.rd_kafka_topic_partition_list_new(1)
KAFKA.rd_kafka_topic_partition_list_add(topics, topic, UNASSIGNED)
assert KAFKA.rd_kafka_subscribe(consumer, topics) == 0
KAFKA.rd_kafka_topic_partition_list_destroy(topics)
read, end = [], time.monotonic() + 30
while len(read) < len(command["values"]) and time.monotonic() < end:
    message = KAFKA.rd_kafka_consumer_poll(consumer, 200)
    if message:
        if message[0].err:
            errors.append(message[0].err)
        else:
            read.append(string_at(message[0].payload, message[0].len).decode())
        KAFKA.rd_kafka_message_destroy(message)
KAFKA.rd_kafka_consumer_close(consumer)
KAFKA.rd_kafka_destroy(consumer)
print(json.dumps({"ok": {"delivered": len(delivered), "read": read, "errors": errors, "asked": sorted(asked)}}))
