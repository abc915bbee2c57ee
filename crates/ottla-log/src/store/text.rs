//! The shape of our own small text files: lines, then a line with the CRC-32 of all before it.

const CRC: &str = "crc=";

/// Closes `text` with its checksum.
pub(super) fn seal(mut text: String) -> Vec<u8> {
    let closing = closing(&text);
    text.push_str(&closing);
    text.into_bytes()
}

/// The text that [`seal`] closed.
///
/// # Errors
/// What is wrong with it.
pub(super) fn unseal(bytes: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let line = text
        .strip_suffix('\n')
        .ok_or("it does not end with a line")?;
    let start = line.rfind('\n').map_or(0, |at| at + 1);
    let (body, last) = text.split_at_checked(start).ok_or("it has no checksum")?;
    if !last.starts_with(CRC) {
        return Err("it has no checksum");
    }
    // As it is written, to the last digit: another case of a letter is a flipped bit, too.
    if last == closing(body) {
        Ok(body)
    } else {
        Err("it does not match its checksum")
    }
}

/// The line that closes `text`.
fn closing(text: &str) -> String {
    format!("{CRC}{:08x}\n", crc32fast::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_text_reads_back_and_no_flipped_bit_passes() {
        let sealed = seal("a=1\nb=2\n".to_owned());
        assert_eq!(unseal(&sealed), Ok("a=1\nb=2\n"));
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(&bad).is_err(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(unseal(&sealed[..len]).is_err(), "cut at {len}");
        }
    }
}
