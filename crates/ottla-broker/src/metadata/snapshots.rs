//! Snapshots of the metadata beside its log, so that a start replays what came since the last one
//! and no more.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use ottla_log::vfs::Vfs;
use ottla_log::{LeaderEpoch, Limits, StorageError, Timestamp, read_file, write_atomically};
use ottla_partition::metadata::{Image, SnapshotId, read_snapshot, write_snapshot};

use super::MetadataError;

/// The largest snapshot that is read: a hundred times what a million partitions take.
const BYTES_MAX: usize = 1 << 34;
/// How many snapshots are kept: the newest, and one in case it cannot be read.
const KEPT: usize = 2;

/// The snapshots of one metadata log.
#[derive(Clone, Debug)]
pub(super) struct Snapshots {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
}

impl Snapshots {
    /// The snapshots in `dir`, the directory of the metadata log.
    pub(super) const fn new(vfs: Arc<dyn Vfs>, dir: PathBuf) -> Self {
        Self { vfs, dir }
    }

    /// The image of the newest snapshot that can be read; the empty one where there is none.
    pub(super) fn newest(&self, cluster_id: &str) -> Result<Image, MetadataError> {
        for id in self.ids()?.into_iter().rev() {
            let path = self.dir.join(id.file_name());
            let read = read_file(&*self.vfs, &path, BYTES_MAX)?;
            let bytes = Bytes::from(read.unwrap_or_default());
            match read_snapshot(bytes, id, cluster_id, &Limits::default()) {
                Ok(image) => return Ok(image),
                // The one before it and the log say the same, only slower; where they do not reach
                // back that far, the replay says so.
                Err(error) => tracing::error!(?path, %error, "a metadata snapshot is unreadable"),
            }
        }
        Ok(Image::new(cluster_id))
    }

    /// Writes a snapshot of `image` and removes old ones. Blocks.
    pub(super) fn write(
        &self,
        image: &Image,
        epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<SnapshotId, MetadataError> {
        let written = write_snapshot(image, epoch, now, now);
        let (id, bytes) = written.map_err(|e| MetadataError::Snapshot(e.to_string()))?;
        write_atomically(&*self.vfs, &self.dir.join(id.file_name()), &bytes)?;
        let ids = self.ids()?;
        let old = ids.len().saturating_sub(KEPT);
        for id in ids.into_iter().take(old) {
            let path = self.dir.join(id.file_name());
            let removed = self.vfs.remove_file(&path);
            removed.map_err(|e| StorageError::io("remove", &path, e))?;
        }
        Ok(id)
    }

    /// The snapshots there are, in order.
    fn ids(&self) -> Result<Vec<SnapshotId>, MetadataError> {
        let failed = |e| StorageError::io("list", &self.dir, e);
        if self.vfs.stat(&self.dir).map_err(failed)?.is_none() {
            return Ok(Vec::new());
        }
        let names = self.vfs.list(&self.dir).map_err(failed)?;
        let id = |entry: &ottla_log::vfs::DirEntry| SnapshotId::from_file_name(&entry.name);
        let mut ids: Vec<SnapshotId> = names.iter().filter_map(id).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ottla_log::Offset;
    use ottla_log::vfs::MemVfs;
    use ottla_partition::BrokerId;
    use ottla_partition::metadata::config::BrokerConfig;
    use ottla_partition::metadata::controller::Controller;

    use super::*;

    /// An image with something in it.
    fn image() -> Image {
        let empty = Image::new("cluster");
        let config = BrokerConfig::default();
        let decision = Controller::new(&empty, BrokerId::new(1), &config).bootstrap();
        empty.replay(Offset::ZERO, &decision.records).unwrap()
    }

    #[test]
    fn the_newest_readable_snapshot_counts_and_old_ones_go() {
        let vfs = Arc::new(MemVfs::new());
        let dir = Path::new("/m");
        vfs.create_dir(dir).unwrap();
        let snapshots = Snapshots::new(vfs.clone(), dir.to_path_buf());
        assert_eq!(snapshots.newest("cluster").unwrap(), Image::new("cluster"));

        let image = image();
        let ends: Vec<Offset> = (0..3).map(|n| image.end().plus(n)).collect();
        for end in &ends {
            let later = image.clone().at_end(*end);
            snapshots
                .write(&later, LeaderEpoch::new(1), Timestamp::new(0))
                .unwrap();
        }
        let ids: Vec<Offset> = snapshots.ids().unwrap().iter().map(|id| id.end).collect();
        assert_eq!(ids, ends[1..]);
        assert_eq!(snapshots.newest("cluster").unwrap().end(), ends[2]);

        let newest = dir.join(snapshots.ids().unwrap()[1].file_name());
        write_atomically(&*vfs, &newest, b"damaged").unwrap();
        let image = snapshots.newest("cluster").unwrap();
        assert_eq!(image.end(), ends[1], "the one before it is taken");
    }
}
