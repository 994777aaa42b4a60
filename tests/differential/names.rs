//! What worlds are made of: names of their own, people, and what stands for ids that each cluster gives differently.

use kordon::model::TopicId;

use super::rng::Rng;

/// Who may ask; all have the password of [`password`]. `super` is a super user on both sides.
pub const PEOPLE: [&str; 4] = ["super", "alice", "bob", "carol"];

/// The password of a person.
pub fn password(name: &str) -> String {
    format!("{name}-secret")
}

/// Names of one world. Every world has its own, so that what one leaves behind is nothing to the next.
#[derive(Clone, Debug)]
pub struct Names {
    /// How all of them begin.
    pub prefix: String,
    /// Topics that exist when the world begins, with their numbers of partitions.
    pub topics: Vec<(String, i32)>,
    /// Topics that do not.
    pub missing: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// Transactional ids.
    pub transactions: Vec<String>,
}

impl Names {
    /// The names of world `n`.
    pub fn of(world: u64) -> Self {
        let p = format!("w{world}.");
        let own = |name: &str| format!("{p}{name}");
        Self {
            topics: vec![
                (own("orders"), 2),
                (own("orders-eu"), 1),
                (own("payroll"), 1),
                (own("pay"), 1),
                (own("logs"), 3),
                (own("secret"), 1),
            ],
            missing: vec![own("missing"), own("orders-new"), own("paid")],
            groups: vec![own("orders"), own("orders-eu"), own("g-one"), own("g-two"), own("audit")],
            transactions: vec![own("tx"), own("tx-two"), own("orders")],
            prefix: p,
        }
    }

    /// The topic that a placeholder id stands for.
    pub fn topic_of(&self, id: TopicId) -> Option<&str> {
        let index = placeholder(id)?;
        let all = self.topics.iter().map(|(name, _)| name).chain(&self.missing);
        all.map(String::as_str).chain(["__consumer_offsets"]).nth(index)
    }

    /// The id that stands for a topic in requests until it is known to which cluster they go.
    pub fn id(&self, name: &str) -> TopicId {
        let all = self.topics.iter().map(|(name, _)| name).chain(&self.missing);
        let index = all.map(String::as_str).chain(["__consumer_offsets"]).position(|n| n == name);
        TopicId([&MARK[..], &[index.expect("a topic of this world") as u8]].concat().try_into().expect("16 bytes"))
    }

    /// A name of a topic: most often one that exists, seldom one that nobody would give.
    pub fn topic(&self, rng: &mut Rng) -> String {
        let kind = rng.below(100);
        match kind {
            0..60 => rng.pick(&self.topics).0,
            60..76 => rng.pick(&self.missing),
            76..80 => rng.pick(&["__consumer_offsets", "__transaction_state", "__cluster_metadata"]).to_owned(),
            80..84 => rng.pick(&self.topics).0.to_uppercase(),
            84..88 => self.prefix.clone(),
            _ => self.odd(rng),
        }
    }

    /// A name that nobody would give.
    pub fn odd(&self, rng: &mut Rng) -> String {
        match rng.below(10) {
            0 | 1 => String::new(),
            2 | 3 => "*".to_owned(),
            4 => "..".to_owned(),
            5 => format!("{}bad name!", self.prefix),
            6 => format!("{}{}", self.prefix, "x".repeat(260)),
            7 => format!("{}größe", self.prefix),
            8 if rng.chance(20) => "*x".to_owned(),
            // It differs from one that exists in a dot alone: both cannot be.
            9 if rng.chance(60) => rng.pick(&self.topics).0.replacen('.', "_", 1),
            _ => "hardcode".to_owned(),
        }
    }

    /// A name of a group.
    pub fn group(&self, rng: &mut Rng) -> String {
        match rng.below(100) {
            0..80 => rng.pick(&self.groups),
            80..88 => format!("{}nobody", self.prefix),
            88..91 => self.prefix.clone(),
            _ => self.odd(rng),
        }
    }

    /// A transactional id.
    pub fn transaction(&self, rng: &mut Rng) -> String {
        match rng.below(100) {
            0..85 => rng.pick(&self.transactions),
            85..92 => format!("{}tx-none", self.prefix),
            92..94 => String::new(),
            // They stay for days: not a name that another world may have.
            _ => format!("{}{}", self.prefix, self.odd(rng)),
        }
    }

    /// An id of a topic: a placeholder, or one that no cluster has.
    pub fn topic_id(&self, rng: &mut Rng) -> TopicId {
        match rng.below(100) {
            0..74 => {
                let name = rng.pick(&self.topics).0;
                self.id(&name)
            }
            74..80 => {
                let name = rng.pick(&self.missing);
                self.id(&name)
            }
            80..83 => self.id("__consumer_offsets"),
            83..93 => UNKNOWN_ID,
            _ => TopicId::ZERO,
        }
    }
}

/// An id that no topic has.
pub const UNKNOWN_ID: TopicId = TopicId([0xab; 16]);

const MARK: [u8; 15] = *b"kordon-topic-id";

/// Whether an id stands for a topic of a world.
pub fn is_placeholder(id: TopicId) -> bool {
    placeholder(id).is_some()
}

fn placeholder(id: TopicId) -> Option<usize> {
    id.0.starts_with(&MARK).then(|| usize::from(id.0[15]))
}

/// Numbers that each cluster gives differently stand in requests as these, plus the number of a slot.
pub const SLOT_64: i64 = 0x6b6f_7264_0000_0000;
/// As [`SLOT_64`], in fields of 32 bits.
pub const SLOT_32: i64 = 0x7a00_0000;
/// As [`SLOT_64`], in fields of 16 bits.
pub const SLOT_16: i64 = 0x7a00;
/// More slots than there are.
pub const SLOTS: i64 = 64;

/// The slot that a number stands for.
pub fn slot(number: i64) -> Option<usize> {
    [SLOT_64, SLOT_32, SLOT_16]
        .into_iter()
        .find(|base| (*base..*base + SLOTS).contains(&number))
        .map(|base| (number - base) as usize)
}

/// The text that stands for the text in a slot.
pub fn text_slot(slot: usize) -> String {
    format!("‹{slot}›")
}
