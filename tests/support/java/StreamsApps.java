import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Produced;

/** streams.*: counts records by key (a state store, a changelog, a repartition topic) from `input` to `output`. */
final class StreamsApps {
    private StreamsApps() {}

    static JsonNode run(String op, JsonNode c) throws Exception {
        if (op.equals("streams.open")) {
            Properties config = Driver.config(c);
            config.putIfAbsent(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
            config.putIfAbsent(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class.getName());
            config.putIfAbsent(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "100");
            config.putIfAbsent(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0");
            config.putIfAbsent("auto.offset.reset", "earliest");
            StreamsBuilder builder = new StreamsBuilder();
            builder.<String, String>stream(c.get("input").asText())
                .selectKey((k, v) -> v)
                .groupByKey()
                .count()
                .toStream()
                .mapValues(String::valueOf)
                .to(c.get("output").asText(), Produced.with(Serdes.String(), Serdes.String()));
            KafkaStreams streams = new KafkaStreams(builder.build(), config);
            streams.start();
            return Driver.keep(streams);
        }
        KafkaStreams streams = Driver.handle(c);
        switch (op) {
            case "streams.state":
                return Driver.JSON.getNodeFactory().textNode(streams.state().name());
            case "streams.close":
                Driver.HANDLES.remove(c.get("h").asLong());
                streams.close(Duration.ofSeconds(20));
                return null;
            default:
                throw new IllegalArgumentException("unknown operation " + op);
        }
    }
}
