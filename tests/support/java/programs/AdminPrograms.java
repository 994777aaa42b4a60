import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeConsumerGroupsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;

/** What an AdminClient does with topics, their configs and records, and with groups. */
final class AdminPrograms {
    /** Rights to topics beside those of {@link Site#RIGHTS}. */
    private static final List<String> MORE = List.of("delete", "alter", "config");

    private AdminPrograms() {}

    static void topics(Site site) throws Exception {
        Trace trace = site.trace;
        var admin = site.admin();
        Map<String, String> topics = site.names("t");
        MORE.forEach(right -> topics.put(right, site.name(right, "t")));
        site.make(1, topics.values());
        site.fill(topics.values(), "a", "b", "c");
        Map<String, Uuid> ids = new TreeMap<>();
        Map<String, String> names = new HashMap<>();
        site.back().describeTopics(topics.values()).allTopicNames().get().forEach((n, t) -> {
            ids.put(n, t.topicId());
            names.put(t.topicId().toString(), n);
            trace.hide(t.topicId(), "id of " + n);
        });

        List<NewTopic> wanted = new ArrayList<>();
        for (String right : List.of("full", "create", "write", "seen", "hidden")) {
            wanted.add(new NewTopic(site.name(right, "new"), Optional.of(2), Optional.empty())
                .configs(Map.of("retention.ms", "60000")));
        }
        wanted.add(new NewTopic(topics.get("full"), 1, (short) 1));
        wanted.add(new NewTopic(topics.get("hidden"), 1, (short) 1));
        wanted.add(new NewTopic(site.name("full", "bad name!"), 1, (short) 1));
        wanted.add(new NewTopic(site.name("full", "replicas"), 1, (short) 9));
        wanted.add(new NewTopic(site.name("full", "config"), 1, (short) 1).configs(Map.of("no.such.config", "1")));
        trace.call("create, validate only", () -> Site.each(admin.createTopics(wanted, new CreateTopicsOptions().validateOnly(true)).values(), v -> "made"));
        trace.call("create", () -> {
            var result = admin.createTopics(wanted);
            Map<String, Object> out = new TreeMap<>();
            for (NewTopic topic : wanted) {
                String n = topic.name();
                out.put(n, List.of(Site.one(result.values().get(n), v -> "made"), Site.one(result.numPartitions(n), v -> v),
                    Site.one(result.replicationFactor(n), v -> v),
                    Site.one(result.config(n), c -> c.get("retention.ms").value())));
            }
            return out;
        });

        trace.until("list", () -> site.mine(admin.listTopics().names().get()),
            told -> site.user.equals("carol") || told.contains(site.name("full", "new")));
        var operations = new DescribeTopicsOptions().includeAuthorizedOperations(true);
        List<String> asked = new ArrayList<>(topics.values());
        asked.add(site.name("full", "none"));
        asked.add(site.name("hidden", "none"));
        trace.call("describe", () -> Site.each(admin.describeTopics(asked, operations).topicNameValues(), AdminPrograms::show));
        Uuid unknown = new Uuid(7, 7);
        List<Uuid> all = new ArrayList<>(ids.values());
        all.add(unknown);
        trace.call("describe by id", () -> named(names, Site.each(
            admin.describeTopics(TopicCollection.ofTopicIds(all), operations).topicIdValues(), AdminPrograms::show)));
        Map<TopicPartition, OffsetSpec> offsets = new LinkedHashMap<>();
        for (OffsetSpec spec : List.of(OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.maxTimestamp())) {
            topics.values().forEach(t -> offsets.put(new TopicPartition(t, 0), spec));
            trace.call("list offsets " + spec.getClass().getSimpleName(), () -> {
                var result = admin.listOffsets(offsets);
                Map<String, String> out = new TreeMap<>();
                offsets.keySet().forEach(p -> out.put(p.toString(), Site.one(result.partitionResult(p), v -> v.offset() + "/" + v.timestamp())));
                return out;
            });
        }
        trace.call("create partitions", () -> {
            Map<String, NewPartitions> more = new HashMap<>();
            topics.values().forEach(t -> more.put(t, NewPartitions.increaseTo(2)));
            more.put(site.name("full", "none"), NewPartitions.increaseTo(2));
            return Site.each(admin.createPartitions(more).values(), v -> "done");
        });
        trace.call("create fewer partitions", () -> Site.each(admin.createPartitions(
            Map.of(topics.get("full"), NewPartitions.increaseTo(1))).values(), v -> "done"));
        trace.call("delete records", () -> {
            Map<TopicPartition, RecordsToDelete> records = new HashMap<>();
            topics.values().forEach(t -> records.put(new TopicPartition(t, 0), RecordsToDelete.beforeOffset(2)));
            return Site.each(admin.deleteRecords(records).lowWatermarks(), v -> v.lowWatermark());
        });
        trace.call("delete by name", () -> {
            List<String> some = new ArrayList<>();
            for (String right : List.of("read", "seen", "hidden", "delete")) {
                some.add(topics.get(right));
            }
            some.add(site.name("full", "none"));
            some.add(site.name("hidden", "none"));
            return Site.each(admin.deleteTopics(some).topicNameValues(), v -> "done");
        });
        trace.call("delete by id", () -> {
            List<Uuid> some = new ArrayList<>();
            for (String right : List.of("full", "write", "mixed", "alter")) {
                some.add(ids.get(topics.get(right)));
            }
            some.add(unknown);
            return named(names, Site.each(admin.deleteTopics(TopicCollection.ofTopicIds(some)).topicIdValues(), v -> "done"));
        });
        List<String> gone = switch (site.user) {
            case "alice" -> List.of("read", "seen", "hidden", "delete", "full", "write", "mixed", "alter");
            case "bob" -> List.of("delete", "full", "mixed");
            default -> List.of();
        };
        Site.await(() -> gone.stream().allMatch(right -> site.end(topics.get(right)) < 0));
        site.traceTopics();
    }

