import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** consumer.* */
final class Consumers {
    private Consumers() {}

    /** A consumer, and the thread that polls it when it runs by itself. */
    static final class Client implements ConsumerRebalanceListener {
        final KafkaConsumer<byte[], byte[]> consumer;
        final ArrayNode events = Driver.JSON.createArrayNode();
        volatile boolean stop;
        Thread thread;

        Client(Properties config) {
            consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            event("assigned").put("count", partitions.size());
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            event("revoked").put("count", partitions.size());
        }

        ObjectNode event(String type) {
            ObjectNode node = Driver.JSON.createObjectNode().put("type", type);
            synchronized (events) {
                events.add(node);
            }
            return node;
        }

        void loop() {
            while (!stop) {
                try {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                        ObjectNode node = describe(record).put("type", "record");
                        synchronized (events) {
                            events.add(node);
                        }
                    }
                } catch (WakeupException e) {
                    return;
                } catch (Exception e) {
                    ObjectNode node = Driver.describe(e).put("type", "error");
                    synchronized (events) {
                        // an error that comes back with every poll is one event with a count
                        JsonNode last = events.isEmpty() ? null : events.get(events.size() - 1);
                        if (last != null && last.path("message").equals(node.get("message"))) {
                            ((ObjectNode) last).put("count", last.path("count").asInt(1) + 1);
                        } else {
                            events.add(node);
                        }
                    }
                    try {
                        Thread.sleep(50);
                    } catch (InterruptedException interrupted) {
                        return;
                    }
                }
            }
        }
    }

    static JsonNode run(String op, JsonNode c) throws Exception {
        if (op.equals("consumer.open")) {
            Properties config = Driver.config(c);
            config.putIfAbsent("auto.offset.reset", "earliest");
            config.putIfAbsent("enable.auto.commit", "false");
            config.putIfAbsent("default.api.timeout.ms", "20000");
            return Driver.keep(new Client(config));
        }
        Client client = Driver.handle(c);
        switch (op) {
            case "consumer.events": {
                ObjectNode out = Driver.JSON.createObjectNode();
                ArrayNode list = out.putArray("events");
                synchronized (client.events) {
                    for (int i = c.path("from").asInt(0); i < client.events.size(); i++) {
                        list.add(client.events.get(i).deepCopy());
                    }
                    out.put("next", client.events.size());
                }
                return out;
            }
            case "consumer.run":
                client.thread = new Thread(client::loop, "consumer");
                client.thread.start();
                return null;
            case "consumer.stop":
                client.stop = true;
                client.consumer.wakeup();
                client.thread.join();
                client.stop = false;
                return null;
            case "consumer.metrics":
                return Driver.metrics(c, client.consumer.metrics());
            default:
                synchronized (client) {
                    return step(op, c, client);
                }
        }
    }

    private static JsonNode step(String op, JsonNode c, Client client) {
        KafkaConsumer<byte[], byte[]> consumer = client.consumer;
        switch (op) {
            case "consumer.subscribe":
                if (c.has("pattern")) {
                    consumer.subscribe(Pattern.compile(c.get("pattern").asText()), client);
                } else {
                    List<String> topics = new ArrayList<>();
                    c.get("topics").forEach(t -> topics.add(t.asText()));
                    consumer.subscribe(topics, client);
                }
                return null;
            case "consumer.assign":
                consumer.assign(partitions(c));
                return null;
            case "consumer.seek":
                partitions(c).forEach(p -> consumer.seek(p, c.get("offset").asLong()));
                return null;
            case "consumer.seekToBeginning":
                consumer.seekToBeginning(partitions(c));
                return null;
            case "consumer.seekToEnd":
                consumer.seekToEnd(partitions(c));
                consumer.assignment().forEach(consumer::position);
                return null;
            case "consumer.poll": {
                // until `count` records are there or `timeout` is over
                long end = System.nanoTime() + c.path("timeout").asLong(10000) * 1_000_000;
                int count = c.path("count").asInt(1);
                ArrayNode records = Driver.JSON.createArrayNode();
                do {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                        records.add(describe(record));
                    }
                } while (records.size() < count && System.nanoTime() < end);
                return records;
            }
            case "consumer.commit": {
                if (!c.has("offsets")) {
                    consumer.commitSync();
                    return null;
                }
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                for (JsonNode o : c.get("offsets")) {
                    offsets.put(new TopicPartition(o.get("topic").asText(), o.get("partition").asInt()),
                        new OffsetAndMetadata(o.get("offset").asLong()));
                }
                consumer.commitSync(offsets);
                return null;
            }
            case "consumer.committed": {
                ObjectNode out = Driver.JSON.createObjectNode();
                consumer.committed(partitions(c).stream().collect(java.util.stream.Collectors.toSet()))
                    .forEach((p, o) -> out.put(p.toString(), o == null ? null : (Long) o.offset()));
                return out;
            }
            case "consumer.position": {
                ObjectNode out = Driver.JSON.createObjectNode();
                partitions(c).forEach(p -> out.put(p.toString(), consumer.position(p)));
                return out;
            }
            case "consumer.endOffsets": {
                ObjectNode out = Driver.JSON.createObjectNode();
                consumer.endOffsets(partitions(c)).forEach((p, o) -> out.put(p.toString(), o));
                return out;
            }
            case "consumer.beginningOffsets": {
                ObjectNode out = Driver.JSON.createObjectNode();
                consumer.beginningOffsets(partitions(c)).forEach((p, o) -> out.put(p.toString(), o));
                return out;
            }
            case "consumer.listTopics": {
                ArrayNode out = Driver.JSON.createArrayNode();
                consumer.listTopics().keySet().stream().sorted().forEach(out::add);
                return out;
            }
            case "consumer.assignment": {
                ArrayNode out = Driver.JSON.createArrayNode();
                consumer.assignment().stream().map(TopicPartition::toString).sorted().forEach(out::add);
                return out;
            }
            case "consumer.close":
                Driver.HANDLES.remove(c.get("h").asLong());
                client.stop = true;
                if (client.thread != null && client.thread.isAlive()) {
                    consumer.wakeup();
                    try {
                        client.thread.join();
                    } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                }
                consumer.close(Duration.ofMillis(c.path("timeout").asLong(10000)));
                return null;
            default:
                throw new IllegalArgumentException("unknown operation " + op);
        }
    }

    static List<TopicPartition> partitions(JsonNode c) {
        List<TopicPartition> out = new ArrayList<>();
        for (JsonNode p : c.get("partitions")) {
            out.add(new TopicPartition(p.get(0).asText(), p.get(1).asInt()));
        }
        return out;
    }

    static ObjectNode describe(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode node = Driver.JSON.createObjectNode();
        node.put("topic", record.topic()).put("partition", record.partition()).put("offset", record.offset());
        node.put("timestamp", record.timestamp());
        node.put("key", record.key() == null ? null : new String(record.key(), StandardCharsets.UTF_8));
        byte[] value = record.value();
        if (value == null) {
            node.putNull("value");
        } else {
            CRC32 crc = new CRC32();
            crc.update(value);
            node.put("size", value.length).put("crc", crc.getValue());
            if (value.length <= 65536) {
                node.put("value", new String(value, StandardCharsets.UTF_8));
            }
        }
        if (record.headers().iterator().hasNext()) {
            ObjectNode headers = node.putObject("headers");
            record.headers().forEach(h -> headers.put(h.key(), h.value() == null ? null : new String(h.value(), StandardCharsets.UTF_8)));
        }
        return node;
    }
}
