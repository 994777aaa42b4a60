//! Two other codecs as oracles, on every message that they know: `kafka-protocol` and `kafka-wire`.
//!
//! They differ from ours in strictness on purpose, so only messages that Kafka itself would send are compared.

use crate::java::name;
use crate::messages::{STYLES, Style, Subject, message, subjects};
use crate::say;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use kafka_wire::{KafkaMessage, KafkaRequest, KafkaResponse};
use kafka_wire_core::{ApiVersion, DecodeLimits};
use std::collections::BTreeSet;

const RANDOM: u64 = 4;

/// Every subject in every style, as bytes.
fn each(mut check: impl FnMut(Subject, &str, Bytes)) {
    for subject in subjects() {
        for (style, seed) in STYLES.into_iter().zip(0..).chain((0..RANDOM).map(|seed| (Style::Random, seed))) {
            let what = format!("{} {style:?} seed {seed}", name(subject));
            check(subject, &what, subject.write(&message(subject, style, seed)));
        }
    }
}

/// Reads and writes a message with `kafka-protocol`; none if it does not know it.
fn by_kafka_protocol(subject: Subject, bytes: &Bytes) -> Option<Result<Bytes, String>> {
    let key = ApiKey::try_from(subject.api.key.0).ok()?;
    let known = key.valid_versions();
    if subject.version < known.min || subject.version > known.max {
        return None;
    }
    let (mut rest, mut out) = (bytes.clone(), BytesMut::new());
    let result = if subject.response {
        ResponseKind::decode(key, &mut rest, subject.version).and_then(|m| m.encode(&mut out, subject.version))
    } else {
        RequestKind::decode(key, &mut rest, subject.version).and_then(|m| m.encode(&mut out, subject.version))
    };
    let result = result.map_err(|e| format!("{e:#}"));
    if result.as_ref().is_err_and(|error| error.contains("specified version not supported")) {
        return None;
    }
    Some(result.and_then(|()| if rest.is_empty() { Ok(out.freeze()) } else { Err(format!("{} left", rest.len())) }))
}

#[test]
fn kafka_protocol_agrees_on_every_message_it_knows() {
    // `InitProducerId` 6, `OffsetCommit` and `OffsetFetch` 10: in its lists, but not in its code.
    compare("kafka-protocol", by_kafka_protocol, &[]);
}