    /** Outcomes by id, in the order of the names that have these ids. */
    private static Map<String, String> named(Map<String, String> names, Map<String, String> byId) {
        Map<String, String> out = new TreeMap<>();
        byId.forEach((id, outcome) -> out.put(names.getOrDefault(id, id), outcome));
        return out;
    }

    private static Object show(TopicDescription topic) {
        Object operations = topic.authorizedOperations() == null ? "not told"
            : new TreeSet<>(topic.authorizedOperations().stream().map(Enum::name).toList());
        return topic.name() + " " + topic.partitions().size() + " " + topic.isInternal() + " " + operations;
    }

    static void configs(Site site) throws Exception {
        Trace trace = site.trace;
        var admin = site.admin();
        Map<String, String> topics = site.names("t");
        MORE.forEach(right -> topics.put(right, site.name(right, "t")));
        site.make(1, topics.values());
        List<ConfigResource> resources = new ArrayList<>();
        topics.values().forEach(t -> resources.add(new ConfigResource(ConfigResource.Type.TOPIC, t)));
        resources.add(new ConfigResource(ConfigResource.Type.TOPIC, site.name("full", "none")));
        for (String right : List.of("full", "seen", "hidden", "config", "alter")) {
            resources.add(new ConfigResource(ConfigResource.Type.GROUP, site.name(right, "g")));
        }
        trace.call("describe", () -> Site.each(admin.describeConfigs(resources).values(), AdminPrograms::changed));
        for (boolean validate : List.of(true, false)) {
            trace.call("alter, validate only: " + validate, () -> {
                Map<ConfigResource, Collection<AlterConfigOp>> changes = new HashMap<>();
                for (ConfigResource r : resources) {
                    boolean topic = r.type() == ConfigResource.Type.TOPIC;
                    ConfigEntry entry = topic ? new ConfigEntry("retention.ms", "70000") : new ConfigEntry("consumer.session.timeout.ms", "46000");
                    changes.put(r, List.of(new AlterConfigOp(entry, AlterConfigOp.OpType.SET)));
                }
                var result = admin.incrementalAlterConfigs(changes, new AlterConfigsOptions().validateOnly(validate));
                return Site.each(result.values(), v -> "done");
            });
        }
        trace.call("alter what is no number", () -> alter(site, topics.get("full"), "retention.ms", "soon"));
        trace.call("alter what is no config", () -> alter(site, topics.get("full"), "no.such.config", "1"));
        trace.call("alter what is no config of the hidden", () -> alter(site, topics.get("hidden"), "no.such.config", "1"));
        trace.call("append to a list", () -> Site.each(admin.incrementalAlterConfigs(Map.of(
            new ConfigResource(ConfigResource.Type.TOPIC, topics.get("full")),
            List.of(new AlterConfigOp(new ConfigEntry("cleanup.policy", "compact"), AlterConfigOp.OpType.APPEND)))).values(), v -> "done"));
        trace.until("describe what was altered", () -> Site.each(admin.describeConfigs(resources).values(), AdminPrograms::changed),
            told -> site.user.equals("carol") || told.toString().contains("compact"));
        trace.call("in the end: configs", () -> Site.each(site.back().describeConfigs(resources).values(), AdminPrograms::changed));
    }

