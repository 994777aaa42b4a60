//! Messages made from the schema: every field of the version, null, empty, extreme, with and without tags.

use bytes::Bytes;
use kordon::model::TopicId;
use kordon::wire::schema::{Initial, Kind, MessageDef, StructDef};
use kordon::wire::stream::{Event, StreamWalker};
use kordon::wire::{Api, Field, Node, Rope, Value, WireError, apis, encode};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// One message: an API, a direction, a version.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) api: &'static Api,
    pub(crate) response: bool,
    pub(crate) version: i16,
}

impl Subject {
    pub(crate) fn def(self) -> &'static MessageDef {
        if self.response { self.api.response } else { self.api.request }
    }

    pub(crate) fn write(self, message: &Node) -> Bytes {
        let mut out = Rope::new();
        encode(self.def(), self.version, message, &mut out);
        out.into_bytes()
    }

    /// Reads a body as it comes, in pieces of so many bytes, to its end.
    pub(crate) fn stream(self, body: &[u8], piece: usize) -> Result<(), WireError> {
        let mut walker = StreamWalker::new(self.def(), self.version, body.len())?;
        let mut last = None;
        // An empty body is one empty piece.
        for mut rest in body.chunks(piece).chain(body.is_empty().then_some(body)) {
            loop {
                let progress = walker.feed(rest)?;
                assert!(progress.used <= rest.len());
                rest = &rest[progress.used..];
                if progress.event.is_none() {
                    break;
                }
                last = progress.event;
            }
        }
        assert_eq!(last, Some(Event::End));
        Ok(())
    }
}

/// Every API in every version, both directions.
pub(crate) fn subjects() -> Vec<Subject> {
    let mut all = Vec::new();
    for api in apis() {
        for version in api.versions.iter() {
            all.push(Subject { api, response: false, version });
            all.push(Subject { api, response: true, version });
        }
    }
    assert!(all.len() > 500, "{}", all.len());
    all
}

/// How a message is filled.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Every field has its default.
    Defaults,
    /// Null wherever null may be, empty elsewhere.
    Nulls,
    /// Two elements in each array, every tag.
    Full,
    /// The extremes of each type, every tag.
    Extremes,
    /// By chance.
    Random,
}

/// The styles that are always tried.
pub(crate) const STYLES: [Style; 4] = [Style::Defaults, Style::Nulls, Style::Full, Style::Extremes];

/// A message of this version.
pub(crate) fn message(subject: Subject, style: Style, seed: u64) -> Node {
    let mut maker = Maker { rng: StdRng::seed_from_u64(seed), style, version: subject.version };
    maker.node(subject.def().root)
}

struct Maker {
    rng: StdRng,
    style: Style,
    version: i16,
}

impl Maker {
    fn node(&mut self, def: &'static StructDef) -> Node {
        let mut node = Node::new(def);
        for (field, spec) in def.fields() {
            if !spec.versions.contains(self.version) || self.style == Style::Defaults {
                // What the wire can carry: null only where the version has it.
                if spec.initial == Initial::Null
                    && !spec.nullable.contains(self.version)
                    && spec.versions.contains(self.version)
                {
                    node.set(field, self.zero(&spec.kind));
                }
                continue;
            }
            let tagged = spec.tag.is_some_and(|(_, versions)| versions.contains(self.version));
            if tagged && self.style == Style::Random && self.rng.random() {
                continue;
            }
            let nullable = spec.nullable.contains(self.version);
            let null = nullable
                && match self.style {
                    Style::Nulls => true,
                    Style::Random => self.rng.random_ratio(1, 4),
                    Style::Defaults | Style::Full | Style::Extremes => false,
                };
            let value = if null { Value::Null } else { self.value(&spec.kind) };
            node.set(field, value);
        }
        node
    }

    fn zero(&mut self, kind: &'static Kind) -> Value {
        let style = std::mem::replace(&mut self.style, Style::Nulls);
        let value = self.value(kind);
        self.style = style;
        value
    }

