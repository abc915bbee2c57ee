//! What is known of one configuration key.

use super::check;
use super::value::{ConfigValue, InvalidConfig};

/// The definition of one key.
#[derive(Debug)]
pub struct ConfigDef {
    /// The key.
    pub name: &'static str,
    /// The type of its values.
    pub kind: ConfigKind,
    /// The value where nobody set one, as text; `None` where there is none.
    pub default: Option<&'static str>,
    /// Which values of the type are allowed.
    pub check: Check,
    /// Whether it may change while the broker runs.
    pub update: Update,
    /// Whether it does anything here.
    pub mark: Mark,
    /// What it is for.
    pub doc: &'static str,
}

/// The type of a key's values, with Kafka's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigKind {
    /// `true` or `false`, in any case.
    Boolean,
    /// Text.
    String,
    /// A 32-bit number.
    Int,
    /// A 16-bit number.
    Short,
    /// A 64-bit number.
    Long,
    /// A floating-point number.
    Double,
    /// Texts separated by commas.
    List,
    /// The name of a Java class: nothing that could be loaded here.
    Class,
    /// A secret; never shown.
    Password,
}

impl ConfigKind {
    /// The type's code in a `DescribeConfigs` answer.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// Kafka's name of the type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// Which values of a type are allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// All of them.
    Any,
    /// Numbers from here on.
    AtLeast(i64),
    /// Numbers within these two, both allowed.
    Between(i64, i64),
    /// Fractions from 0 to 1.
    Fraction,
    /// -1 (the codec's own default) or 1 to 9.
    GzipLevel,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, in any case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list of these texts; one that comes twice counts once.
    ListOf(&'static [&'static str]),
    /// A list of any texts but empty ones; one that comes twice counts once.
    Distinct,
    /// The same, with at least one entry.
    DistinctNonEmpty,
    /// A text of at least one character.
    NonEmpty,
    /// A list of `address:count`.
    AddressCounts,
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
    /// `earliest`, `latest`, or `by_duration:` and a duration as in ISO 8601.
    OffsetReset,
}

/// Whether a key may change while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// For one broker.
    PerBroker,
    /// For one broker or for all.
    ClusterWide,
}

/// Whether a key does anything here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The broker heeds it.
    Effective,
    /// It is accepted, kept and shown, but nothing here depends on it, for this reason.
    Reported(&'static str),
}

impl ConfigDef {
    /// Reads `text` as a value of this key.
    ///
    /// # Errors
    /// [`InvalidConfig`] where `text` is not of the key's type or not allowed; its text is Kafka's.
    pub fn parse(&self, text: &str) -> Result<ConfigValue, InvalidConfig> {
        let mut value = ConfigValue::parse(self.name, self.kind, text)?;
        if matches!(
            self.check,
            Check::ListOf(_) | Check::Distinct | Check::DistinctNonEmpty
        ) {
            value.drop_doubles();
        }
        check::check(self, &value)?;
        Ok(value)
    }

    /// The value where nobody set one.
    ///
    /// # Panics
    /// If the table has a default that its own key does not allow; a test reads all of them.
    #[must_use]
    pub fn default_value(&self) -> ConfigValue {
        self.default.map_or(ConfigValue::Null, |text| {
            ConfigValue::parse(self.name, self.kind, text).expect("a test parses every default")
        })
    }

    /// Whether the value must never be shown.
    #[must_use]
    pub const fn is_sensitive(&self) -> bool {
        matches!(self.kind, ConfigKind::Password)
    }
}
