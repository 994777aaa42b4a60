import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Where a program runs and as whom, and what it asks behind everybody's back to prepare and to see what came of it. */
final class Site {
    private static final Map<String, Admin> BACK = new ConcurrentHashMap<>();

    /** What `part` in the policy of the test gives: names begin with the right that there is to them. */
    static final List<String> RIGHTS = List.of("full", "read", "write", "seen", "hidden", "mixed");

    final Trace trace = new Trace();
    final String user;
    final String scope;
    private final Properties client;
    private final Properties direct;
    private Admin admin;

    Site(String user, String scope, Properties client, Properties direct) {
        this.user = user;
        this.scope = scope;
        this.client = client;
        this.direct = direct;
    }

    /** A name that begins with the right there is to it; no other program or user has it. */
    String name(String right, String what) {
        return right + "-" + scope + "-" + what;
    }

    /** The names of all {@link #RIGHTS}. */
    Map<String, String> names(String what) {
        Map<String, String> names = new LinkedHashMap<>();
        RIGHTS.forEach(right -> names.put(right, name(right, what)));
        return names;
    }

    Properties config(String... more) {
        Properties config = new Properties();
        config.putAll(client);
        config.put("request.timeout.ms", "30000");
        config.put("default.api.timeout.ms", "40000");
        for (int i = 0; i < more.length; i += 2) {
            config.put(more[i], more[i + 1]);
        }
        return config;
    }

    Admin admin() {
        if (admin == null) {
            admin = Admin.create(config());
        }
        return admin;
    }

    KafkaProducer<String, String> producer(String... more) {
        Properties config = config(more);
        config.putIfAbsent("max.block.ms", "40000");
        config.putIfAbsent("delivery.timeout.ms", "40000");
        config.putIfAbsent("linger.ms", "0");
        return new Writer(config);
    }

    /** A producer that is closed in time: one that was refused its id would wait for it. */
    static final class Writer extends KafkaProducer<String, String> {
        Writer(Properties config) {
            super(config, new StringSerializer(), new StringSerializer());
        }

        @Override
        public void close() {
            super.close(Duration.ofSeconds(1));
        }
    }

    /** A consumer whose close may fail with what has already been told. */
    static final class Reader extends KafkaConsumer<String, String> {
        Reader(Properties config) {
            super(config, new StringDeserializer(), new StringDeserializer());
        }

        @Override
        public void close() {
            try {
                super.close(org.apache.kafka.clients.consumer.CloseOptions.timeout(Duration.ofSeconds(5)));
            } catch (org.apache.kafka.common.KafkaException e) {
                // whether it fails depends on which thread of the client hears first
            }
        }
    }

    KafkaConsumer<String, String> consumer(String... more) {
        Properties config = config(more);
        config.putIfAbsent("auto.offset.reset", "earliest");
        config.putIfAbsent("enable.auto.commit", "false");
        config.putIfAbsent("fetch.max.wait.ms", "100");
        config.putIfAbsent("client.id", "program");
        return new Reader(config);
    }

    void close() {
        if (admin != null) {
            admin.close(Duration.ofSeconds(2));
        }
    }

    // ---- behind everybody's back

    String backAddress() {
        return direct.getProperty("bootstrap.servers");
    }

    Admin back() {
        return BACK.computeIfAbsent(direct.getProperty("bootstrap.servers"), at -> {
            Properties config = new Properties();
            config.put("bootstrap.servers", at);
            return Admin.create(config);
        });
    }

