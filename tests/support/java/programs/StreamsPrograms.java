import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Produced;

/** A Streams application with a repartition topic and a changelog: entitled, and with each of its rights missing. */
final class StreamsPrograms {
    private StreamsPrograms() {}

    static void run(Site site) throws Exception {
        site.make(1, site.name("full", "in"), site.name("full", "out"), site.name("seen", "in"), site.name("read", "out"));
        site.fill(List.of(site.name("full", "in"), site.name("seen", "in")), "a", "b", "a");
        app(site, "entitled", site.name("full", "app"), site.name("full", "in"), site.name("full", "out"));
        app(site, "without Create on its topics", site.name("app", "app"), site.name("full", "in"), site.name("full", "out"));
        app(site, "without its group", site.name("hidden", "app"), site.name("full", "in"), site.name("full", "out"));
        app(site, "without Read on its input", site.name("full", "app2"), site.name("seen", "in"), site.name("full", "out"));
        app(site, "without Write on its output", site.name("full", "app3"), site.name("full", "in"), site.name("read", "out"));
        site.trace.call("in the end: topics", () -> site.mine(site.back().listTopics().names().get()));
    }

    private static void app(Site site, String what, String id, String input, String output) throws Exception {
        Properties config = site.config("application.id", id, "num.stream.threads", "1", "auto.offset.reset", "earliest",
            StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "100", StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0",
            StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName(),
            StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName(),
            StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("kordon-streams").toString());
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(input).selectKey((k, v) -> v).groupByKey().count().toStream().mapValues(String::valueOf)
            .to(output, Produced.with(Serdes.String(), Serdes.String()));
        ConcurrentSkipListSet<String> errors = new ConcurrentSkipListSet<>();
        TreeSet<String> counts = new TreeSet<>();
        try (var consumer = site.backConsumer(); var streams = new KafkaStreams(builder.build(), config)) {
            TopicPartition zero = new TopicPartition(output, 0);
            consumer.assign(List.of(zero));
            consumer.seekToEnd(List.of(zero));
            consumer.position(zero);
            streams.setUncaughtExceptionHandler(e -> {
                errors.add(roots(e));
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            for (int i = 0; i < 2000 && errors.isEmpty() && counts.size() < 3; i++) {
                consumer.poll(Duration.ofMillis(50)).forEach(r -> counts.add(r.key() + "=" + r.value()));
            }
            String state = errors.isEmpty() ? streams.state().name() : "failed";
            streams.close(Duration.ofSeconds(10));
            site.trace.add(what + " -> " + state + " " + counts + " " + errors);
        }
    }

    /** The deepest cause: how often it is wrapped is chance, and what Streams adds names threads and tasks. */
    private static String roots(Throwable thrown) {
        Throwable last = thrown;
        while (last.getCause() != null) {
            last = last.getCause();
        }
        return "at the root " + Trace.describe(last);
    }
}