    private static Object alter(Site site, String topic, String key, String value) {
        return Site.each(site.admin().incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic),
            List.of(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)))).values(), v -> "done");
    }

    /** How many there are, and those that were set. */
    static Object changed(Config config) {
        Map<String, String> set = new TreeMap<>();
        for (ConfigEntry e : config.entries()) {
            if (e.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG || e.source() == ConfigEntry.ConfigSource.DYNAMIC_GROUP_CONFIG) {
                set.put(e.name(), e.value());
            }
        }
        return config.entries().size() + " configs, set " + set;
    }

    static void groups(Site site) throws Exception {
        Trace trace = site.trace;
        var admin = site.admin();
        Map<String, String> topics = site.names("t");
        site.make(1, topics.values());
        site.fill(topics.values(), "a", "b", "c");
        List<String> rights = List.of("full", "read", "seen", "hidden", "delete");
        List<String> groups = rights.stream().map(r -> site.name(r, "g")).toList();
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        topics.values().forEach(t -> offsets.put(new TopicPartition(t, 0), new OffsetAndMetadata(1)));
        for (String group : groups) {
            Site.ask(() -> site.back().alterConsumerGroupOffsets(group, offsets).all().get());
        }
        List<String> asked = new ArrayList<>(groups);
        asked.add(site.name("full", "none"));
        asked.add(site.name("hidden", "none"));
        String busy = site.name("full", "busy");
        asked.add(busy);
        try (var member = site.backConsumer("group.id", busy, "client.id", "busy", "group.protocol", "classic")) {
            member.subscribe(List.of(topics.get("hidden")));
            for (int i = 0; i < 100 && member.assignment().isEmpty(); i++) {
                member.poll(java.time.Duration.ofMillis(50));
            }
            trace.call("list", () -> site.mine(admin.listGroups().all().get().stream().map(g -> g.groupId()).toList()));
            trace.call("list consumer groups", () -> site.mine(admin.listConsumerGroups().all().get().stream().map(g -> g.groupId()).toList()));
            trace.call("describe", () -> Site.each(admin.describeConsumerGroups(asked,
                new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true)).describedGroups(), g ->
                    g.groupState() + " " + g.members().size() + " " + g.members().stream().map(m -> m.clientId() + m.assignment().topicPartitions()).toList()
                        + " " + (g.authorizedOperations() == null ? null : new TreeSet<>(g.authorizedOperations().stream().map(Enum::name).toList()))));
            trace.call("describe classic", () -> Site.each(admin.describeClassicGroups(asked).describedGroups(), g ->
                g.state() + " " + g.members().size()));
            trace.call("delete a group with a member", () -> Site.each(admin.deleteConsumerGroups(List.of(busy)).deletedGroups(), v -> "done"));
            trace.call("alter offsets of a group with a member", () -> Site.one(admin.alterConsumerGroupOffsets(busy,
                Map.of(new TopicPartition(topics.get("full"), 0), new OffsetAndMetadata(2))).all(), v -> "done"));
        }
        for (String group : asked) {
            trace.call("offsets of " + group, () -> admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get());
        }
        trace.call("offsets of several", () -> {
            Map<String, ListConsumerGroupOffsetsSpec> specs = new HashMap<>();
            groups.forEach(g -> specs.put(g, new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(
                new TopicPartition(topics.get("full"), 0), new TopicPartition(topics.get("hidden"), 0)))));
            var result = admin.listConsumerGroupOffsets(specs);
            Map<String, String> out = new TreeMap<>();
            groups.forEach(g -> out.put(g, Site.one(result.partitionsToOffsetAndMetadata(g), v -> v)));
            return out;
        });
        for (String group : groups) {
            Map<TopicPartition, OffsetAndMetadata> more = new HashMap<>();
            topics.values().forEach(t -> more.put(new TopicPartition(t, 0), new OffsetAndMetadata(2)));
            trace.call("alter offsets of " + group, () -> {
                var result = admin.alterConsumerGroupOffsets(group, more);
                Map<String, String> out = new TreeMap<>();
                more.keySet().forEach(p -> out.put(p.toString(), Site.one(result.partitionResult(p), v -> "done")));
                return out;
            });
            Set<TopicPartition> some = Set.of(new TopicPartition(topics.get("full"), 0), new TopicPartition(topics.get("seen"), 0),
                new TopicPartition(topics.get("hidden"), 0));
            trace.call("delete offsets of " + group, () -> {
                var result = admin.deleteConsumerGroupOffsets(group, some);
                Map<String, String> out = new TreeMap<>();
                some.forEach(p -> out.put(p.toString(), Site.one(result.partitionResult(p), v -> "done")));
                return out;
            });
            trace.call("remove members of " + group, () -> Site.one(
                admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions()).all(), v -> "done"));
        }
        trace.call("in the end: offsets", () -> {
            Map<String, String> out = new TreeMap<>();
            for (String g : groups) {
                out.put(g, Site.one(site.back().listConsumerGroupOffsets(g).partitionsToOffsetAndMetadata(), v -> v));
            }
            return out;
        });
        trace.call("delete", () -> Site.each(admin.deleteConsumerGroups(asked).deletedGroups(), v -> "done"));
        trace.call("in the end: groups", () -> site.mine(site.back().listGroups().all().get().stream().map(g -> g.groupId()).toList()));
    }
}
