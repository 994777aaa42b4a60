import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TopicAuthorizationException;

/** Programs that write and read records outside groups. */
final class DataPrograms {
    private DataPrograms() {}

    private static String send(KafkaProducer<String, String> producer, String topic, String value) throws Exception {
        RecordMetadata at = producer.send(new ProducerRecord<>(topic, 0, "k", value)).get(60, TimeUnit.SECONDS);
        return at.partition() + "@" + at.offset();
    }

    static void produce(Site site) throws Exception {
        Trace trace = site.trace;
        Map<String, String> topics = site.names("t");
        site.make(1, topics.values());
        for (String acks : List.of("1", "all")) {
            boolean idempotent = acks.equals("all");
            try (var producer = site.producer("acks", acks, "enable.idempotence", String.valueOf(idempotent))) {
                for (String topic : topics.values()) {
                    // whether the producer id or the metadata is refused first is a race within the client
                    Trace.Call<String> one = () -> send(producer, topic, acks);
                    if (idempotent && !site.user.equals("alice")) {
                        trace.root("send acks=" + acks + " " + topic, one);
                    } else {
                        trace.call("send acks=" + acks + " " + topic, one);
                    }
                    trace.call("partitionsFor " + topic, () -> producer.partitionsFor(topic).size());
                }
            }
        }
        try (var producer = site.producer("acks", "1", "enable.idempotence", "false")) {
            for (String right : List.of("full", "write", "seen", "create", "hidden")) {
                String topic = site.name(right, "new");
                trace.settled("send to the unknown " + topic, () -> send(producer, topic, "new"));
            }
            trace.call("send to an impossible name", () -> send(producer, site.name("full", "bad name!"), "no"));
        }
        // long enough for the metadata of a slow machine: who may write waits for the partition all this time
        try (var producer = site.producer("max.block.ms", "5000")) {
            String full = topics.get("full");
            trace.call("send to a partition there is not", () ->
                producer.send(new ProducerRecord<>(full, 7, "k", "no")).get(60, TimeUnit.SECONDS).offset());
        }
        quiet(site, topics);
        site.traceTopics();
    }

    /** acks=0: nothing is answered; what is refused closes the connection. */
    private static void quiet(Site site, Map<String, String> topics) {
        try (var producer = site.producer("acks", "0", "enable.idempotence", "false", "reconnect.backoff.ms", "10")) {
            for (String right : List.of("full", "read", "seen", "hidden", "write")) {
                String topic = topics.get(right);
                long before = site.end(topic);
                double closed = closed(producer);
                String sent = site.trace.call("send acks=0 " + topic, () -> send(producer, topic, "0"));
                // the record arrives, or the connection ends
                for (int i = 0; i < 200 && sent != null && site.end(topic) == before && closed(producer) == closed; i++) {
                    Trace.rest();
                }
                site.trace.add("  arrived " + (site.end(topic) - before) + ", closed " + (closed(producer) > closed));
            }
        }
    }

    private static double closed(KafkaProducer<String, String> producer) {
        for (var e : producer.metrics().entrySet()) {
            if (e.getKey().name().equals("connection-close-total") && !e.getKey().tags().containsKey("node-id")) {
                return ((Number) e.getValue().metricValue()).doubleValue();
            }
        }
        return -1;
    }

    static void consume(Site site) throws Exception {
        Trace trace = site.trace;
        Map<String, String> topics = site.names("t");
        site.make(2, topics.values());
        site.fill(topics.values(), "a", "b", "c");
        for (String topic : topics.values()) {
            try (var consumer = site.consumer()) {
                TopicPartition zero = new TopicPartition(topic, 0);
                List<TopicPartition> both = List.of(zero, new TopicPartition(topic, 1));
                trace.call("partitionsFor " + topic, () -> consumer.partitionsFor(topic).size());
                trace.call("beginningOffsets " + topic, () -> consumer.beginningOffsets(both));
                trace.call("endOffsets " + topic, () -> consumer.endOffsets(both));
                trace.call("offsetsForTimes " + topic, () -> consumer.offsetsForTimes(Map.of(zero, 0L)));
                consumer.assign(both);
                trace.call("poll " + topic, () -> read(consumer, 3));
                trace.call("position " + topic, () -> consumer.position(zero));
                trace.call("currentLag " + topic, () -> consumer.currentLag(zero));
                consumer.seek(zero, 1);
                trace.call("poll again from 1 " + topic, () -> read(consumer, 2));
                consumer.seek(zero, 99);
                trace.call("poll out of range " + topic, () -> read(consumer, 3));
                consumer.seekToEnd(both);
                trace.call("position at the end " + topic, () -> consumer.position(zero));
                trace.call("commit without a group " + topic, () -> {
                    consumer.commitSync();
                    return "done";
                });
            }
        }
        try (var consumer = site.consumer()) {
            trace.call("listTopics", () -> site.mine(consumer.listTopics().keySet()));
            List<TopicPartition> all = topics.values().stream().map(t -> new TopicPartition(t, 0)).toList();
            consumer.assign(all);
            switch (site.user) {
                case "alice" -> gather(trace, "poll of all at once", consumer, 18, 0);
                case "bob" -> gather(trace, "poll of all at once", consumer, 6, 4);
                default -> gather(trace, "poll of all at once", consumer, 0, 6);
            }
        }
        try (var consumer = site.consumer("allow.auto.create.topics", "true")) {
            for (String right : List.of("full", "seen", "hidden")) {
                String topic = site.name(right, "new");
                consumer.assign(List.of(new TopicPartition(topic, 0)));
                gather(trace, "poll of the unknown " + topic, consumer, 0, 1, () -> site.end(topic) == 0);
            }
        }
        site.traceTopics();
    }

    /** The next `count` records. */
    static List<String> read(KafkaConsumer<String, String> consumer, int count) {
        List<String> values = new ArrayList<>();
        for (int i = 0; i < 600 && values.size() < count; i++) {
            consumer.poll(Duration.ofMillis(100)).forEach(r -> values.add(Site.show(r)));
        }
        return values;
    }

    /**
     * What comes, in whatever order: that of errors and records, and which topics one error names, is chance. It is
     * waited for as many as there should be, and a little longer.
     */
    static void gather(Trace trace, String what, KafkaConsumer<String, String> consumer, int records, int errors) {
        gather(trace, what, consumer, records, errors, () -> false);
    }

    private static void gather(Trace trace, String what, KafkaConsumer<String, String> consumer, int records, int errors,
        BooleanSupplier done) {
        TreeSet<String> values = new TreeSet<>();
        TreeSet<String> refused = new TreeSet<>();
        TreeSet<String> others = new TreeSet<>();
        long end = System.nanoTime() + 40_000_000_000L;
        boolean complete = false;
        while (System.nanoTime() < end) {
            if (!complete && (done.getAsBoolean() || records + errors > 0 && values.size() >= records && refused.size() + others.size() >= errors)) {
                complete = true;
                end = System.nanoTime() + 300_000_000L;
            }
            try {
                consumer.poll(Duration.ofMillis(50)).forEach(r -> values.add(Site.show(r)));
            } catch (TopicAuthorizationException e) {
                refused.addAll(e.unauthorizedTopics());
            } catch (Exception e) {
                others.add(Trace.describe(e));
            }
        }
        trace.add(what + " -> records " + values + ", refused " + refused + ", errors " + others);
    }

    /** A pattern that matches the topics of this program alone. */
    static Pattern pattern(Site site) {
        return Pattern.compile(".*-" + Pattern.quote(site.scope) + "-.*");
    }
}
