//! The table of requests and responses, read from `schema.txt`.
//!
//! It is our own reading of the protocol, independent of the broker's codec, so that a mistake in
//! one of them shows. That every answer of Apache Kafka decodes to its last byte proves the table.
#![expect(
    clippy::panic,
    reason = "a mistake in the table or in a case ends the run"
)]

use std::{ops::RangeInclusive, sync::OnceLock};

use serde_json::Value;

const TEXT: &str = include_str!("schema.txt");

/// One API.
#[derive(Debug)]
pub struct Api {
    /// Its number on the wire.
    pub key: i16,
    /// Its name in Kafka's protocol guide.
    pub name: &'static str,
    /// The versions that Apache Kafka knows.
    pub versions: RangeInclusive<i16>,
    /// The first version with compact lengths and tagged fields.
    pub flexible: Option<i16>,
    /// The request's fields.
    pub request: Vec<Field>,
    /// The response's fields.
    pub response: Vec<Field>,
}

/// One field of a struct.
#[derive(Debug)]
pub struct Field {
    /// Its name, as Kafka has it.
    pub name: &'static str,
    /// The versions that carry it.
    pub versions: RangeInclusive<i16>,
    /// Its tag, when it is a tagged field.
    pub tag: Option<u32>,
    /// What it holds.
    pub kind: Kind,
    /// What a request holds when the field is not given.
    pub default: Value,
}

/// A field's type.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint16,
    Float64,
    String,
    Uuid,
    Bytes,
    Records,
    List(Box<Self>),
    Struct { fields: Vec<Field>, nullable: bool },
}

impl Api {
    /// The API called `name`.
    ///
    /// # Panics
    /// When the table has none: the caller is wrong.
    pub fn named(name: &str) -> &'static Self {
        let found = Self::all().iter().find(|api| api.name == name);
        found.unwrap_or_else(|| panic!("schema.txt has no API {name}"))
    }

    /// All APIs of the table, by key.
    pub fn all() -> &'static [Self] {
        static APIS: OnceLock<Vec<Api>> = OnceLock::new();
        APIS.get_or_init(|| Parser::new(TEXT).apis())
    }

    /// Whether `version` has compact lengths and tagged fields.
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible.is_some_and(|first| version >= first)
    }
}

/// Reads the table; anything it does not understand is a mistake in the table, and a panic.
struct Parser {
    tokens: Vec<&'static str>,
    next: usize,
}

impl Parser {
    fn new(text: &'static str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let tokens = lines
            .flat_map(|line| line.split([' ', ',']))
            .filter(|word| !word.is_empty());
        Self {
            tokens: tokens.collect(),
            next: 0,
        }
    }

    fn apis(mut self) -> Vec<Api> {
        let mut apis = Vec::new();
        while self.take_if("api") {
            let key = number(self.take());
            let name = self.take();
            let versions = range(self.take(), i16::MAX);
            let flexible = self.take_if("flexible").then(|| number(self.take()));
            assert!(self.take_if("request"), "{name} has no request");
            let request = self.fields(&versions);
            assert!(self.take_if("response"), "{name} has no response");
            let response = self.fields(&versions);
            apis.push(Api {
                key,
                name,
                versions,
                flexible,
                request,
                response,
            });
        }
        assert_eq!(self.peek(), "", "expected the next API");
        apis
    }

    fn fields(&mut self, parent: &RangeInclusive<i16>) -> Vec<Field> {
        let mut fields = Vec::new();
        while !matches!(self.peek(), "" | "api" | "request" | "response" | "}") {
            fields.push(self.field(parent));
        }
        fields
    }

    fn field(&mut self, parent: &RangeInclusive<i16>) -> Field {
        let name = self.take();
        let versions = if self
            .peek()
            .starts_with(|first: char| first.is_ascii_digit())
        {
            range(self.take(), *parent.end())
        } else {
            parent.clone()
        };
        let tag = self.take_if("tag").then(|| number(self.take()));
        let kind = self.take();
        let kind = self.kind(kind, &versions);
        let default = if self.take_if("=") {
            serde_json::from_str(self.take()).expect("a default is JSON")
        } else {
            kind.zero()
        };
        Field {
            name,
            versions,
            tag,
            kind,
            default,
        }
    }

    fn kind(&mut self, word: &str, versions: &RangeInclusive<i16>) -> Kind {
        if let Some(element) = word.strip_prefix("[]") {
            return Kind::List(Box::new(self.kind(element, versions)));
        }
        match word {
            "bool" => Kind::Bool,
            "int8" => Kind::Int8,
            "int16" => Kind::Int16,
            "int32" => Kind::Int32,
            "int64" => Kind::Int64,
            "uint16" => Kind::Uint16,
            "float64" => Kind::Float64,
            "string" => Kind::String,
            "uuid" => Kind::Uuid,
            "bytes" => Kind::Bytes,
            "records" => Kind::Records,
            "{" | "?{" => {
                let fields = self.fields(versions);
                assert!(
                    self.take_if("}"),
                    "a struct does not end before {}",
                    self.peek()
                );
                Kind::Struct {
                    fields,
                    nullable: word == "?{",
                }
            }
            other => panic!("schema.txt has no type {other}"),
        }
    }

    fn peek(&self) -> &'static str {
        self.tokens.get(self.next).copied().unwrap_or_default()
    }

    fn take(&mut self) -> &'static str {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn take_if(&mut self, wanted: &str) -> bool {
        let taken = self.peek() == wanted;
        self.next += usize::from(taken);
        taken
    }
}

impl Kind {
    fn zero(&self) -> Value {
        match self {
            Self::Bool => Value::from(false),
            Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64 | Self::Uint16 => Value::from(0),
            Self::Float64 => Value::from(0.0),
            Self::String => Value::from(""),
            Self::Uuid | Self::Bytes | Self::Records | Self::Struct { nullable: true, .. } => {
                Value::Null
            }
            Self::List(_) => Value::Array(Vec::new()),
            Self::Struct {
                nullable: false, ..
            } => Value::Object(serde_json::Map::new()),
        }
    }
}

fn number<N: std::str::FromStr>(word: &str) -> N {
    word.parse()
        .unwrap_or_else(|_| panic!("expected a number, found {word:?}"))
}

fn range(word: &str, last: i16) -> RangeInclusive<i16> {
    match word.strip_suffix('+') {
        Some(first) => number(first)..=last,
        None => {
            let (first, last) = word
                .split_once('-')
                .expect("versions are FIRST-LAST or FIRST+");
            number(first)..=number(last)
        }
    }
}
