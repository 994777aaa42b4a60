import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** producer.* */
final class Producers {
    private Producers() {}

    static JsonNode run(String op, JsonNode c) throws Exception {
        if (op.equals("producer.open")) {
            Properties config = Driver.config(c);
            config.putIfAbsent("max.block.ms", "20000");
            config.putIfAbsent("delivery.timeout.ms", "60000");
            config.putIfAbsent("linger.ms", "0");
            return Driver.keep(new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer()));
        }
        KafkaProducer<byte[], byte[]> producer = Driver.handle(c);
        switch (op) {
            case "producer.send":
                return send(producer, c);
            case "producer.init":
                producer.initTransactions();
                return null;
            case "producer.begin":
                producer.beginTransaction();
                return null;
            case "producer.commit":
                producer.commitTransaction();
                return null;
            case "producer.abort":
                producer.abortTransaction();
                return null;
            case "producer.offsets": {
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                for (JsonNode o : c.get("offsets")) {
                    offsets.put(new TopicPartition(o.get("topic").asText(), o.get("partition").asInt()),
                        new OffsetAndMetadata(o.get("offset").asLong()));
                }
                Consumers.Client reader = (Consumers.Client) Driver.HANDLES.get(c.get("consumer").asLong());
                producer.sendOffsetsToTransaction(offsets, reader.consumer.groupMetadata());
                return null;
            }
            case "producer.partitions":
                return Driver.JSON.getNodeFactory().numberNode(producer.partitionsFor(c.get("topic").asText()).size());
            case "producer.metrics":
                return Driver.metrics(c, producer.metrics());
            case "producer.close":
                Driver.HANDLES.remove(c.get("h").asLong());
                producer.close(Duration.ofMillis(c.path("timeout").asLong(10000)));
                return null;
            default:
                throw new IllegalArgumentException("unknown operation " + op);
        }
    }

    /** Sends `values`, or `count` values of `size` bytes; waits for every answer. */
    private static JsonNode send(KafkaProducer<byte[], byte[]> producer, JsonNode c) throws Exception {
        List<byte[]> values = new ArrayList<>();
        if (c.has("values")) {
            c.get("values").forEach(v -> values.add(v.isNull() ? null : v.asText().getBytes(StandardCharsets.UTF_8)));
        } else {
            int size = c.path("size").asInt(100);
            for (int i = 0; i < c.path("count").asInt(1); i++) {
                values.add(filler(i, size));
            }
        }
        byte[] key = c.hasNonNull("key") ? c.get("key").asText().getBytes(StandardCharsets.UTF_8) : null;
        Integer partition = c.hasNonNull("partition") ? (Integer) c.get("partition").asInt() : null;
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        ObjectNode out = Driver.JSON.createObjectNode();
        ObjectNode errors = Driver.JSON.createObjectNode();
        ArrayNode offsets = Driver.JSON.createArrayNode();
        int ok = 0;
        ObjectNode first = null;
        for (byte[] value : values) {
            sent.add(put(producer, new ProducerRecord<>(c.get("topic").asText(), partition, key, value)));
        }
        if (c.path("flush").asBoolean(true)) {
            for (Future<RecordMetadata> future : sent) {
                try {
                    RecordMetadata at = future.get(c.path("timeout").asLong(60000), TimeUnit.MILLISECONDS);
                    ok++;
                    if (offsets.size() < 1000) {
                        offsets.addArray().add(at.partition()).add(at.hasOffset() ? at.offset() : -1);
                    }
                } catch (Exception e) {
                    ObjectNode error = Driver.describe(e);
                    first = first == null ? error : first;
                    String name = error.get("error").asText();
                    errors.put(name, errors.path(name).asInt(0) + 1);
                }
            }
        }
        out.put("ok", ok);
        out.set("errors", errors);
        out.set("offsets", offsets);
        if (first != null) {
            out.set("first", first);
        }
        return out;
    }

    /**
     * A producer that is refused its id while send waits for the topic's metadata throws the refusal as the cause of
     * another exception; a moment later the record fails of it. Which of the two is chance: it is told as one.
     */
    private static Future<RecordMetadata> put(KafkaProducer<byte[], byte[]> producer, ProducerRecord<byte[], byte[]> record) {
        try {
            return producer.send(record);
        } catch (KafkaException e) {
            if (e.getCause() instanceof ApiException refusal) {
                return CompletableFuture.failedFuture(refusal);
            }
            throw e;
        }
    }

    /** Bytes that neither repeat nor compress to nothing. */
    static byte[] filler(int seed, int size) {
        byte[] bytes = new byte[size];
        new java.util.Random(seed).nextBytes(bytes);
        return bytes;
    }
}
