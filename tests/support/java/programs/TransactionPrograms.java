import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Transactions: whole, aborted, fenced, and with each of the rights they need missing. */
final class TransactionPrograms {
    private TransactionPrograms() {}

    private interface Step {
        void run() throws Exception;
    }

    private static void step(Trace trace, String what, Step step) {
        trace.call(what, () -> {
            step.run();
            return "done";
        });
    }

    private static long send(KafkaProducer<String, String> producer, String topic, String value) throws Exception {
        return producer.send(new ProducerRecord<>(topic, 0, "k", value)).get(60, TimeUnit.SECONDS).offset();
    }

    static void run(Site site) throws Exception {
        Trace trace = site.trace;
        Map<String, String> topics = site.names("t");
        site.make(1, topics.values());
        String full = topics.get("full");
        for (String right : List.of("full", "write", "seen", "hidden")) {
            String id = site.name(right, "x");
            try (var producer = site.producer("transactional.id", id)) {
                Object begun = trace.call("init " + id, () -> {
                    producer.initTransactions();
                    return "done";
                });
                if (begun == null) {
                    continue; // what a client says that never began is its own affair
                }
                step(trace, "begin " + id, producer::beginTransaction);
                trace.call("send " + id, () -> send(producer, full, "committed by " + id));
                step(trace, "commit " + id, producer::commitTransaction);
                step(trace, "begin again " + id, producer::beginTransaction);
                trace.call("send what is aborted " + id, () -> send(producer, full, "aborted by " + id));
                step(trace, "abort " + id, producer::abortTransaction);
                offsets(site, producer, id, full);
            }
        }
        String id = site.name("full", "refusals");
        try (var producer = site.producer("transactional.id", id)) {
            step(trace, "init " + id, producer::initTransactions);
            for (String topic : site.user.equals("carol") ? List.<String>of() : topics.values()) {
                step(trace, "begin for " + topic, producer::beginTransaction);
                trace.call("send before " + topic, () -> send(producer, full, "beside " + topic));
                trace.call("send " + topic, () -> send(producer, topic, "in " + topic));
                // whether commit itself hears of the refusal or finds it there is chance
                trace.root("commit with " + topic, () -> {
                    producer.commitTransaction();
                    return "done";
                });
                step(trace, "abort with " + topic, producer::abortTransaction);
            }
        }
        if (!site.user.equals("carol")) {
            fence(site, full);
        }
        site.traceTopics();
        trace.call("in the end: committed records", () -> {
            try (var consumer = site.backConsumer("isolation.level", "read_committed")) {
                consumer.assign(topics.values().stream().map(t -> new TopicPartition(t, 0)).toList());
                consumer.seekToEnd(List.of());
                Map<TopicPartition, Long> ends = new java.util.HashMap<>();
                for (TopicPartition p : consumer.assignment()) {
                    ends.put(p, consumer.position(p));
                }
                consumer.seekToBeginning(List.of());
                java.util.TreeSet<String> records = new java.util.TreeSet<>();
                while (ends.entrySet().stream().anyMatch(e -> consumer.position(e.getKey()) < e.getValue())) {
                    consumer.poll(java.time.Duration.ofMillis(100)).forEach(r -> records.add(Site.show(r)));
                }
                return records;
            }
        });
        trace.call("in the end: offsets", () -> {
            Map<String, Object> out = new java.util.TreeMap<>();
            for (String right : List.of("full", "seen", "hidden")) {
                String group = site.name(right, "g");
                out.put(group, Trace.show(site.back().listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()));
            }
            return out;
        });
    }

    private static void offsets(Site site, KafkaProducer<String, String> producer, String id, String topic) {
        Trace trace = site.trace;
        for (String right : List.of("full", "seen", "hidden")) {
            for (String of : List.of("full", "read", "hidden")) {
                String group = site.name(right, "g");
                TopicPartition partition = new TopicPartition(site.name(of, "t"), 0);
                String what = " " + of + " offsets of " + group + " by " + id;
                step(trace, "begin for" + what, producer::beginTransaction);
                step(trace, "send" + what, () -> producer.sendOffsetsToTransaction(
                    Map.of(partition, new OffsetAndMetadata(1)), new ConsumerGroupMetadata(group)));
                trace.root("commit" + what, () -> {
                    producer.commitTransaction();
                    return "done";
                });
                step(trace, "abort" + what, producer::abortTransaction);
            }
        }
    }

    private static void fence(Site site, String topic) {
        Trace trace = site.trace;
        String id = site.name("full", "fenced");
        try (var old = site.producer("transactional.id", id); var young = site.producer("transactional.id", id)) {
            step(trace, "init of the old", old::initTransactions);
            step(trace, "begin of the old", old::beginTransaction);
            trace.call("send of the old", () -> send(old, topic, "of the old"));
            step(trace, "init of the young", young::initTransactions);
            trace.kind("send of the fenced", () -> send(old, topic, "of the fenced"));
            trace.kind("commit of the fenced", () -> {
                old.commitTransaction();
                return "done";
            });
            step(trace, "begin of the young", young::beginTransaction);
            trace.call("send of the young", () -> send(young, topic, "of the young"));
            step(trace, "commit of the young", young::commitTransaction);
        }
    }
}
