//! A trace line of each API in the table, in each version, with the topics that it carries.

use ottla_log::{Offset, TopicName};
use ottla_partition::metadata::{MetadataRecord, TopicRecord};
use ottla_protocol::api::{APIS, Api};
use ottla_protocol::shape::{Kind, Shape};
use ottla_protocol::{Checked, RequestHeader};

use super::*;

const ID: [u8; 16] = [7; 16];

/// Fills in a message so that all its texts are the same, all its ids are [`ID`], and what is about
/// resources is about topics.
struct Writer<'a> {
    version: i16,
    flexible: bool,
    /// How many elements an array has that is in no other.
    elements: u64,
    text: &'a str,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn fields(&mut self, shape: &Shape, depth: u32) {
        let version = self.version;
        let here = shape.fields.iter().filter(|field| field.is_in(version));
        for field in here.filter(|field| field.tag.is_none()) {
            match (field.name, field.kind) {
                ("resource_type" | "ResourceType", Kind::Fixed(1)) => self.out.push(2),
                _ => self.value(field.kind, depth),
            }
        }
        if self.flexible {
            self.out.push(0);
        }
    }

    fn value(&mut self, kind: Kind, depth: u32) {
        match kind {
            Kind::Fixed(16) => self.out.extend_from_slice(&ID),
            Kind::Fixed(bytes) => self.out.extend(vec![0; bytes]),
            Kind::String if self.flexible => self.text(1),
            Kind::String => self.text(2),
            Kind::Bytes => self.length(0),
            Kind::Struct(shape) => self.fields(shape, depth),
            Kind::Maybe(shape) => {
                self.out.push(1);
                self.fields(shape, depth);
            }
            Kind::Array(element) => {
                let count = if depth == 0 { self.elements } else { 1 };
                self.length(count);
                (0..count).for_each(|_| self.value(element.kind, depth + 1));
            }
        }
    }

    fn text(&mut self, width: usize) {
        let len = self.text.len();
        match width {
            1 => self.length(len as u64),
            _ => self
                .out
                .extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes()),
        }
        self.out.extend_from_slice(self.text.as_bytes());
    }

    fn length(&mut self, length: u64) {
        if !self.flexible {
            let length = u32::try_from(length).unwrap();
            return self.out.extend_from_slice(&length.to_be_bytes());
        }
        let mut value = length + 1;
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}

fn request(api: &Api, version: i16, elements: u64, text: &str) -> (RequestHeader, Request) {
    let mut writer = Writer {
        version,
        flexible: api.is_flexible(version),
        elements,
        text,
        out: Vec::new(),
    };
    writer.fields(api.request, 0);
    let header = RequestHeader {
        api_key: api.key,
        api_version: version,
        correlation_id: 1,
        client_id: None,
    };
    let checked = Checked::new(&header, writer.out.into());
    let request = checked.and_then(Checked::decode);
    (
        header,
        request.unwrap_or_else(|e| panic!("{} v{version}: {e}", api.name())),
    )
}

/// What names topics in requests, by the table of fields: whichever API comes next has to be told
/// about, too.
fn carries_topics(shape: &Shape, version: i16) -> bool {
    let here = shape.fields.iter().filter(|field| field.is_in(version));
    here.into_iter().any(|field| {
        let name = field.name.to_lowercase();
        let is_topic = name.contains("topic") && !name.contains("allow");
        is_topic || name.contains("resource") || within(field.kind, version)
    })
}

fn within(kind: Kind, version: i16) -> bool {
    match kind {
        Kind::Struct(shape) | Kind::Maybe(shape) => carries_topics(shape, version),
        Kind::Array(element) => within(element.kind, version),
        Kind::Fixed(_) | Kind::String | Kind::Bytes => false,
    }
}

/// These name kinds of resources, of which topics are one, or filters: no topic by itself.
const FILTERS: [ApiKey; 4] = [
    ApiKey::ListConfigResources,
    ApiKey::DescribeAcls,
    ApiKey::CreateAcls,
    ApiKey::DeleteAcls,
];