    fn elements(&mut self) -> usize {
        match self.style {
            Style::Defaults | Style::Nulls => 0,
            Style::Full => 2,
            Style::Extremes => 1,
            Style::Random => self.rng.random_range(0..4),
        }
    }

    fn int(&mut self, low: i64, high: i64) -> Value {
        Value::Int(match self.style {
            Style::Defaults | Style::Nulls => 0,
            Style::Extremes => {
                if self.rng.random() {
                    low
                } else {
                    high
                }
            }
            Style::Full | Style::Random => {
                let any = self.rng.random::<i64>() >> self.rng.random_range(0..63);
                if (low..=high).contains(&any) { any } else { low + any.rem_euclid(100) }
            }
        })
    }

    fn value(&mut self, kind: &'static Kind) -> Value {
        match kind {
            Kind::Bool => {
                Value::Bool(!matches!(self.style, Style::Nulls) && (self.style == Style::Extremes || self.rng.random()))
            }
            Kind::I8 => self.int(i8::MIN.into(), i8::MAX.into()),
            Kind::I16 => self.int(i16::MIN.into(), i16::MAX.into()),
            Kind::U16 => self.int(0, u16::MAX.into()),
            Kind::I32 => self.int(i32::MIN.into(), i32::MAX.into()),
            Kind::U32 => self.int(0, u32::MAX.into()),
            Kind::I64 => self.int(i64::MIN, i64::MAX),
            Kind::F64 => Value::F64(if self.style == Style::Extremes { f64::MIN_POSITIVE } else { self.rng.random() }),
            Kind::Uuid if self.style == Style::Nulls => Value::Uuid(TopicId::ZERO),
            Kind::Uuid => Value::Uuid(TopicId(self.rng.random())),
            Kind::Str => Value::from(self.text()),
            Kind::Bytes | Kind::Records => {
                let len = match self.style {
                    Style::Defaults | Style::Nulls => 0,
                    Style::Extremes => 3000,
                    Style::Full | Style::Random => self.rng.random_range(0..40),
                };
                Value::Bytes((0..len).map(|_| self.rng.random::<u8>()).collect())
            }
            Kind::Struct(def) => self.node(def).into(),
            Kind::Array(Kind::Struct(def)) => Value::Nodes((0..self.elements()).map(|_| self.node(def)).collect()),
            Kind::Array(item @ (Kind::Str | Kind::Uuid)) => {
                Value::Array((0..self.elements()).map(|_| self.value(item)).collect())
            }
            Kind::Array(item) => Value::Ints(
                (0..self.elements())
                    .map(|_| match self.value(item) {
                        Value::Int(number) => number,
                        other => panic!("{other:?} in an array of {item:?}"),
                    })
                    .collect(),
            ),
        }
    }

    fn text(&mut self) -> String {
        let len = match self.style {
            Style::Defaults | Style::Nulls => 0,
            // Kafka's longest, now and then; otherwise long enough for a length of two bytes.
            Style::Extremes if self.rng.random_ratio(1, 40) => return "x".repeat(32_767),
            Style::Extremes => 200,
            Style::Full | Style::Random => self.rng.random_range(0..12),
        };
        (0..len)
            .map(|_| if self.rng.random_ratio(1, 8) { '\u{1F980}' } else { self.rng.random_range('!'..='~') })
            .collect()
    }
}

/// The field names on the way to the first difference of two messages.
pub(crate) fn difference(a: &Node, b: &Node) -> Option<String> {
    for (field, spec) in a.def().fields() {
        if a.value(field) != b.value(field) {
            let inner = a.nodes(field).iter().zip(b.nodes(field)).find_map(|(a, b)| difference(a, b));
            let detail = || format!("{:?} and {:?}", shown(a, field), shown(b, field));
            return Some(format!("{}.{}", spec.name, inner.unwrap_or_else(detail)));
        }
    }
    None
}

fn shown(node: &Node, field: Field) -> String {
    let mut text = format!("{:?}", node.value(field));
    text.truncate(text.floor_char_boundary(200));
    text
}
