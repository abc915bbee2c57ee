//! Chance, injected: ids and jitter come from here and from nowhere else.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where random bytes come from.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator, fit for ids that nobody shall guess.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// Where the operating system has no random bytes: a process that cannot draw an id must not
    /// go on.
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// The same bytes for the same seed and the same calls: SplitMix64 (Steele, Lea, Flood: Fast
/// splittable pseudorandom number generators, 2014), each word little-endian. A call that does not
/// end on a word drops the rest of its last one. For tests; it can be guessed.
#[derive(Debug)]
pub struct SeededEntropy {
    state: AtomicU64,
}

impl SeededEntropy {
    /// The generator for `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let words = bytes.len().div_ceil(8) as u64;
        let step = GAMMA.wrapping_mul(words);
        let mut state = self.state.fetch_add(step, Ordering::Relaxed);
        for word in bytes.chunks_mut(8) {
            let random = mix(state).to_le_bytes();
            word.copy_from_slice(&random[..word.len()]);
            state = state.wrapping_add(GAMMA);
        }
    }
}

/// The step of SplitMix64's state.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that SplitMix64 gives in state `x`: a function of `x` that mixes all bits.
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(GAMMA);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_bytes_are_those_of_splitmix64() {
        // The first numbers of the algorithm's reference code for seed 1234567.
        let expected: [u64; 3] = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        let entropy = SeededEntropy::new(1_234_567);
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        assert_eq!(bytes[..8], expected[0].to_le_bytes());
        assert_eq!(bytes[8..], expected[1].to_le_bytes());
        let mut short = [0; 3];
        entropy.fill(&mut short);
        assert_eq!(short, expected[2].to_le_bytes()[..3]);
        entropy.fill(&mut short);
        assert_ne!(short, expected[2].to_le_bytes()[3..6]);
    }

    #[test]
    fn the_system_gives_other_bytes_each_time() {
        let (mut a, mut b) = ([0; 16], [0; 16]);
        OsEntropy.fill(&mut a);
        OsEntropy.fill(&mut b);
        assert_ne!(a, b);
    }
}
