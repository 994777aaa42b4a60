use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, rewritten};

const KEY: ApiKey = ApiKey::DELETE_RECORDS;
const DELETE_A: &str = r#"{ allow: [Delete], principals: ["User:alice"], resources: ["topic:a*"] }"#;

fn request(topics: &[(&str, &[i32])]) -> Node {
    let mut request = Node::request(KEY);
    for (name, partitions) in topics {
        let mut topic = Node::new(&req_topic::THIS).with(req_topic::NAME, *name);
        for index in *partitions {
            let partition = Node::new(&req_partition::THIS)
                .with(req_partition::PARTITION_INDEX, *index)
                .with(req_partition::OFFSET, 40i64);
            topic.push(req_topic::PARTITIONS, partition);
        }
        request.push(req::TOPICS, topic);
    }
    request
}

fn told(answer: &Node) -> Vec<(String, Vec<[i64; 3]>)> {
    let row = |p: &Node| {
        [res_partition::PARTITION_INDEX, res_partition::LOW_WATERMARK, res_partition::ERROR_CODE].map(|f| p.int(f))
    };
    let rows = |t: &Node| t.nodes(res_topic::PARTITIONS).iter().map(row).collect();
    answer.nodes(res::TOPICS).iter().map(|t| (t.str(res_topic::NAME).to_owned(), rows(t))).collect()
}

#[test]
fn each_topic_needs_delete() {
    for version in 0..=2 {
        let mut bench = Bench::acls(&[DELETE_A]);
        let asked = request(&[("b", &[0, 1]), ("a", &[5])]);
        let (sent, then) = rewritten(bench.judge(&DeleteRecords, KEY, version, &asked));
        assert_eq!(sent.nodes(req::TOPICS).len(), 1);
        let topic = Node::new(&res_topic::THIS).with(res_topic::NAME, "a");
        let broker = Node::response(KEY).with(res::TOPICS, vec![topic]);
        let told = told(&finished(bench.complete(then, KEY, version, &broker), KEY, version));
        assert_eq!(told, [("a".into(), vec![]), ("b".into(), vec![[0, -1, 29], [1, -1, 29]])]);
        assert!(matches!(forwarded(bench.judge(&DeleteRecords, KEY, version, &request(&[("a", &[1])]))), Then::Stream));
    }
}

#[test]
fn a_partition_named_twice_is_answered_once() {
    let mut bench = Bench::acls(&[]);
    let asked = request(&[("b", &[0, 0]), ("b", &[0, 1])]);
    let told = told(&answer(bench.judge(&DeleteRecords, KEY, 2, &asked), KEY, 2));
    assert_eq!(told, [("b".into(), vec![[0, -1, 29], [1, -1, 29]])]);
}

#[test]
fn threat_04_records_of_the_proxys_own_topics_stay() {
    let mut bench = Bench::acls(&[]).user("root");
    let verdict = bench.judge(&DeleteRecords, KEY, 2, &request(&[(STATE, &[0]), (AUDIT, &[0])]));
    assert_eq!(told(&answer(verdict, KEY, 2)).len(), 2);
    let arguments = bench.trail.arguments.as_deref().unwrap();
    assert!(arguments.contains(r#"{"index":0,"offset":40}"#), "{arguments}");
}