/// Compares every message that the other codec knows. In the messages of `waived` it is known to be wrong; a message
/// that stands there and agrees fails.
fn compare(other: &str, read_and_write: impl Fn(Subject, &Bytes) -> Option<Result<Bytes, String>>, waived: &[&str]) {
    let (mut compared, mut apis) = (0, BTreeSet::new());
    let (mut wrong, mut waivers_used) = (Vec::new(), BTreeSet::new());
    each(|subject, what, ours| {
        let problem = match read_and_write(subject, &ours) {
            None => return,
            Some(Ok(theirs)) if theirs == ours => {
                compared += 1;
                apis.insert(subject.api.key);
                return;
            }
            Some(Ok(_)) => "written differently".to_owned(),
            Some(Err(error)) => error,
        };
        match waived.iter().find(|waived| **waived == name(subject)) {
            Some(waived) => {
                waivers_used.insert(*waived);
            }
            None => wrong.push(format!("{what}: {problem}")),
        }
    });
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{other} differs: {wrong:#?}");
    assert_eq!(waivers_used.len(), waived.len(), "{other} is right where it was wrong: {waived:?}");
    say(format!("{other} agrees on {compared} messages of {} APIs", apis.len()));
    assert!(apis.len() > 80 && compared > 3000, "{other} knows {compared} messages of {} APIs", apis.len());
}

/// Reads and writes a message with `kafka-wire`; none if it does not know the version.
fn by_kafka_wire<M: KafkaMessage>(subject: Subject, bytes: &Bytes) -> Option<Result<Bytes, String>> {
    let version = ApiVersion::new(subject.version);
    if !M::supports(version) {
        return None;
    }
    let mut out = BytesMut::new();
    let read = M::decode_from_bytes(bytes.clone(), version, DecodeLimits::default()).map_err(|e| format!("{e:?}"));
    Some(read.and_then(|m| m.encode_into(&mut out, version).map_err(|e| format!("{e:?}"))).map(|_| out.freeze()))
}

macro_rules! kafka_wire {
    ($($request:ident, $response:ident;)*) => {
        fn kafka_wire(subject: Subject, bytes: &Bytes) -> Option<Result<Bytes, String>> {
            let key = subject.api.key.0;
            $(
                if !subject.response && key == <kafka_wire::$request as KafkaRequest>::API_KEY.value() {
                    return by_kafka_wire::<kafka_wire::$request>(subject, bytes);
                }
                if subject.response && key == <kafka_wire::$response as KafkaResponse>::API_KEY.value() {
                    return by_kafka_wire::<kafka_wire::$response>(subject, bytes);
                }
            )*
            None
        }
    };
}

kafka_wire! {
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse;
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse;
    AddRaftVoterRequest, AddRaftVoterResponse;
    AllocateProducerIdsRequest, AllocateProducerIdsResponse;
    AlterClientQuotasRequest, AlterClientQuotasResponse;
    AlterConfigsRequest, AlterConfigsResponse;
    AlterPartitionRequest, AlterPartitionResponse;
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
    AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse;
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse;
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse;
    ApiVersionsRequest, ApiVersionsResponse;
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse;
    BeginQuorumEpochRequest, BeginQuorumEpochResponse;
    BrokerHeartbeatRequest, BrokerHeartbeatResponse;
    BrokerRegistrationRequest, BrokerRegistrationResponse;
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse;
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse;
    ControllerRegistrationRequest, ControllerRegistrationResponse;
    CreateAclsRequest, CreateAclsResponse;
    CreateDelegationTokenRequest, CreateDelegationTokenResponse;
    CreatePartitionsRequest, CreatePartitionsResponse;
    CreateTopicsRequest, CreateTopicsResponse;
    DeleteAclsRequest, DeleteAclsResponse;
    DeleteGroupsRequest, DeleteGroupsResponse;
    DeleteRecordsRequest, DeleteRecordsResponse;
    DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse;
    DeleteShareGroupStateRequest, DeleteShareGroupStateResponse;
    DeleteTopicsRequest, DeleteTopicsResponse;
    DescribeAclsRequest, DescribeAclsResponse;
    DescribeClientQuotasRequest, DescribeClientQuotasResponse;
    DescribeClusterRequest, DescribeClusterResponse;
    DescribeConfigsRequest, DescribeConfigsResponse;
    DescribeDelegationTokenRequest, DescribeDelegationTokenResponse;
    DescribeGroupsRequest, DescribeGroupsResponse;
    DescribeLogDirsRequest, DescribeLogDirsResponse;
    DescribeProducersRequest, DescribeProducersResponse;
    DescribeQuorumRequest, DescribeQuorumResponse;
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse;
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
    DescribeTransactionsRequest, DescribeTransactionsResponse;
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse;
    ElectLeadersRequest, ElectLeadersResponse;
    EndQuorumEpochRequest, EndQuorumEpochResponse;
    EndTxnRequest, EndTxnResponse;
    EnvelopeRequest, EnvelopeResponse;
    ExpireDelegationTokenRequest, ExpireDelegationTokenResponse;
    FetchRequest, FetchResponse;
    FetchSnapshotRequest, FetchSnapshotResponse;
    FindCoordinatorRequest, FindCoordinatorResponse;
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse;
    HeartbeatRequest, HeartbeatResponse;
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    InitProducerIdRequest, InitProducerIdResponse;
    InitializeShareGroupStateRequest, InitializeShareGroupStateResponse;
    JoinGroupRequest, JoinGroupResponse;
    LeaveGroupRequest, LeaveGroupResponse;
    ListConfigResourcesRequest, ListConfigResourcesResponse;
    ListGroupsRequest, ListGroupsResponse;
    ListOffsetsRequest, ListOffsetsResponse;
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
    ListTransactionsRequest, ListTransactionsResponse;
    MetadataRequest, MetadataResponse;
    OffsetCommitRequest, OffsetCommitResponse;
    OffsetDeleteRequest, OffsetDeleteResponse;
    OffsetFetchRequest, OffsetFetchResponse;
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    ProduceRequest, ProduceResponse;
    PushTelemetryRequest, PushTelemetryResponse;
    ReadShareGroupStateRequest, ReadShareGroupStateResponse;
    ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryResponse;
    RemoveRaftVoterRequest, RemoveRaftVoterResponse;
    RenewDelegationTokenRequest, RenewDelegationTokenResponse;
    SaslAuthenticateRequest, SaslAuthenticateResponse;
    SaslHandshakeRequest, SaslHandshakeResponse;
    ShareAcknowledgeRequest, ShareAcknowledgeResponse;
    ShareFetchRequest, ShareFetchResponse;
    ShareGroupDescribeRequest, ShareGroupDescribeResponse;
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse;
    StreamsGroupDescribeRequest, StreamsGroupDescribeResponse;
    StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse;
    StreamsGroupTopologyDescriptionUpdateRequest, StreamsGroupTopologyDescriptionUpdateResponse;
    SyncGroupRequest, SyncGroupResponse;
    TxnOffsetCommitRequest, TxnOffsetCommitResponse;
    UnregisterBrokerRequest, UnregisterBrokerResponse;
    UpdateFeaturesRequest, UpdateFeaturesResponse;
    UpdateRaftVoterRequest, UpdateRaftVoterResponse;
    VoteRequest, VoteResponse;
    WriteShareGroupStateRequest, WriteShareGroupStateResponse;
    WriteTxnMarkersRequest, WriteTxnMarkersResponse;
}

#[test]
fn kafka_wire_agrees_on_every_message_it_knows() {
    // It was made from a commit before 4.4.0, when `AssignorName` was not there yet.
    compare("kafka-wire", kafka_wire, &["StreamsGroupDescribe response v1"]);
}