/// The members of a group say in bytes of their own which topics they want.
fn requests(
    elements: u64,
    text: &'static str,
) -> impl Iterator<Item = (&'static Api, i16, RequestHeader, Request)> {
    let all = APIS.iter().filter(|api| !FILTERS.contains(&api.key));
    let all = all.flat_map(|api| api.versions.clone().map(move |version| (api, version)));
    all.map(move |(api, version)| {
        let (header, request) = request(api, version, elements, text);
        (api, version, header, request)
    })
}

fn image() -> Image {
    let topic = MetadataRecord::Topic(TopicRecord {
        name: TopicName::new("orders").unwrap(),
        topic_id: ottla_log::TopicId::from_bytes(ID),
    });
    Image::new("cluster")
        .replay(Offset::new(1), &[topic])
        .unwrap()
}

#[derive(Debug, Default)]
struct Lines(parking_lot::Mutex<Vec<RequestLine>>);

impl RequestTrace for Lines {
    fn answered(&self, line: &RequestLine) {
        self.0.lock().push(line.clone());
    }
}

fn line(header: &RequestHeader, request: &Request, image: &Image) -> RequestLine {
    let lines = Arc::new(Lines::default());
    let to: Arc<dyn RequestTrace> = Arc::clone(&lines) as _;
    let client: Arc<str> = Arc::from("client");
    let head = [header.api_key.key(), header.api_version].map(i16::to_be_bytes);
    let mut trace = Trace::new(&to, &head.concat(), Instant::now());
    trace.of(Some(&client));
    trace.asks(request, image);
    trace.done(ErrorCode::None);
    let mut lines = lines.0.lock();
    lines.pop().expect("it was told")
}

#[test]
fn each_api_that_carries_topics_names_them() {
    let (image, mut named, mut silent) = (image(), std::collections::BTreeSet::new(), Vec::new());
    for (api, version, header, request) in requests(3, "orders") {
        let line = line(&header, &request, &image);
        let expected = match carries_topics(api.request, version) {
            true => (Some("orders".to_owned()), 3),
            false => (None, 0),
        };
        if (line.topic.clone(), line.topics) != expected {
            silent.push(format!("{} v{version}: {line}", api.name()));
        } else if line.topics > 0 {
            named.insert(api.name());
            let shown = format!("\"client\" {} v{version} orders (+2) NONE ", api.name());
            assert!(line.to_string().starts_with(&shown), "{line}");
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
    assert!(named.len() >= 19, "{named:?}");
}

/// An id of no topic is shown as it is, also for who asks by id alone.
#[test]
fn an_unknown_id_is_shown() {
    let image = Image::new("cluster");
    let mut by_id = 0;
    for (_, _, header, request) in requests(1, "") {
        let line = line(&header, &request, &image);
        if line.topics > 0 {
            let id = ottla_log::TopicId::from_bytes(ID).to_string();
            by_id += i32::from(line.topic.as_deref() == Some(&*id));
        }
    }
    assert!(by_id > 10, "{by_id} versions of requests name topics by id");
}

/// A name of 30,000 signs that would end the line, or colour it.
#[test]
fn hostile_names_are_escaped_and_cut() {
    let text: &'static str = "../x\n\r\u{1b}[31m\u{202e}\"\0".repeat(2000).leak();
    let image = image();
    let mut escaped = 0;
    for (_, _, header, request) in requests(1, text) {
        let line = line(&header, &request, &image);
        let shown = line.to_string();
        assert!(shown.len() < 2000, "{} bytes", shown.len());
        let is_plain = |c: char| (' '..='~').contains(&c);
        assert!(shown.chars().all(is_plain), "{shown}");
        escaped += i32::from(shown.contains(r#"../x\n\r\u{1b}[31m\u{202e}\"\0"#));
    }
    assert!(escaped > 40, "{escaped} versions of requests have names");
}

/// However many topics a request names, its line names one of them, and how many there are.
#[test]
fn many_topics_make_no_long_line() {
    const MANY: u64 = 2000;
    let image = image();
    let mut seen = 0;
    for (_, _, header, request) in requests(MANY, "orders") {
        let line = line(&header, &request, &image);
        if line.topics == 0 {
            continue;
        }
        seen += 1;
        assert_eq!(line.topics, MANY as usize, "{line}");
        assert!(line.to_string().contains("orders (+1999) "), "{line}");
        assert!(line.to_string().len() < 120, "{line}");
    }
    assert!(seen > 40, "{seen} versions of requests");
}
