//! The seeded defects. What others lost data by stands here, and whatever a promise hangs on.
//!
//! A defect that no longer fits is given the new wording of its place; a test that moved, its new
//! name. Neither is deleted because the code changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A defect, and the test that has to notice it.
#[derive(Clone, Copy, Debug)]
pub struct Defect {
    /// The name to ask for it by.
    pub name: &'static str,
    /// The promise that it breaks.
    pub breaks: &'static str,
    /// The package whose unit tests notice, or [`FUZZ`].
    pub package: &'static str,
    /// The test, with its modules; of [`FUZZ`] the target.
    pub test: &'static str,
    /// What it changes.
    pub edits: &'static [Edit],
}

/// One change of one file.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    /// The file, from the workspace's root.
    pub file: &'static str,
    /// The text there; it occurs once.
    pub find: &'static str,
    /// What takes its place.
    pub replace: &'static str,
}

impl Defect {
    /// The files with the defect in, below `root`.
    ///
    /// # Errors
    /// Where a text is not there, or more than once.
    pub fn applied(&self, root: &Path) -> Result<BTreeMap<&'static str, String>, String> {
        let mut files: BTreeMap<&'static str, String> = BTreeMap::new();
        for edit in self.edits {
            let (name, file) = (self.name, edit.file);
            let text = match files.remove(file) {
                Some(text) => text,
                None => fs::read_to_string(root.join(file))
                    .map_err(|e| format!("{name}: {file} cannot be read: {e}"))?,
            };
            let places = text.matches(edit.find).count();
            if places != 1 {
                let find = edit.find;
                return Err(format!("{name}: {file} has {places} times {find:?}"));
            }
            files.insert(file, text.replacen(edit.find, edit.replace, 1));
        }
        Ok(files)
    }
}

const LOG: &str = "ottla-log";
const PARTITION: &str = "ottla-partition";
const COORDINATOR: &str = "ottla-coordinator";
const BROKER: &str = "ottla-broker";
/// The package of the fuzz targets: one of them is to notice, in place of a test.
pub const FUZZ: &str = "ottla-fuzz";

/// One defect of one edit.
macro_rules! defect {
    ($name:literal, $breaks:literal, $package:ident::$test:literal,
     $($file:literal: $find:literal => $replace:literal),+ $(,)?) => {
        Defect {
            name: $name,
            breaks: $breaks,
            package: $package,
            test: $test,
            edits: &[$(Edit {
                file: concat!("crates/", $file),
                find: $find,
                replace: $replace,
            }),+],
        }
    };
}