    KafkaConsumer<String, String> backConsumer(String... more) {
        Properties config = new Properties();
        config.putAll(direct);
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", "false");
        for (int i = 0; i < more.length; i += 2) {
            config.put(more[i], more[i + 1]);
        }
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    /** Makes the topics that are not there yet, and waits until the broker serves them. */
    void make(int partitions, Collection<String> names) throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        names.forEach(n -> topics.add(new NewTopic(n, Optional.of(partitions), Optional.empty())));
        for (KafkaFuture<Void> made : back().createTopics(topics).values().values()) {
            try {
                made.get();
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof TopicExistsException)) {
                    throw e;
                }
            }
        }
        ask(() -> back().listOffsets(latest(names, partitions)).all().get());
    }

    void make(int partitions, String... names) throws Exception {
        make(partitions, Arrays.asList(names));
    }

    private static Map<TopicPartition, OffsetSpec> latest(Collection<String> names, int partitions) {
        Map<TopicPartition, OffsetSpec> all = new HashMap<>();
        for (String name : names) {
            for (int p = 0; p < partitions; p++) {
                all.put(new TopicPartition(name, p), OffsetSpec.latest());
            }
        }
        return all;
    }

    /** Repeats what fails until the cluster has caught up. */
    static <T> T ask(Trace.Call<T> call) throws Exception {
        for (int i = 0;; i++) {
            try {
                return call.run();
            } catch (Exception e) {
                if (i == 400) {
                    throw e;
                }
                Trace.rest();
            }
        }
    }

    /** Puts these values into partition 0 of topics. */
    void fill(Collection<String> topics, String... values) throws Exception {
        Properties config = new Properties();
        config.putAll(direct);
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (String topic : topics) {
                for (String value : values) {
                    sent.add(producer.send(new ProducerRecord<>(topic, 0, 1_700_000_000_000L, "k", value)));
                }
            }
            for (Future<RecordMetadata> one : sent) {
                one.get();
            }
        }
    }

    /** Waits for what happens after the call that began it. */
    static void await(java.util.function.BooleanSupplier wanted) {
        for (int i = 0; i < 800 && !wanted.getAsBoolean(); i++) {
            Trace.rest();
        }
    }

    /** Where partition 0 ends; -1 without such a topic. One that is going is asked for briefly, until it is gone. */
    long end(String topic) {
        TopicPartition partition = new TopicPartition(topic, 0);
        var quick = new org.apache.kafka.clients.admin.ListOffsetsOptions();
        quick.timeoutMs(3000);
        for (int i = 0; i < 20; i++) {
            try {
                if (!back().listTopics().names().get().contains(topic)) {
                    return -1;
                }
                return back().listOffsets(Map.of(partition, OffsetSpec.latest()), quick).partitionResult(partition).get().offset();
            } catch (Exception e) {
                Trace.rest();
            }
        }
        return -1;
    }

    /** What is in all topics of this program: the side effects. */
    void traceTopics() {
        trace.call("in the end: topics and their ends", () -> ask(this::ends));
    }

    /** Fails while a topic comes or goes. */
    private Map<String, String> ends() throws Exception {
        var quick = new org.apache.kafka.clients.admin.ListOffsetsOptions();
        quick.timeoutMs(500);
        Map<String, String> ends = new TreeMap<>();
        var told = back().describeTopics(mine(back().listTopics().names().get())).allTopicNames().get();
        for (var topic : told.entrySet()) {
            int partitions = topic.getValue().partitions().size();
            var result = back().listOffsets(latest(List.of(topic.getKey()), partitions), quick);
            List<Long> offsets = new ArrayList<>();
            for (int p = 0; p < partitions; p++) {
                offsets.add(result.partitionResult(new TopicPartition(topic.getKey(), p)).get().offset());
            }
            ends.put(topic.getKey(), offsets.toString());
        }
        return ends;
    }

    /** Those names that are of this program and user. */
    List<String> mine(Collection<String> names) {
        return names.stream().filter(n -> n.contains("-" + scope + "-")).sorted().toList();
    }

    static String show(ConsumerRecord<String, String> record) {
        return record.topic() + "-" + record.partition() + "@" + record.offset() + "=" + record.value();
    }

    /** The outcome of each of several, by name. */
    static <K, V> Map<String, String> each(Map<K, KafkaFuture<V>> futures, java.util.function.Function<V, Object> show) {
        Map<String, String> out = new TreeMap<>();
        futures.forEach((key, future) -> out.put(key.toString(), one(future, show)));
        return out;
    }

    static <V> String one(KafkaFuture<V> future, java.util.function.Function<V, Object> show) {
        try {
            return Trace.show(show.apply(future.get()));
        } catch (Exception e) {
            return "!! " + Trace.describe(e);
        }
    }
}
