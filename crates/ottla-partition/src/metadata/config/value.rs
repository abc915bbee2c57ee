//! Values of configuration keys: read from text and written back as Kafka does.

use std::collections::BTreeSet;

use super::def::ConfigKind;

/// A value, read.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// Nobody set one and there is no default.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A 16-bit, 32-bit or 64-bit number; the key's type has bounded it.
    Number(i64),
    /// A floating-point number.
    Double(f64),
    /// A text, a class name or a secret.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// Why a value is refused. The text is Kafka's, which tools show as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(pub(super) String);

impl InvalidConfig {
    /// `value` is not allowed for `name`, for the reason `why`.
    pub(super) fn value(name: &str, value: &str, why: &str) -> Self {
        Self(format!(
            "Invalid value {value} for configuration {name}: {why}"
        ))
    }
}

impl ConfigValue {
    /// Reads `text` as a value of the type `kind`.
    pub(super) fn parse(name: &str, kind: ConfigKind, text: &str) -> Result<Self, InvalidConfig> {
        let trimmed = trim(text);
        let not_a_number = || {
            let why = format!("Not a number of type {}", kind.name());
            InvalidConfig::value(name, text, &why)
        };
        match kind {
            ConfigKind::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Self::Boolean(true)),
            ConfigKind::Boolean if trimmed.eq_ignore_ascii_case("false") => {
                Ok(Self::Boolean(false))
            }
            ConfigKind::Boolean => {
                let why = "Expected value to be either true or false";
                Err(InvalidConfig::value(name, text, why))
            }
            ConfigKind::Short => integer::<i16>(trimmed).ok_or_else(not_a_number),
            ConfigKind::Int => integer::<i32>(trimmed).ok_or_else(not_a_number),
            ConfigKind::Long => integer::<i64>(trimmed).ok_or_else(not_a_number),
            ConfigKind::Double => double(trimmed).map(Self::Double).ok_or_else(not_a_number),
            ConfigKind::String | ConfigKind::Class | ConfigKind::Password => {
                Ok(Self::Text(trimmed.to_owned()))
            }
            ConfigKind::List if trimmed.is_empty() => Ok(Self::List(Vec::new())),
            ConfigKind::List => Ok(Self::List(
                trimmed
                    .split(',')
                    .map(|item| trim(item).to_owned())
                    .collect(),
            )),
        }
    }

    /// Leaves the first of each of a list's entries.
    pub(super) fn drop_doubles(&mut self) {
        if let Self::List(items) = self {
            let mut seen = BTreeSet::new();
            items.retain(|item| seen.insert(item.clone()));
        }
    }

    /// The value as text in Kafka's one form, whatever form it was read from.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Boolean(value) => Some(value.to_string()),
            Self::Number(value) => Some(value.to_string()),
            Self::Double(value) => Some(java_double(*value)),
            Self::Text(value) => Some(value.clone()),
            Self::List(value) => Some(value.join(",")),
        }
    }

    /// The number, where it is one.
    #[must_use]
    pub const fn number(&self) -> Option<i64> {
        match self {
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// The boolean, where it is one.
    #[must_use]
    pub const fn boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The list, where it is one.
    #[must_use]
    pub fn list(&self) -> Option<&[String]> {
        match self {
            Self::List(value) => Some(value),
            _ => None,
        }
    }

    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The floating-point number, where it is one.
    #[must_use]
    pub const fn double(&self) -> Option<f64> {
        match self {
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }
}

/// What Java takes for white space around a value: every character up to the space.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// A decimal number with an optional sign; nothing else.
fn integer<T: std::str::FromStr + Into<i64>>(text: &str) -> Option<ConfigValue> {
    Some(ConfigValue::Number(text.parse::<T>().ok()?.into()))
}

/// A floating-point number as Java reads it, less the hexadecimal form: the words `NaN` and
/// `Infinity` in this spelling only, and a type suffix is allowed.
fn double(text: &str) -> Option<f64> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = unsigned
        .strip_suffix(['d', 'D', 'f', 'F'])
        .unwrap_or(unsigned);
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !begins || !digits.chars().all(plain) {
        return None;
    }
    digits.parse::<f64>().ok().map(|value| sign * value)
}

/// The text that Java gives a double: plain from 0.001 to 10 million, scientific beyond.
fn java_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: ConfigKind, text: &str) -> Option<String> {
        ConfigValue::parse("k", kind, text)
            .ok()
            .and_then(|value| value.to_text())
    }

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        use ConfigKind::{Double, Int, Long, Short};
        for (kind, text, expected) in [
            (Int, " +5\t", Some("5")),
            (Int, "-0", Some("0")),
            (Int, "2147483648", None),
            (Int, "1_000", None),
            (Int, "0x10", None),
            (Int, "", None),
            (Int, "5.0", None),
            (Short, "32768", None),
            (Long, "9223372036854775807", Some("9223372036854775807")),
            (Double, ".5", Some("0.5")),
            (Double, "5.", Some("5.0")),
            (Double, "1e7", Some("1.0E7")),
            (Double, "12345678.5", Some("1.23456785E7")),
            (Double, "0.0001", Some("1.0E-4")),
            (Double, "1d", Some("1.0")),
            (Double, "-Infinity", Some("-Infinity")),
            (Double, "inf", None),
            (Double, "nan", None),
            (Double, "1e", None),
            (Double, "--1", None),
            (Double, "", None),
        ] {
            assert_eq!(parsed(kind, text).as_deref(), expected, "{kind:?} {text:?}");
        }
        assert_eq!(java_double(f64::MAX), "1.7976931348623157E308");
    }

    #[test]
    fn texts_and_lists_are_trimmed() {
        use ConfigKind::{Boolean, List, String};
        for (kind, text, expected) in [
            (Boolean, " TRUE ", Some("true")),
            (Boolean, "yes", None),
            (String, " a b ", Some("a b")),
            (List, "", Some("")),
            (List, " a , b", Some("a,b")),
            (List, "a,,b,", Some("a,,b,")),
        ] {
            assert_eq!(parsed(kind, text).as_deref(), expected, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_value_as_it_was_given() {
        let error = ConfigValue::parse("retention.ms", ConfigKind::Long, " x ").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid value  x  for configuration retention.ms: Not a number of type LONG"
        );
    }
}
