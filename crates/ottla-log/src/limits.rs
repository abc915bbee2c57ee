//! Every bound on what is read from a peer or from a disk, by name.
//!
//! A length is compared with one of these, and with the bytes that remain, before it is used for
//! anything. Limits of connections and requests belong to the broker.

/// The bounds of parsing. `Default` gives values that suit a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest record batch in bytes, its header included. Kafka's largest request is as large.
    pub batch_bytes_max: usize,
    /// Most batches in one run of batches.
    pub batches_max: usize,
    /// Most records in one batch.
    pub records_per_batch_max: usize,
    /// Most headers of one record.
    pub headers_per_record_max: usize,
    /// Up to this many bytes a batch may always decompress to.
    pub decompressed_bytes_free: usize,
    /// Beyond [`Limits::decompressed_bytes_free`], a batch may grow to this many times its
    /// compressed size.
    pub decompressed_ratio_max: usize,
    /// Largest window of a zstd frame, in bytes. 128 MiB is what Kafka's own clients accept and,
    /// at level 22, ask for; the decoder takes memory for what comes out only.
    pub zstd_window_bytes_max: usize,
    /// Most producers whose state one log keeps.
    pub producers_max: usize,
    /// Most records of one produced batch that are named in its refusal.
    pub record_errors_max: usize,
    /// How much is kept of torn tails that recoveries cut off, in bytes; the oldest goes first, and
    /// the newest is kept in any case.
    pub cut_bytes_max: u64,
    /// Largest text file (checkpoints, metadata) in bytes.
    pub checkpoint_bytes_max: usize,
}

impl Limits {
    /// How many bytes `compressed` bytes may decompress to.
    #[must_use]
    pub fn decompressed_bytes_max(&self, compressed: usize) -> usize {
        compressed
            .saturating_mul(self.decompressed_ratio_max)
            .max(self.decompressed_bytes_free)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch_bytes_max: 100 << 20,
            batches_max: 1 << 20,
            records_per_batch_max: 16 << 20,
            headers_per_record_max: 1 << 16,
            decompressed_bytes_free: 16 << 20,
            decompressed_ratio_max: 20,
            zstd_window_bytes_max: 128 << 20,
            producers_max: 1 << 16,
            record_errors_max: 1000,
            cut_bytes_max: 1 << 30,
            checkpoint_bytes_max: 64 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_batches_may_grow_to_the_free_size_and_large_ones_by_the_ratio() {
        let limits = Limits::default();
        assert_eq!(limits.decompressed_bytes_max(0), 16 << 20);
        assert_eq!(limits.decompressed_bytes_max(1 << 20), 20 << 20);
        assert_eq!(limits.decompressed_bytes_max(usize::MAX), usize::MAX);
    }
}
