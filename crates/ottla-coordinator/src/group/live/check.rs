//! What must be true of a live group between any two inputs.

use ottla_protocol::StrBytes;

use super::{Live, Phase, member};
use crate::group::record::GroupMetadata;

impl Live {
    /// Compares what is counted with what there is.
    pub(in crate::group) fn check(&self, recorded: Option<&GroupMetadata>) {
        let members = || self.members.iter();
        let joining = members().filter(|(_, m)| m.join.is_some()).count();
        assert_eq!(self.joining, joining, "{self:?}");
        let bytes: usize = members().map(|(_, m)| member::bytes(&m.protocols)).sum();
        assert_eq!(self.bytes, bytes, "{self:?}");
        let held = members().map(|(id, m)| m.bytes(id)).sum::<usize>();
        let expected = self.pending.keys().map(super::pending_bytes);
        assert_eq!(self.held, held + expected.sum::<usize>(), "{self:?}");
        for (name, count) in &self.support {
            let lists = |m: &super::Member| m.protocols.iter().any(|p| p.name == *name);
            let support = members().filter(|(_, m)| lists(m)).count();
            assert_eq!(*count, support, "{name} in {self:?}");
        }
        let instances = members().filter_map(|(id, m)| Some((m.instance_id.as_ref()?, id)));
        let instances: Vec<_> = instances.collect();
        assert_eq!(self.statics.len(), instances.len(), "{self:?}");
        for (instance, id) in instances {
            assert_eq!(self.statics.get(instance), Some(id), "{self:?}");
        }
        assert!(self.unsynced.iter().all(|id| self.members.contains_key(id)));
        assert!(self.pending.keys().all(|id| !self.members.contains_key(id)));
        if !self.members.is_empty() {
            let leader = self.leader.as_ref();
            assert!(
                leader.is_some_and(|id| self.members.contains_key(id)),
                "{self:?}"
            );
        }
        self.check_phase(recorded);
    }

    fn check_phase(&self, recorded: Option<&GroupMetadata>) {
        let waits = |sync: bool| {
            let mut all = self.members.values();
            all.any(|m| {
                if sync {
                    m.sync.is_some()
                } else {
                    m.join.is_some()
                }
            })
        };
        match self.phase {
            Phase::Empty => assert!(self.members.is_empty(), "{self:?}"),
            Phase::Preparing(_) => {
                assert!(self.join_until.is_some(), "it ends some time: {self:?}");
                assert!(!waits(true), "nobody syncs: {self:?}");
            }
            Phase::Completing => {
                assert!(self.sync_until.is_some(), "it ends some time: {self:?}");
                assert!(!waits(false), "nobody joins: {self:?}");
            }
            Phase::Stable => {
                let recorded = recorded.expect("a stable generation is recorded");
                assert_eq!(recorded.generation, self.generation);
                let ids = recorded.members.iter().map(|m| &m.member_id);
                let ids: Vec<&StrBytes> = ids.collect();
                assert_eq!(ids, self.members.keys().collect::<Vec<_>>());
                assert!(!waits(true) && !waits(false), "nobody waits: {self:?}");
            }
        }
    }
}
