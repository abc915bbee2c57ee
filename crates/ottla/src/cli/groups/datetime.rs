//! Times as `--to-datetime` takes them, in milliseconds since 1970.

/// Reads `YYYY-MM-DDTHH:MM:SS[.mmm]`, with `Z` or `+HH:MM` behind it or in UTC; `None` for what is
/// no such time.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let (time, offset_minutes) = split_zone(time)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, millis) = match time.split_once('.') {
        Some((time, fraction)) => (time, parse_millis(fraction)?),
        None => (time, 0),
    };
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let in_range = (1..=days_in(year, month)?).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    let minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    in_range.then_some((minutes * 60 + second) * 1000 + millis)
}

/// The time without its zone, and how many minutes the zone is ahead of UTC.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = time.split_at_checked(at)?;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some((time, sign * (hours * 60 + minutes)))
}

/// Exactly `N` numbers of so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (place, digits) in found.iter_mut().zip(digits) {
        *place = number(parts.next()?, digits)?;
    }
    parts.next().is_none().then_some(found)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn parse_millis(fraction: &str) -> Option<i64> {
    (1..=3).contains(&fraction.len()).then_some(())?;
    let scale = [100, 10, 1].get(fraction.len() - 1)?;
    Some(number(fraction, fraction.len())? * scale)
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> Option<i64> {
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => return None,
    })
}

/// By the count of leap days up to March 1st, which begins the year here.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_months = (153 * month + 2) / 5;
    365 * year + leap_days + of_months + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, millis) in [
            ("1970-01-01T00:00:00", 0),
            ("1970-01-01T00:00:00.5", 500),
            ("2000-02-29T12:00:00Z", 951_825_600_000),
            ("2026-01-31T08:00:00.123", 1_769_846_400_123),
            ("2026-01-31T08:00:00.123+02:00", 1_769_839_200_123),
            ("1969-12-31T23:59:59.999", -1),
            ("2100-03-01T00:00:00-00:30", 4_107_544_200_000),
        ] {
            assert_eq!(parse(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-02-29T00:00:00",
            "2026-13-01T00:00:00",
            "2026-01-00T00:00:00",
            "2026-01-31T24:00:00",
            "2026-1-31T00:00:00",
            "2026-01-31T00:00",
            "2026-01-31T00:00:00.1234",
            "2026-01-31T00:00:00.",
            "2026-01-31T00:00:00+2",
            "+026-01-31T00:00:00",
            "2026-01-31T00:00:00Zz",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
