import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.admin.UserScramCredentialAlteration;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AccessControlEntryFilter;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourcePatternFilter;
import org.apache.kafka.common.resource.ResourceType;

/** What an AdminClient does with the cluster itself. */
final class ClusterPrograms {
    private ClusterPrograms() {}

    static void run(Site site) throws Exception {
        Trace trace = site.trace;
        var admin = site.admin();
        Map<String, String> topics = site.names("t");
        site.make(1, topics.values());
        trace.call("describe cluster", () -> {
            var result = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
            return result.nodes().get().stream().map(n -> n.id()).toList() + " controller " + result.controller().get().id()
                + " " + new TreeSet<>(result.authorizedOperations().get().stream().map(Enum::name).toList());
        });
        trace.call("describe features", () -> new TreeMap<>(admin.describeFeatures().featureMetadata().get().finalizedFeatures()).toString());
        trace.call("describe quorum", () -> admin.describeMetadataQuorum().quorumInfo().get().voters().stream().map(v -> v.replicaId()).toList());
        trace.call("describe log dirs", () -> Site.each(admin.describeLogDirs(List.of(1)).descriptions(), dirs ->
            dirs.values().stream().map(d -> site.mine(d.replicaInfos().keySet().stream().map(TopicPartition::toString).toList())).toList()));
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        trace.call("describe a broker's config", () -> Site.each(admin.describeConfigs(List.of(broker)).values(), c ->
            List.of(c.get("num.io.threads").value(), c.get("offsets.topic.num.partitions").value())));
        trace.call("describe a broker's loggers", () -> Site.each(admin.describeConfigs(List.of(
            new ConfigResource(ConfigResource.Type.BROKER_LOGGER, "1"))).values(), c -> c.get("root").value()));
        trace.call("alter a broker's config", () -> alter(site, broker, "log.cleaner.backoff.ms", "15001"));
        trace.call("alter all brokers' config", () -> alter(site, new ConfigResource(ConfigResource.Type.BROKER, ""), "log.cleaner.backoff.ms", "15002"));
        trace.call("list config resources", () -> admin.listConfigResources().all().get().stream().anyMatch(r -> r.name().equals(topics.get("hidden"))));
        transactions(site, topics);
        quotas(site);
        scram(site);
        trace.call("list reassignments", () -> admin.listPartitionReassignments().reassignments().get());
        Map<TopicPartition, Optional<NewPartitionReassignment>> moves = new HashMap<>();
        topics.values().forEach(t -> moves.put(new TopicPartition(t, 0), Optional.of(new NewPartitionReassignment(List.of(1)))));
        moves.put(new TopicPartition(site.name("full", "none"), 0), Optional.empty());
        trace.call("alter reassignments", () -> Site.each(admin.alterPartitionReassignments(moves).values(), v -> "done"));
        trace.call("elect leaders", () -> {
            Map<String, String> out = new TreeMap<>();
            Set<TopicPartition> partitions = Set.of(new TopicPartition(topics.get("full"), 0), new TopicPartition(topics.get("hidden"), 0));
            admin.electLeaders(ElectionType.PREFERRED, partitions).partitions().get()
                .forEach((p, e) -> out.put(p.toString(), e.map(Trace::describe).orElse("done")));
            return out;
        });
        trace.call("update features", () -> Site.each(admin.updateFeatures(Map.of("metadata.version",
            new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE)), new UpdateFeaturesOptions().validateOnly(true)).values(), v -> "done"));
        trace.call("unregister a broker there is not", () -> Site.one(admin.unregisterBroker(77).all(), v -> "done"));
        trace.call("describe delegation tokens", () -> admin.describeDelegationToken().delegationTokens().get().size());
        trace.call("list client metrics", () -> admin.listConfigResources(Set.of(ConfigResource.Type.CLIENT_METRICS),
            new org.apache.kafka.clients.admin.ListConfigResourcesOptions()).all().get());
    }

    private static Object alter(Site site, ConfigResource resource, String key, String value) {
        return Site.each(site.admin().incrementalAlterConfigs(Map.of(resource,
            List.of(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)))).values(), v -> "done");
    }

    private static void transactions(Site site, Map<String, String> topics) throws Exception {
        Trace trace = site.trace;
        var admin = site.admin();
        List<String> ids = List.of("full", "seen", "hidden", "write").stream().map(r -> site.name(r, "x")).toList();
        for (String id : ids) {
            try (var producer = site.producer("transactional.id", id, "security.protocol", "PLAINTEXT",
                "bootstrap.servers", site.backAddress())) {
                producer.initTransactions();
                producer.beginTransaction();
                for (String right : List.of("full", "hidden")) {
                    producer.send(new ProducerRecord<>(topics.get(right), 0, "k", "open")).get();
                }
                List<String> asked = List.of(id, site.name("full", "none"), site.name("hidden", "none"));
                trace.call("list transactions", () -> site.mine(admin.listTransactions().all().get().stream().map(t -> t.transactionalId()).toList()));
                trace.call("describe transactions", () -> {
                    var result = admin.describeTransactions(asked);
                    Map<String, String> out = new TreeMap<>();
                    asked.forEach(i -> out.put(i, Site.one(result.description(i), t -> t.state() + " " + new TreeSet<>(
                        t.topicPartitions().stream().map(TopicPartition::toString).toList()))));
                    return out;
                });
                List<TopicPartition> partitions = topics.values().stream().map(t -> new TopicPartition(t, 0)).toList();
                trace.call("describe producers", () -> {
                    var result = admin.describeProducers(partitions);
                    Map<String, String> out = new TreeMap<>();
                    partitions.forEach(p -> out.put(p.toString(), Site.one(result.partitionResult(p), v -> v.activeProducers().size())));
                    return out;
                });
                trace.call("fence " + id, () -> Site.one(admin.fenceProducers(List.of(id)).all(), v -> "done"));
                trace.call("commit by the fenced " + id, () -> {
                    producer.commitTransaction();
                    return "done";
                });
            }
        }
    }

    private static void quotas(Site site) {
        Trace trace = site.trace;
        var admin = site.admin();
        ClientQuotaEntity mine = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, site.name("full", "client")));
        ClientQuotaFilter filter = ClientQuotaFilter.contains(List.of(
            ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID, site.name("full", "client"))));
        trace.call("alter quotas", () -> Site.each(admin.alterClientQuotas(List.of(new ClientQuotaAlteration(mine,
            List.of(new ClientQuotaAlteration.Op("consumer_byte_rate", 1e9))))).values(), v -> "done"));
        trace.call("alter quotas to nonsense", () -> Site.each(admin.alterClientQuotas(List.of(new ClientQuotaAlteration(mine,
            List.of(new ClientQuotaAlteration.Op("no_such_quota", 1.0))))).values(), v -> "done"));
        trace.until("describe quotas", () -> admin.describeClientQuotas(filter).entities().get(),
            told -> !site.user.equals("alice") || !told.isEmpty());
    }

    private static void scram(Site site) {
        Trace trace = site.trace;
        var admin = site.admin();
        String user = site.name("full", "scram");
        List<UserScramCredentialAlteration> up = List.of(new UserScramCredentialUpsertion(user,
            new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), "secret"));
        trace.call("set a password", () -> Site.each(admin.alterUserScramCredentials(up).values(), v -> "done"));
        trace.until("describe passwords", () -> {
            var result = admin.describeUserScramCredentials(List.of(user, site.name("full", "nobody")));
            Map<String, String> out = new TreeMap<>();
            for (String name : List.of(user, site.name("full", "nobody"))) {
                out.put(name, Site.one(result.description(name), d -> d.credentialInfos().toString()));
            }
            return out;
        }, told -> !site.user.equals("alice") || told.toString().contains("SHA_256"));
        trace.call("delete a password", () -> Site.each(admin.alterUserScramCredentials(List.of(
            new UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_256))).values(), v -> "done"));
    }

    /** As Kafka Connect uses an AdminClient: internal compacted topics, made or found, checked, read to the end, altered. */
    static void connect(Site site) throws Exception {
        Trace trace = site.trace;
        var admin = site.admin();
        for (String right : List.of("full", "seen", "hidden")) {
            List<NewTopic> topics = new ArrayList<>();
            for (String kind : List.of("configs", "offsets", "status")) {
                topics.add(new NewTopic(site.name(right, "connect-" + kind), kind.equals("configs") ? 1 : 3, (short) 1)
                    .configs(Map.of(TopicConfig.CLEANUP_POLICY_CONFIG, TopicConfig.CLEANUP_POLICY_COMPACT,
                        TopicConfig.MIN_IN_SYNC_REPLICAS_CONFIG, "1")));
            }
            List<String> names = topics.stream().map(NewTopic::name).toList();
            for (String round : List.of("create", "create again")) {
                trace.call(round + " " + right, () -> Site.each(admin.createTopics(topics).values(), v -> "made"));
            }
            site.make(1, names);
            trace.settled("describe " + right, () -> Site.each(admin.describeTopics(names).topicNameValues(), t -> t.partitions().size()));
            List<ConfigResource> resources = names.stream().map(n -> new ConfigResource(ConfigResource.Type.TOPIC, n)).toList();
            trace.settled("their configs " + right, () -> Site.each(admin.describeConfigs(resources).values(), c -> c.get("cleanup.policy").value()));
            Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
            names.forEach(n -> ends.put(new TopicPartition(n, 0), OffsetSpec.latest()));
            trace.settled("their ends " + right, () -> {
                var result = admin.listOffsets(ends);
                Map<String, String> out = new TreeMap<>();
                ends.keySet().forEach(p -> out.put(p.toString(), Site.one(result.partitionResult(p), v -> v.offset())));
                return out;
            });
            try (var producer = site.producer("acks", "all", "enable.idempotence", "false", "max.in.flight.requests.per.connection", "1");
                var consumer = site.consumer()) {
                trace.settled("write a config " + right, () -> producer.send(new ProducerRecord<>(names.get(0), 0, "connector-a", "{}")).get().offset());
                consumer.assign(List.of(new TopicPartition(names.get(0), 0)));
                trace.call("read the configs " + right, () -> DataPrograms.read(consumer, 1));
            }
            trace.call("alter " + right, () -> alter(site, resources.get(0), "segment.ms", "3600000"));
        }
        // a sink's source topic, made on demand, and the offsets of a connector that is reset
        String group = site.name("full", "connect-sink");
        trace.call("reset a sink's offsets", () -> Site.one(admin.deleteConsumerGroups(List.of(group)).all(), v -> "done"));
        site.traceTopics();
    }

    /** Makes, shows and removes ACLs. */
    static void acls(Site site) throws Exception {
        Trace trace = site.trace;
        var admin = site.admin();
        String topic = site.name("full", "acl");
        List<AclBinding> acls = List.of(
            acl(ResourceType.TOPIC, topic, PatternType.LITERAL, "User:nobody", "*", AclOperation.READ, AclPermissionType.ALLOW),
            acl(ResourceType.TOPIC, topic, PatternType.PREFIXED, "User:nobody", "10.0.0.1", AclOperation.WRITE, AclPermissionType.DENY),
            acl(ResourceType.GROUP, topic, PatternType.LITERAL, "User:nobody", "*", AclOperation.ALL, AclPermissionType.ALLOW),
            acl(ResourceType.TRANSACTIONAL_ID, topic, PatternType.LITERAL, "User:nobody", "*", AclOperation.DESCRIBE, AclPermissionType.ALLOW));
        trace.call("create", () -> Site.each(admin.createAcls(acls).values(), v -> "made"));
        trace.call("create again", () -> Site.each(admin.createAcls(acls.subList(0, 2)).values(), v -> "made"));
        trace.call("create nonsense", () -> Site.each(admin.createAcls(List.of(
            acl(ResourceType.CLUSTER, "no-cluster", PatternType.LITERAL, "User:nobody", "*", AclOperation.ALTER, AclPermissionType.ALLOW),
            acl(ResourceType.TOPIC, topic, PatternType.LITERAL, "nobody", "*", AclOperation.READ, AclPermissionType.ALLOW),
            acl(ResourceType.TOPIC, "", PatternType.LITERAL, "User:nobody", "*", AclOperation.READ, AclPermissionType.ALLOW))).values(), v -> "made"));
        for (PatternType pattern : List.of(PatternType.LITERAL, PatternType.PREFIXED, PatternType.MATCH, PatternType.ANY)) {
            AclBindingFilter filter = new AclBindingFilter(new ResourcePatternFilter(ResourceType.TOPIC, topic, pattern), AccessControlEntryFilter.ANY);
            trace.until("describe " + pattern, () -> admin.describeAcls(filter).values().get().stream().map(Object::toString)
                .filter(a -> a.contains(topic)).sorted().toList(), told -> !site.user.equals("alice") || !told.isEmpty());
        }
        trace.call("delete", () -> {
            Map<String, String> out = new TreeMap<>();
            var filters = List.of(acls.get(0).toFilter(), acls.get(0).toFilter(), new AclBindingFilter(
                new ResourcePatternFilter(ResourceType.ANY, topic, PatternType.ANY), AccessControlEntryFilter.ANY),
                new AclBindingFilter(new ResourcePatternFilter(ResourceType.TOPIC, topic + "-none", PatternType.LITERAL), AccessControlEntryFilter.ANY));
            admin.deleteAcls(filters).values().forEach((f, future) -> out.put(f.toString(), Site.one(future, r ->
                r.values().stream().map(v -> v.exception() == null ? v.binding().toString() : Trace.describe(v.exception())).sorted().toList())));
            return out;
        });
        trace.until("describe what is left", () -> admin.describeAcls(AclBindingFilter.ANY).values().get().stream()
            .map(Object::toString).filter(a -> a.contains(topic)).sorted().toList(), List::isEmpty);
    }

    private static AclBinding acl(ResourceType type, String name, PatternType pattern, String principal, String host,
        AclOperation operation, AclPermissionType permission) {
        return new AclBinding(new ResourcePattern(type, name, pattern), new AccessControlEntry(principal, host, operation, permission));
    }
}