/// All of them.
pub const DEFECTS: &[Defect] = &[
    // Acknowledging and making durable.
    defect!("skip-the-fsync", "an acknowledged append survives a power cut",
        LOG::"store::tests::crashes::first_start_and_first_appends",
        "ottla-log/src/store/journal.rs":
        "        file.sync_data().map_err(|e| failed(\"sync\", e))?;\n" => ""),
    defect!("skip-the-fsync-of-a-large-append", "so does one that goes to its file directly",
        LOG::"store::tests::crashes::direct_rounds_among_journaled_ones",
        "ottla-log/src/log/sync.rs": "way.sync(|| segment.sync())?;" => "let _ = segment;"),
    defect!("journal-behind-a-hole", "what was not durable before lies before nothing that is",
        LOG::"store::tests::crashes::more_durability_from_one_append_to_the_next",
        "ottla-log/src/store/rounds/lead.rs":
        " || part.is_behind_hole\n" => "\n"),
    defect!("forget-a-failed-deletion", "a deletion that was begun is done to the end",
        LOG::"store::tests::deleting::a_name_is_free_as_soon_as_the_disk_works_again",
        "ottla-log/src/store/deleting.rs":
        "            self.owed.lock().extend(logs);\n" => ""),
    defect!("leave-what-was-deleted", "a crash inside a deletion leaves no log behind",
        BROKER::"metadata::tests::a_crash_inside_a_deletion_leaves_no_log",
        "ottla-broker/src/start.rs":
        "    left_over::clear(&store, &metadata.image(), metadata.removed_before());\n" => ""),
    defect!("ack-before-the-fsync", "nothing counts as durable before the sync that covers it",
        LOG::"store::tests::rounds::a_failed_round_takes_offline_what_was_in_it_and_nothing_else",
        "ottla-log/src/store/rounds/lead.rs": "        self.sync_direct(&mut round);\n" =>
        "        for part in round.parts.values() {\n\
                     part.target.round_done(part.end);\n\
                 }\n\
                 self.sync_direct(&mut round);\n"),
    defect!("ack-a-round-that-failed", "a failed sync acknowledges nothing",
        LOG::"store::tests::rounds::a_failed_round_takes_offline_what_was_in_it_and_nothing_else",
        "ottla-log/src/store/rounds/lead.rs":
        "                for id in &ids {\n                    self.fail(id, &cause);" =>
        "                for id in &ids[..0] {\n                    self.fail(id, &cause);"),
    defect!("retry-a-failed-fsync", "a sync that failed is never asked for again",
        LOG::"store::journal::tests::a_failed_sync_is_the_end_and_is_never_asked_for_again",
        "ottla-log/src/store/journal.rs":
        "file.sync_data().map_err(|e| failed(\"sync\", e))?;" =>
        "file.sync_data().or_else(|_| file.sync_data()).map_err(|e| failed(\"sync\", e))?;"),
    defect!("go-on-after-a-failed-write", "a failed write takes the log offline",
        LOG::"log::tests::faults::a_failed_write_takes_the_log_offline_until_a_restart",
        "ottla-log/src/log/append.rs": "Ok(()) if error.is_recoverable() => return error," =>
        "Ok(()) => return error,"),
    defect!("leave-a-torn-append", "a refused append leaves nothing behind",
        LOG::"log::tests::faults::a_short_write_is_finished_or_cut_back",
        "ottla-log/src/log/append.rs": "let cut = segment.cut_back();" =>
        "let cut: Result<(), StorageError> = Ok(());"),
    defect!("high-watermark-past-the-durable-end", "no consumer sees what a power cut takes back",
        PARTITION::"partition::scripts::every_script_ends_as_written",
        "ottla-partition/src/partition/replica.rs":
        "FlushMode::Sync => self.ends.durable," => "FlushMode::Sync => self.ends.end,"),
    defect!("high-watermark-goes-back", "what was visible stays visible",
        PARTITION::"partition::scripts::every_script_ends_as_written",
        "ottla-partition/src/partition/replica.rs":
        "if to <= self.high_watermark {" => "if to == self.high_watermark {"),
    defect!("metadata-as-lazy-as-records", "topics survive a power cut in both flush modes",
        BROKER::"metadata::tests::what_was_answered_survives_a_power_cut",
        "ottla-broker/src/metadata.rs": "config.flush = flush;" =>
        "let _ = flush;"),
    defect!("groups-answer-what-may-be-lost", "a group answers once its records are durable",
        BROKER::"handlers::tests::groups::rebalance::a_disk_that_stalls_costs_no_member_its_place",
        "ottla-broker/src/groups/shard.rs":
        "self.shard.durable(decided.until, &self.session).await?;" => ""),
    defect!("groups-believe-aborted-offsets", "offsets of a transaction count once it is committed",
        BROKER::"handlers::tests::groups::transactions::\
            offsets_of_transactions_count_once_these_are_committed",
        "ottla-broker/src/groups/load.rs": "log.decided_records(log.ends().start)" =>
        "log.records(log.ends().start)"),
    defect!("leaders-are-told-on-credit", "memory for answers is charged before they are made",
        BROKER::"handlers::tests::groups::weights::what_a_leader_is_told_waits_for_the_budget",
        "ottla-broker/src/handlers/groups/members.rs": "    if telling > 0 {" =>
        "    if telling == u64::MAX {"),
    // Producers and transactions.
    defect!("answer-a-duplicate-early", "a duplicate waits for the durability of its original",
        LOG::"log::tests::a_repetition_promises_what_its_original_does",
        "ottla-log/src/log/append.rs": "end: last_offset.plus(1)," =>
        "end: self.ends().durable,"),
    defect!("dedup-window-of-4", "a producer's last five batches are known again",
        LOG::"producer_state::tests::the_last_five_batches_are_known_again",
        "ottla-log/src/producer_state/entry.rs": "const BATCHES: usize = 5;" =>
        "const BATCHES: usize = 4;"),
    defect!("dedup-forgets-at-a-restart", "so are they after a restart",
        LOG::"log::recall::tests::five_batches_may_be_repeated_after_a_clean_stop",
        "ottla-log/src/producer_state/entry.rs": "        self.is_partial = true;\n" => ""),
    defect!("marker-of-an-old-epoch", "a late marker does not end a later transaction",
        LOG::"producer_state::tests::markers_are_fenced_by_epoch_and_coordinator",
        "ottla-log/src/producer_state.rs": "            found < entry.epoch\n" =>
        "            false\n"),
    defect!("last-stable-offset-one-too-far", "an open transaction's first record is not stable",
        LOG::"producer_state::tests::the_first_unstable_offset_is_that_of_the_oldest",
        "ottla-log/src/producer_state.rs": "[open, ended].into_iter().flatten().min()" =>
        "[open, ended].into_iter().flatten().min().map(|first| first.plus(1))"),
    defect!("decided-one-too-early", "a marker decides once it is committed itself",
        LOG::"producer_state::tests::the_first_unstable_offset_is_that_of_the_oldest",
        "ottla-log/src/producer_state.rs": "*marker >= high_watermark" =>
        "*marker > high_watermark"),
    // Names and clean stops.
    defect!("no-directory-sync", "what has a name in the store's directories keeps it",
        LOG::"store::journal::tests::a_failed_sync_is_the_end_and_is_never_asked_for_again",
        "ottla-log/src/store/dirs.rs":
        "        self.vfs.sync_dir(&self.path).map_err(|source| {" =>
        "        Ok::<(), std::io::Error>(()).map_err(|source| {"),
    defect!("remove-the-journal-file-by-file", "of the journal counts all or nothing",
        LOG::"store::journal::tests::a_removal_that_is_cut_short_leaves_no_part_of_what_counts",
        "ottla-log/src/store/journal/removal.rs":
        "            self.void_for_good()?;\n" => ""),
    defect!("no-sync-between-the-names-of-copies", "a compaction is whole after a crash, or undone",
        LOG::"log::compact::tests::so_do_copies_of_several_files",
        "ottla-log/src/log/compact/swap.rs":
        "            self.sync_copies()?;\n            others.iter().try_for_each(offer)\
         .map_err(undone)?;\n            self.sync_copies()?;\n" =>
        "            others.iter().try_for_each(offer).map_err(undone)?;\n"),
    defect!("no-sync-between-the-halves", "one half of the file of offsets is whole after a crash",
        LOG::"store::offsets::tests::a_crash_leaves_the_old_or_the_new",
        "ottla-log/src/store/offsets.rs":
        "            sync()?;\n            self.good = other;" => "            self.good = other;"),
    defect!("a-deleted-log-goes-on-sealing", "a deleted log changes nothing of the next one",
        LOG::"log::maintain::tests::what_a_deleted_log_held_vouches_for_nothing_of_the_next_one",
        "ottla-log/src/log/seal.rs":
        "        if self.health.gone().is_some() {\n            return Ok(());\n        }\n" => ""),
    defect!("settled-without-a-word", "a sync under way says nothing of what is cut meanwhile",
        LOG::"store::rounds::files::tests::\
              a_log_that_is_cut_while_it_is_synced_is_not_durable_beyond_its_end",
        "ottla-log/src/store/rounds/settle.rs":
        "            log.settled += 1;\n            log.written_end = end;\n            \
         log.cut_to = Some(end);\n" => ""),
    defect!("no-directory-sync-after-rename", "a replaced file is replaced for good",
        LOG::"vfs::crash_points::tests::an_atomic_replacement_survives_every_crash",
        "ottla-log/src/checkpoint/files.rs":
        "vfs.sync_dir(dir).map_err(failed(\"sync the directory of\"))" =>
        "let _ = (dir, failed(\"sync the directory of\"));\n    Ok(())"),
    defect!("no-directory-sync-of-a-new-log", "a new log's directory is durable with its data",
        LOG::"store::tests::crashes::direct_rounds_among_journaled_ones",
        "ottla-log/src/log/sync.rs":
        "if !self.names_dirty.swap(false, Ordering::AcqRel) {" => "if true {"),
    defect!("clean-marker-written-early", "a clean marker says that everything is in the files",
        LOG::"store::tests::crashes::records_deleted_between_clean_stops",
        "ottla-log/src/store/rounds/finish.rs": "        self.checkpoint_for_kafka()?;\n" =>
        "        self.marker.leave()?;\n        self.checkpoint_for_kafka()?;\n"),
    defect!("clean-marker-stays", "a clean marker goes before anything changes",
        LOG::"store::tests::crashes::rolling_and_a_clean_stop",
        "ottla-log/src/store/rounds.rs":
        "remove(&*self.vfs)?;\n        let mut state = self.state.lock();\n        let mut is_" =>
        "is_there();\n        let mut state = self.state.lock();\n        let mut is_",
        "ottla-log/src/store/rounds/lead.rs":
        "if let Err(cause) = self.marker.remove(&*self.vfs) {" =>
        "if let Err(cause) = Ok::<(), Arc<StorageError>>(()) {"),
    defect!("clean-marker-outlives-a-note", "deleted records stay deleted after a clean stop",
        LOG::"store::tests::crashes::records_deleted_between_clean_stops",
        "ottla-log/src/store/rounds/lead.rs":
        "if let Err(cause) = self.marker.remove(&*self.vfs) {" =>
        "if let Err(cause) = Ok::<(), Arc<StorageError>>(()) {"),
    // Bit rot, and a full device.
    defect!("believe-kafkas-checkpoints", "a flipped bit in a checkpoint file is without effect",
        LOG::"store::tests::rot::a_flipped_bit_anywhere_is_never_served_and_never_passed_over",
        "ottla-log/src/store/opening.rs": "            Some(own) => own,\n" =>
        "            Some(_) => self.read_kafkas()?,\n",
        "ottla-log/src/store/opening.rs": "            if found != expected {\n" =>
        "            if found != expected && expected.is_none() {\n"),
    defect!("believe-any-transaction-index", "aborted records stay aborted when a bit flips",
        LOG::"store::tests::rot::a_flipped_bit_anywhere_is_never_served_and_never_passed_over",
        "ottla-log/src/segment/aborted.rs": "seal.txn_index == FileSum::of(bytes)" =>
        "seal.txn_index == FileSum::of(bytes) || true"),
    defect!("believe-any-leader-epochs", "leader epochs are what the batches say",
        LOG::"store::tests::rounds::leader_epochs_that_could_not_be_written_are_found_again",
        "ottla-log/src/log/replay.rs": "if self.epochs_from <= first ||" =>
        "if true || self.epochs_from <= first ||"),
    defect!("free-a-device-without-a-note", "no file goes below a log start that no start finds",
        LOG::"store::tests::rounds::\
              a_full_device_gets_space_by_deleted_records_and_keeps_the_start",
        "ottla-log/src/store/rounds/settle.rs": "log.start_noted >= log.log_start" =>
        "log.start_noted >= Offset::ZERO"),
    // Recovery.
    defect!("recovery-trusts-the-indexes", "indexes are made anew after a kill",
        LOG::"log::tests::recovery::indexes_are_not_trusted_after_a_kill",
        "ottla-log/src/log/recover.rs":
        "let origin = Origin::Checked {\n" =>
        "let origin = Origin::Found(extent);\n        let _ = Origin::Checked {\n",
        "ottla-log/src/log/recover.rs":
        "dir::remove_if_there(&*self.shared.vfs, &dir::file_in(self.dir, base, suffix))?;" =>
        "let _ = suffix;"),
    defect!("recovery-trusts-the-page-cache", "a recovery reads what the device has",
        LOG::"log::tests::recovery::the_page_cache_is_not_trusted",
        "ottla-log/src/log/check.rs": "    file.drop_cache()\n" => "    Ok(())\n"),
    defect!("recovery-syncs-nothing", "what a recovery found survives the next power cut",
        LOG::"log::tests::recovery::what_survived_a_kill_survives_a_power_cut_after_the_recovery",
        "ottla-log/src/log/check.rs": "    if !synced {\n" => "    if false && !synced {\n"),
    defect!("recovery-skips-checksums", "a flipped bit is found",
        LOG::"log::tests::recovery::a_flipped_bit_below_the_durable_end_is_corruption",
        "ottla-log/src/log/check.rs": "            .check_crc(&batch, 0)\n" =>
        "            .check(self.limits)\n"),
    defect!("truncate-at-a-mismatch-in-the-middle", "durable records are never cut away",
        LOG::"log::tests::recovery::a_flipped_bit_in_the_last_durable_batch_is_no_torn_tail",
        "ottla-log/src/log/recover.rs":
        "if stop.unreadable || !self.is_behind_durable(scan.next) {" =>
        "if stop.unreadable {"),
    defect!("truncate-before-good-batches", "nothing is cut with good batches behind it",
        LOG::"log::tests::recovery::a_bad_batch_with_good_ones_behind_it_is_no_torn_tail",
        "ottla-log/src/log/recover.rs":
        "Ok(good.is_none() && !self.any_good(followers, scan.next)?)" =>
        "let _ = self.any_good(followers, scan.next)?;\n        Ok(true)"),
    defect!("cut-a-tail-and-keep-nothing", "what is cut is kept aside",
        LOG::"log::tests::recovery::a_torn_tail_is_cut_and_kept",
        "ottla-log/src/log/cut.rs": "    if len <= position {\n" =>
        "    if len <= position || position > 0 {\n"),
    defect!("a-missing-log-is-empty", "a log that held data is missing, never empty",
        LOG::"log::tests::recovery::a_missing_directory_is_never_empty",
        "ottla-log/src/log/open.rs": "if known.has_data == Some(topic_id) {" =>
        "if false {"),
    defect!("another-topics-files-are-ours", "no topic gets the records of another",
        LOG::"log::tests::recovery::another_topics_directory_is_set_aside",
        "ottla-log/src/log/open.rs": "asked.is_none_or(|asked| asked == owner)" =>
        "asked.is_none_or(|asked| asked == owner || true)"),
    defect!("replay-into-another-topic", "nor does a recovery write into another topic",
        LOG::"store::tests::journal::rounds_of_another_topic_are_never_replayed_into_a_directory",
        "ottla-log/src/store/replay/apply.rs":
        "Whose::Of(topic_id, file) if topic_id == log.topic_id => {" =>
        "Whose::Of(_, file) => {"),
    defect!("go-over-a-missing-round", "a missing round is reported",
        LOG::"store::tests::journal::a_missing_round_is_not_gone_over",
        "ottla-log/src/store/journal.rs":
        "        self.previous = sequence;\n" => "        self.previous = 0;\n"),
    defect!("a-stop-forgets-what-was-replayed", "a clean stop has synced what the journal had",
        LOG::"store::tests::journal::a_stop_syncs_what_recovery_wrote",
        "ottla-log/src/store/closing.rs": "            self.rounds.sync_all_replayed();\n" => ""),
    defect!("a-tail-counts-as-journaled", "what the journal lacks is synced before it counts",
        LOG::"store::tests::journal::a_tail_behind_the_journal_is_synced_before_it_counts",
        "ottla-log/src/store/replay/apply.rs":
        "last.position + u64::from(last.len) == segment.len" =>
        "last.position + u64::from(last.len) <= segment.len"),
    // The journal's areas.
    defect!("free-an-area-that-is-needed", "a round is kept until its files are synced",
        LOG::"store::tests::crashes::the_journal_changes_areas_with_background_work",
        "ottla-log/src/store/rounds/background.rs":
        "truncate(logs_max);\n            self.sync_logs(&ids);" =>
        "truncate(logs_max);\n            self.state.lock().released(area);"),
    // Segments that go and come.
    defect!("truncate-without-settling", "what was truncated does not come back",
        LOG::"store::tests::crashes::truncation",
        "ottla-log/src/log/truncate.rs":
        "            .settle(&self.target(), cut.next)\n            .map_err(|e| (*e).clone())?;" =>
        "            .settle(&self.target(), ends.end)\n            .map_err(|e| (*e).clone())?;"),
    defect!("delete-a-topic-without-a-note", "a deleted topic does not come back",
        LOG::"store::tests::crashes::deleting_and_making_again",
        "ottla-log/src/store/deleting.rs":
        "renamed is to be durable now.\n        self.dirs.kafka.sync()\n" =>
        "renamed is to be durable now.\n        Ok(())\n",
        "ottla-log/src/store/deleting.rs":
        "        self.rounds.delete(&noted).map_err(Arc::unwrap_or_clone)?;\n" => ""),
    defect!("retention-past-the-high-watermark", "retention takes nothing that is not committed",
        LOG::"log::retention::tests::nothing_goes_that_is_not_committed_and_durable",
        "ottla-log/src/log/retention.rs": "if committed < next.unwrap_or(extent.next) {" =>
        "if committed < Offset::ZERO {"),
    defect!("log-start-not-noted", "deleted records stay deleted",
        LOG::"store::tests::crashes::records_deleted_from_the_start",
        "ottla-log/src/log/truncate.rs":
        "        self.shared.flusher.started(&self.target(), to);\n" => ""),
    defect!("compaction-keeps-the-oldest", "the newest record of each key stays",
        LOG::"log::compact::tests::of_each_key_the_newest_stays_where_it_was",
        "ottla-log/src/log/compact/filter.rs": "newest > record.offset" =>
        "newest < record.offset"),
    defect!("compaction-of-what-is-undecided", "compaction leaves open transactions alone",
        LOG::"log::compact::tests::aborted_records_go_and_markers_after_them",
        "ottla-log/src/log/compact/plan.rs": "            if follower.base() > last_stable {" =>
        "            if follower.base() > ends.end {"),
    defect!("tombstones-go-at-once", "a tombstone stays for delete.retention.ms",
        LOG::"log::compact::tests::tombstones_go_when_their_time_is_over",
        "ottla-log/src/log/compact/filter.rs": "        record.value.is_some() || !is_over\n" =>
        "        let _ = is_over;\n        record.value.is_some()\n"),
    defect!("compacted-file-not-synced", "a compaction is whole or not there after a power cut",
        LOG::"log::compact::tests::survives_a_crash_at_each_step",
        "ottla-log/src/log/compact/output.rs": "let synced = self.file.sync_data();" =>
        "let synced: std::io::Result<()> = Ok(());"),
    defect!("originals-go-before-the-swap", "the originals stay until their successor is durable",
        LOG::"log::compact::tests::survives_a_crash_at_each_step",
        "ottla-log/src/log/compact/swap.rs":
        "        offer(first).map_err(undone)?;\n        self.sync_copies()?;\n" =>
        "        offer(first).map_err(undone)?;\n"),
    defect!("compaction-fails-over-a-removal", "segments may leave a log while it is compacted",
        LOG::"log::compact::tests::segments_that_leave_meanwhile_are_no_error",
        "ottla-log/src/log/compact.rs": "Err(_) if job.is_overtaken(self) ||" =>
        "Err(_) if"),
    // Reading.
    defect!("serve-unchecked-bytes", "no byte is served before its checksum was looked at",
        LOG::"log::tests::reading::a_flipped_bit_is_never_served",
        "ottla-log/src/segment/verified.rs": "        from >= to\n            || next" =>
        "        from <= to\n            || next"),
    defect!("serve-what-is-not-durable", "a reader of durable records sees no others",
        LOG::"log::tests::appends_and_reads_back",
        "ottla-log/src/log/read.rs": "Bound::Durable => ends.durable," =>
        "Bound::Durable => ends.end,"),
    // Transactions.
    defect!("aborted-before-the-range", "a reader is told of those that began before its range",
        LOG::"log::tests::transactions::a_reader_is_told_what_was_aborted_in_its_range",
        "ottla-log/src/index/txn.rs": "is_some_and(|entry| entry.last_offset < from)" =>
        "is_some_and(|entry| entry.first_offset < from)"),
    defect!("aborted-sought-too-short", "a marker may lie in a later segment",
        LOG::"log::tests::transactions::a_reader_is_told_what_was_aborted_in_its_range",
        "ottla-log/src/index/txn.rs": "if entry.last_stable_offset >= until {" =>
        "if entry.last_stable_offset >= from {"),
    defect!("transaction-index-not-cut", "a truncation takes an abort back",
        LOG::"log::tests::transactions::a_truncation_takes_ends_of_transactions_back",
        "ottla-log/src/segment/index.rs": "        state.aborted.truncate(to);\n" => ""),
    defect!("transaction-index-trusted-after-a-kill", "an old file does not outlive a recovery",
        LOG::"log::tests::transactions::an_index_of_before_a_truncation_does_not_come_back",
        "ottla-log/src/log/recover.rs": "[dir::INDEX, dir::TIME_INDEX, dir::TXN_INDEX]" =>
        "[dir::INDEX, dir::TIME_INDEX]"),
    defect!("aborted-entry-lost-by-compaction", "an entry stays for as long as its marker",
        LOG::"log::compact::tests::\
              readers_are_told_of_an_aborted_transaction_while_its_marker_is_there",
        "ottla-log/src/log/compact/steps.rs": "        last.add_aborted(*entry);\n" =>
        "        let _ = entry;\n"),
    defect!("aborted-behind-an-open-transaction", "the end of a transaction may lie far behind it",
        LOG::"log::compact::tests::an_end_behind_an_open_transaction_counts",
        "ottla-log/src/log/compact/steps.rs":
        "if is_done || step.next_offset() > plan.committed {" =>
        "if is_done || step.next_offset() > plan.last_stable {"),
    defect!("transaction-index-found-is-believed", "an index that does not fit is made anew",
        LOG::"log::tests::transactions::an_index_that_does_not_fit_is_made_anew",
        "ottla-log/src/segment/aborted.rs":
        "Err(StorageError::Corrupt { .. }) => Ok(false)," =>
        "Err(StorageError::Corrupt { .. }) => Ok(true),"),
    defect!("index-younger-than-the-recovery-point", "an index is as durable as what it is for",
        LOG::"log::tests::transactions::an_index_younger_than_the_recovery_point_does_not_count",
        "ottla-log/src/log/recover.rs":
        "partition_point(|base| *base < self.known.recovery_point)" =>
        "partition_point(|base| *base <= self.known.recovery_point)"),
    // Seals.
    defect!("seal-is-not-compared", "sealed bytes that changed are not served",
        LOG::"log::tests::seals::every_flipped_bit_is_found_before_a_byte_is_served",
        "ottla-log/src/segment/sealed.rs": "Ok(bytes) => Ok(seal.holds(index, &bytes))," =>
        "Ok(_) => Ok(true),"),
    defect!("sealed-indexes-are-not-compared", "nor are index files that changed believed",
        LOG::"log::tests::seals::index_files_that_do_not_match_are_made_anew",
        "ottla-log/src/segment/sealed.rs":
        "let is_right = found == (sealed.seal.index, sealed.seal.time_index);" =>
        "let is_right = found == found;"),
    defect!("seal-of-another-topic-counts", "a seal speaks for its own topic",
        LOG::"log::tests::seals::another_topics_seal_does_not_count",
        "ottla-log/src/segment/sealed.rs":
        "topic_of(&*self.shared.vfs, &self.dir) == Some(seal.topic_id)" =>
        "topic_of(&*self.shared.vfs, &self.dir).is_some()"),
    defect!("seal-removed-without-a-sync", "a seal does not outlive the bytes that it speaks for",
        LOG::"store::tests::crashes::cutting_into_what_is_sealed",
        "ottla-log/src/log/seal.rs":
        "        if removed {\n            sync(vfs," =>
        "        if removed && false {\n            sync(vfs,"),
    defect!("seal-beside-a-wrong-index", "a seal is not made for an index that is wrong",
        LOG::"store::tests::scrub::a_wrong_index_beside_a_segment_without_a_seal_is_made_anew",
        "ottla-log/src/log/scrub.rs": "                self.renew_indexes(segment)?;\n" => ""),
    // Readers beside writers.
    defect!("search-with-the-appenders-lock", "a reader waits for no IO of an append",
        LOG::"store::tests::pairs::readers::readers_wait_for_no_call_of_a_writer",
        "ottla-log/src/log/time.rs": "let start = self.ends().start;" =>
        "let start = { let _held = self.appender(); self.ends().start };"),
    defect!("read-with-the-syncers-lock", "nor for that of a sync",
        LOG::"store::tests::pairs::readers::readers_wait_for_no_call_of_a_writer",
        "ottla-log/src/log/read.rs": "let ends = self.readable(from).map_err(Fault::Read)?;" =>
        "let _held = self.syncing.lock();\n\
                 let ends = self.readable(from).map_err(Fault::Read)?;"),
    defect!("look-by-the-old-name-alone", "and finds the files of a segment that is leaving",
        LOG::"store::tests::pairs::readers::readers_wait_for_no_call_of_a_writer",
        "ottla-log/src/segment/files.rs":
        "if before == Naming::Leaving && is_missing(&opened) {" =>
        "if false && is_missing(&opened) {"),
    // How a clean stop left each log.
    defect!("note-beside-kafkas-mark", "where Kafka ran since, what we noted does not count",
        LOG::"store::tests::stopped::what_kafka_left_is_read",
        "ottla-log/src/store/opening.rs":
        "if self.read(&marker, is_ours)? != Some(true) {" =>
        "if self.read(&marker, is_ours)?.is_none() {"),
    defect!("note-of-another-length", "nor where the file is no longer as it was left",
        LOG::"store::tests::stopped::a_file_of_another_length_is_read",
        "ottla-log/src/log/left.rs": "stat.is_dir || stat.len != size" =>
        "stat.is_dir || stat.len == u64::MAX && size == 0"),
    defect!("note-of-another-topic", "nor for another topic of the name",
        LOG::"store::tests::stopped::another_topic_of_the_name_does_not_get_the_log",
        "ottla-log/src/log/open.rs": "self.options.topic_id == Some(left.topic_id)" =>
        "self.options.topic_id.is_some()"),
    defect!("rotten-index-until-a-restart", "a bad transaction index is made anew when it is found",
        LOG::"log::tests::transactions::a_rotten_index_is_made_anew_by_who_finds_it",
        "ottla-log/src/log/aborted.rs":
        "if collected.is_err() && segment.may_restore_aborted() {" =>
        "if collected.is_err() && false {"),
    // What groups tell.
    defect!("answer-ahead-of-its-group", "an answer about a group waits for what it tells of",
        COORDINATOR::"group::scripts::every_script_ends_as_written",
        "ottla-coordinator/src/group/shard/members.rs":
        "            decision.seen = self.hard.seen(group);\n            if !self.soft" =>
        "            decision.seen = ottla_log::Offset::ZERO;\n            if !self.soft"),
    defect!("describe-ahead-of-the-group", "so does what administrators are told",
        COORDINATOR::"group::scripts::every_script_ends_as_written",
        "ottla-coordinator/src/group/shard/admin.rs":
        "        decision.seen = self.hard.seen(&request.group);\n        let described" =>
        "        decision.seen = ottla_log::Offset::ZERO;\n        let described"),
    defect!("answer-before-it-is-durable", "and it leaves once that is durable",
        BROKER::"handlers::tests::groups::durable::no_answer_leaves_before_it_is_durable",
        "ottla-broker/src/groups/shard/append.rs": "let until = decision.seen;" =>
        "let until = Offset::ZERO;"),
    // Who opens the logs.
    defect!("open-one-log-twice", "two who open a log at once get the same",
        LOG::"store::tests::threads::two_who_open_a_log_at_once_get_the_same",
        "ottla-log/src/store.rs":
        "        Arc::clone(self.logs.lock().entry(id.clone()).or_default())\n" =>
        "        let mut logs = self.logs.lock();\n\
                 let is_open = |slot: &&Slot| slot.try_lock().is_some_and(|slot| slot.is_some());\n\
                 if let Some(slot) = logs.get(id).filter(is_open) {\n\
                     return Arc::clone(slot);\n\
                 }\n\
                 let slot = Slot::default();\n\
                 logs.insert(id.clone(), Arc::clone(&slot));\n\
                 slot\n"),
    defect!("open-again-for-one-request", "a log that cannot be opened is tried once for a request",
        BROKER::"handlers::tests::opening::a_log_that_cannot_be_opened_is_tried_once_a_request",
        "ottla-broker/src/handlers.rs": "self.0.lock().remove(&(topic, number))" =>
        "self.0.lock().remove(&(topic, number)).filter(|_| false)"),
    defect!("open-in-any-order", "what a request waits for is opened first",
        BROKER::"partitions::openers::tests::what_a_request_waits_for_goes_first",
        "ottla-broker/src/partitions/openers.rs":
        "self.urgent.pop_front().or_else(|| self.rest.pop_front())?" =>
        "self.rest.pop_front().or_else(|| self.urgent.pop_front())?"),
    // What the fuzz targets find, each within its time in a check.
    defect!("fuzz-answers", "a client takes no count that lies",
        FUZZ::"answers",
        "ottla-protocol/src/client/consumer.rs":
        "    guard::check(shape, encoding, &bytes).ok()?;\n" =>
        "    let _ = guard::check(shape, encoding, &bytes);\n"),
    defect!("fuzz-batches", "no batch takes more memory than the limits allow",
        FUZZ::"batches",
        "ottla-log/src/codec.rs":
        "let max = limits.decompressed_bytes_max(block.len());" =>
        "let max = 64 * limits.decompressed_bytes_max(block.len());"),
    defect!("fuzz-checkpoints", "no number of entries is believed before they are there",
        FUZZ::"checkpoints",
        "ottla-log/src/checkpoint.rs":
        "    let found = lines.clone().count();\n" =>
        "    let found = lines.clone().count();\n\
             std::hint::black_box(Vec::<u64>::with_capacity(declared));\n"),
    defect!("fuzz-codecs", "no codec writes beyond its limit",
        FUZZ::"codecs",
        "ottla-log/src/codec/gzip.rs":
        "        if end > max {\n" => "        if end > 2 * max {\n"),
    defect!("fuzz-config-value", "a number is read as it is written",
        FUZZ::"config_value",
        "ottla-partition/src/metadata/config/value.rs":
        "        None => (1.0, text.strip_prefix('+').unwrap_or(text)),\n    };\n" =>
        "        None => (1.0, text.strip_prefix('+').unwrap_or(text)),\n    };\n\
             let unsigned = unsigned.get(..unsigned.len().min(17)).unwrap_or_default();\n"),
    defect!("fuzz-frames", "no frame is longer than is allowed",
        FUZZ::"frames",
        "ottla-protocol/src/frame.rs": "Ok(body) if body <= body_max => body," =>
        "Ok(body) if body <= usize::MAX => body,"),
    defect!("fuzz-groups", "a member that was answered and is silent is thrown out",
        FUZZ::"groups",
        "ottla-coordinator/src/group/live/expire.rs":
        "            member.unanswered = member.unanswered.saturating_sub(1);\n" => ""),
    defect!("fuzz-header", "no length of a request is believed before it was checked",
        FUZZ::"header",
        "ottla-protocol/src/wire.rs":
        "let Some((taken, rest)) = self.rest.split_at_checked(count) else {" =>
        "let Some((taken, rest)) = Some(self.rest.split_at(count)) else {"),
    defect!("fuzz-indexes", "entries that do not rise make no index",
        FUZZ::"indexes",
        "ottla-log/src/index/offset.rs":
        "e.0 <= r || e.1 <= p)) {" => "e.0 < r && e.1 <= p)) {"),
    defect!("fuzz-journal", "no entry claims data of another round",
        FUZZ::"journal",
        "ottla-log/src/store/journal/format.rs":
        "    if data_len != head.data_len {\n" => "    if data_len < head.data_len {\n"),
    defect!("fuzz-metadata-record", "no text is longer than can be written again",
        FUZZ::"metadata_record",
        "ottla-protocol/src/wire.rs":
        "Some(bytes) if bytes > STRING_BYTES_MAX => Err(" =>
        "Some(bytes) if bytes > 2 * STRING_BYTES_MAX => Err("),
    defect!("fuzz-metadata-snapshot", "a snapshot ends where its name says",
        FUZZ::"metadata_snapshot",
        "ottla-partition/src/metadata/snapshot.rs":
        "Part::Done => Ok(image.at_end(id.end))," => "Part::Done => Ok(image),"),
    defect!("fuzz-produce", "a batch has an offset for each of its records",
        FUZZ::"produce",
        "ottla-log/src/validate.rs":
        "i64::from(header.record_count) != offset_count {" =>
        "i64::from(header.record_count) > offset_count {"),
    defect!("fuzz-producer-snapshot", "a producer is in a snapshot once",
        FUZZ::"producer_snapshot",
        "ottla-log/src/producer_state.rs":
        "            if state.producers.contains_key(&id) {\n" =>
        "            if state.producers.len() > 1 << 20 {\n"),
    defect!("fuzz-records", "no length of a record is believed before it was checked",
        FUZZ::"records",
        "ottla-protocol/src/wire.rs":
        "let Some((taken, rest)) = self.rest.split_at_checked(count) else {" =>
        "let Some((taken, rest)) = Some(self.rest.split_at(count)) else {"),
    defect!("fuzz-recovery", "what is read was written",
        FUZZ::"recovery",
        "ottla-log/src/log/check.rs":
        "            .check_crc(&batch, 0)\n            .map_err(|e| bad(e.to_string()))?;\n" =>
        "            .check_crc(&batch, 0)\n            .or_else(|_| Ok(()))?;\n"),
    defect!("fuzz-request", "what must not be null is not",
        FUZZ::"request",
        "ottla-protocol/src/guard.rs":
        "            (None, _) => Err(Fault::Null),\n" => "            (None, _) => Ok(()),\n"),
];
