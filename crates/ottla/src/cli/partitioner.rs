//! Which partition a key belongs to, as Kafka's own clients decide it: murmur2 of the key's bytes
//! (KIP-480 and the Java client's default partitioner).

/// The partition of `key` among `count` (1 or more).
pub(crate) fn partition_for(key: &[u8], count: i32) -> i32 {
    assert!(count > 0, "a topic has at least one partition, not {count}");
    (murmur2(key) & 0x7fff_ffff) % count
}

/// MurmurHash2, 32 bits, with the seed that Kafka uses.
fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // The algorithm takes the length modulo 2^32.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low 32 bits are what is hashed"
    )]
    let mut hash = SEED ^ (data.len() as u32);
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> R)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        // Answers of org.apache.kafka.common.utils.Utils.murmur2 in kafka-clients 4.3.1.
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn every_partition_is_in_range() {
        for n in 0..100_u32 {
            assert!((0..7).contains(&partition_for(&n.to_be_bytes(), 7)));
        }
    }
}
