import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.WakeupException;

/** Members of groups, with the classic protocol and with the new one. */
final class GroupPrograms {
    private GroupPrograms() {}

    static void run(Site site, String protocol) throws Exception {
        Trace trace = site.trace;
        Map<String, String> topics = site.names("t");
        site.make(4, topics.values());
        site.fill(topics.values(), "a", "b", "c");
        String full = topics.get("full");
        for (String right : List.of("full", "seen", "hidden")) {
            String group = site.name(right, "g");
            member(site, protocol, group, full);
        }
        String group = site.name("full", "topics");
        for (String topic : topics.values()) {
            try (var consumer = open(site, protocol, group)) {
                consumer.subscribe(List.of(topic));
                trace.call("subscribe and poll " + topic, () -> either(site, protocol, () -> DataPrograms.read(consumer, 3)));
                TopicPartition zero = new TopicPartition(topic, 0);
                trace.call("commit of " + topic, () -> commit(consumer, zero, 2));
                trace.call("committed of " + topic, () -> committed(consumer, zero));
            }
        }
        try (var consumer = open(site, protocol, site.name("full", "two"))) {
            consumer.subscribe(List.of(full, topics.get("hidden")));
            if (site.user.equals("carol")) {
                trace.call("subscribe to two", () -> either(site, protocol, () -> DataPrograms.read(consumer, 1)));
            } else {
                // with the new protocol one refused topic refuses the heartbeat
                int records = site.user.equals("alice") ? 6 : protocol.equals("classic") ? 3 : 0;
                DataPrograms.gather(trace, "subscribe to the allowed and the hidden", consumer, records, records == 6 ? 0 : 1);
            }
        }
        try (var consumer = open(site, protocol, site.name("full", "pattern"))) {
            consumer.subscribe(DataPrograms.pattern(site));
            switch (site.user) {
                case "alice" -> DataPrograms.gather(trace, "subscribe to a pattern", consumer, 18, 0);
                case "bob" -> DataPrograms.gather(trace, "subscribe to a pattern", consumer, 6, 3);
                default -> DataPrograms.gather(trace, "subscribe to a pattern", consumer, 0, 1);
            }
            trace.call("assigned by the pattern", () -> new TreeSet<>(consumer.assignment().stream().map(TopicPartition::topic).toList()));
        }
        try (var consumer = site.consumer("group.id", site.name("full", "manual"), "group.protocol", protocol)) {
            TopicPartition zero = new TopicPartition(full, 0);
            consumer.assign(List.of(zero));
            trace.call("commit without being a member", () -> commit(consumer, zero, 1));
            trace.call("committed without being a member", () -> committed(consumer, zero));
            trace.call("poll from what is committed", () -> DataPrograms.read(consumer, 2));
        }
        rebalance(site, protocol, full);
        fence(site, protocol, full);
        trace.call("in the end: offsets", () -> {
            Map<String, Object> out = new java.util.TreeMap<>();
            for (var listing : site.back().listGroups().all().get()) {
                if (!site.mine(List.of(listing.groupId())).isEmpty()) {
                    out.put(listing.groupId(), Trace.show(site.back().listConsumerGroupOffsets(listing.groupId())
                        .partitionsToOffsetAndMetadata().get()));
                }
            }
            return out;
        });
    }

    /**
     * With the new protocol the group and the metadata are asked for at once. Who may use neither hears of one of them, of
     * the other, or of both: that is chance within the client.
     */
    private static Object either(Site site, String protocol, Trace.Call<?> call) throws Exception {
        if (!protocol.equals("consumer") || !site.user.equals("carol")) {
            return call.run();
        }
        try {
            return call.run();
        } catch (GroupAuthorizationException | TopicAuthorizationException e) {
            return "refused";
        }
    }

    private static KafkaConsumer<String, String> open(Site site, String protocol, String group, String... more) {
        String[] all = java.util.Arrays.copyOf(more, more.length + (protocol.equals("classic") ? 6 : 4));
        all[more.length] = "group.id";
        all[more.length + 1] = group;
        all[more.length + 2] = "group.protocol";
        all[more.length + 3] = protocol;
        if (protocol.equals("classic")) {
            all[more.length + 4] = "heartbeat.interval.ms";
            all[more.length + 5] = "300";
        }
        return site.consumer(all);
    }

