import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** share.*: a member of a share group. */
final class Shares {
    private Shares() {}

    static JsonNode run(String op, JsonNode c) throws Exception {
        if (op.equals("share.open")) {
            Properties config = Driver.config(c);
            return Driver.keep(
                new KafkaShareConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer()));
        }
        KafkaShareConsumer<byte[], byte[]> consumer = Driver.handle(c);
        synchronized (consumer) {
            switch (op) {
                case "share.subscribe":
                    List<String> topics = new ArrayList<>();
                    c.get("topics").forEach(t -> topics.add(t.asText()));
                    consumer.subscribe(topics);
                    return null;
                case "share.poll":
                    return poll(c, consumer);
                case "share.commit":
                    ObjectNode out = Driver.JSON.createObjectNode();
                    consumer.commitSync(Duration.ofSeconds(20)).forEach((partition, error) ->
                        out.put(partition.topic(), error.map(e -> e.getClass().getSimpleName()).orElse("")));
                    return out;
                case "share.close":
                    Driver.HANDLES.remove(c.get("h").asLong());
                    consumer.close(Duration.ofSeconds(5));
                    return null;
                default:
                    throw new IllegalArgumentException("unknown operation " + op);
            }
        }
    }

    /** Polls until there are `count` records or the time is over; acknowledges each as `acknowledge` says. */
    private static JsonNode poll(JsonNode c, KafkaShareConsumer<byte[], byte[]> consumer) {
        ArrayNode out = Driver.JSON.createArrayNode();
        long end = System.currentTimeMillis() + c.path("timeout").asLong(20000);
        String acknowledge = c.path("acknowledge").asText("");
        while (out.size() < c.path("count").asInt(1) && System.currentTimeMillis() < end) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                out.addObject()
                    .put("topic", record.topic())
                    .put("offset", record.offset())
                    .put("delivery", record.deliveryCount().map(Short::intValue).orElse(-1))
                    .put("size", record.value().length)
                    .put("value", record.value().length < 1000 ? new String(record.value(), StandardCharsets.UTF_8) : "");
                if (!acknowledge.isEmpty()) {
                    consumer.acknowledge(record, AcknowledgeType.valueOf(acknowledge));
                }
            }
        }
        return out;
    }
}