    private static void member(Site site, String protocol, String group, String topic) {
        Trace trace = site.trace;
        try (var consumer = open(site, protocol, group)) {
            TopicPartition zero = new TopicPartition(topic, 0);
            consumer.subscribe(List.of(topic));
            trace.call("join " + group, () -> either(site, protocol, () -> DataPrograms.read(consumer, 3)));
            trace.call("assignment", () -> new TreeSet<>(consumer.assignment().stream().map(TopicPartition::toString).toList()));
            trace.call("commit " + group, () -> {
                consumer.commitSync();
                return "done";
            });
            trace.call("commit with metadata " + group, () -> {
                consumer.commitSync(Map.of(zero, new OffsetAndMetadata(1, "note")));
                return "done";
            });
            trace.call("committed " + group, () -> committed(consumer, zero));
            trace.call("seek and poll " + group, () -> {
                consumer.seek(zero, 2);
                return DataPrograms.read(consumer, 1);
            });
            trace.call("currentLag " + group, () -> consumer.currentLag(zero));
            trace.call("groupMetadata " + group, () -> consumer.groupMetadata().groupId());
            trace.call("unsubscribe " + group, () -> {
                consumer.unsubscribe();
                return "done";
            });
        } catch (Exception e) {
            trace.add("close " + group + " !! " + Trace.describe(e));
        }
    }

    private static String commit(KafkaConsumer<String, String> consumer, TopicPartition partition, long offset) {
        consumer.commitSync(Map.of(partition, new OffsetAndMetadata(offset)));
        return "done";
    }

    private static Object committed(KafkaConsumer<String, String> consumer, TopicPartition partition) {
        return Trace.show(consumer.committed(Set.of(partition)));
    }

    /** A member that polls in a thread of its own. */
    private static final class Running implements AutoCloseable {
        final Set<String> errors = new ConcurrentSkipListSet<>();
        private final KafkaConsumer<String, String> consumer;
        private final Thread thread;
        private volatile Set<TopicPartition> held = Set.of();

        private final boolean refused;

        Running(Site site, KafkaConsumer<String, String> consumer, Collection<String> topics) {
            this.consumer = consumer;
            refused = site.user.equals("carol");
            consumer.subscribe(topics);
            thread = new Thread(this::loop, "member");
            thread.start();
        }

        private void loop() {
            try {
                while (true) {
                    consumer.poll(Duration.ofMillis(100));
                    held = Set.copyOf(consumer.assignment());
                }
            } catch (WakeupException e) {
                consumer.close();
            } catch (Exception e) {
                errors.add(refused ? "refused" : Trace.describe(e));
                consumer.close();
            }
        }

        int held() {
            return held.size();
        }

        @Override
        public void close() throws InterruptedException {
            consumer.wakeup();
            thread.join();
        }
    }

    private static void rebalance(Site site, String protocol, String topic) throws Exception {
        Trace trace = site.trace;
        String group = site.name("full", "rebalance");
        List<String> topics = List.of(topic);
        Running first = new Running(site, open(site, protocol, group), topics);
        Site.await(() -> first.held() == 4 || !first.errors.isEmpty());
        trace.add("one member holds " + first.held() + " " + first.errors);
        Running second = new Running(site, open(site, protocol, group), topics);
        Site.await(() -> first.held() == 2 && second.held() == 2 || !second.errors.isEmpty());
        trace.add("two members hold " + first.held() + " and " + second.held() + " " + second.errors);
        first.close();
        Site.await(() -> second.held() == 4 || !second.errors.isEmpty());
        trace.add("who remains holds " + second.held());
        second.close();
    }

    /** Two that claim to be the same static member. */
    private static void fence(Site site, String protocol, String topic) throws Exception {
        String group = site.name("full", "static");
        Running first = new Running(site, open(site, protocol, group, "group.instance.id", "one"), List.of(topic));
        Site.await(() -> first.held() == 4 || !first.errors.isEmpty());
        Running second = new Running(site, open(site, protocol, group, "group.instance.id", "one"), List.of(topic));
        Site.await(() -> !first.errors.isEmpty() || !second.errors.isEmpty());
        site.trace.add("a static member twice -> first " + first.errors + ", second " + second.errors);
        first.close();
        second.close();
    }
}
