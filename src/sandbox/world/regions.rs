//! One account in several regions: each region has resources, rates and a log of its own; buckets and the caller's policy are the account's.
//!
//! The world itself is the account's home region. The others live inside it, and borrow what is the account's while something is done there.

use super::{EnvSpec, Time, World, WorldSpec};
use std::borrow::Cow;
use std::mem::swap;

impl World {
    /// Does something in one region at the present moment. A region in which nothing is yet, is empty, as in AWS.
    pub fn in_region<T>(&mut self, region: &str, deed: impl FnOnce(&mut World) -> T) -> T {
        if region == self.region {
            return deed(self);
        }
        let mut there = self.elsewhere.remove(region).unwrap_or_else(|| self.empty_region(region));
        self.lend(&mut there);
        let done = deed(&mut there);
        self.lend(&mut there);
        self.elsewhere.insert(region.to_owned(), there);
        done
    }

    /// One account of worlds that were made each for one region, the latest moment being its present.
    pub fn of_regions(worlds: Vec<World>, home: &str, seed: u64) -> World {
        let (mut own, abroad): (Vec<World>, Vec<World>) = worlds.into_iter().partition(|world| world.region == home);
        let now = own.iter().chain(&abroad).map(|world| world.now).max().unwrap_or_default();
        let account = own.iter().chain(&abroad).map(|world| world.account.clone()).next().unwrap_or_default();
        let mut whole = own.pop().unwrap_or_else(|| World::bare(seed, now, &account, home));
        for mut there in abroad {
            for (bucket, objects) in std::mem::take(&mut there.buckets) {
                whole.buckets.entry(bucket).or_default().extend(objects);
            }
            whole.next_id = whole.next_id.max(there.next_id);
            there.rng.0 = whole.seed_of(&there.region);
            whole.elsewhere.insert(there.region.clone(), there);
        }
        whole.advance(now);
        whole
    }

    /// A region as it is, without what is the account's; `None`: nothing was ever there.
    pub fn region(&self, region: &str) -> Option<&World> {
        if region == self.region { Some(self) } else { self.elsewhere.get(region) }
    }

    /// All regions, the home region first, without what is the account's in the others.
    pub fn regions(&self) -> impl Iterator<Item = &World> {
        std::iter::once(self).chain(self.elsewhere.values())
    }

    /// The account as it looks from one of its regions.
    pub fn seen_from(&self, region: &str) -> Cow<'_, World> {
        if region == self.region {
            return Cow::Borrowed(self);
        }
        let mut account = self.clone();
        let mut there = account.elsewhere.remove(region).unwrap_or_else(|| self.empty_region(region));
        account.lend(&mut there);
        Cow::Owned(there)
    }

    /// Moves the other regions as far; what falls due there reads the account's buckets.
    pub(super) fn advance_elsewhere(&mut self, to: Time) {
        for region in self.elsewhere.keys().cloned().collect::<Vec<_>>() {
            self.in_region(&region, |there| there.advance(to));
        }
    }

    /// Where a bucket lies: their names are unique in all regions.
    pub fn region_of_bucket(&self, bucket: &str) -> &str {
        self.bucket_regions.get(bucket).unwrap_or(&self.region)
    }

    fn empty_region(&self, region: &str) -> World {
        World::bare(self.seed_of(region), self.now, &self.account, region)
    }

    /// Draws in one region are not those of another.
    pub(super) fn seed_of(&self, region: &str) -> u64 {
        region.bytes().fold(!self.rng.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// Exchanges what is the account's. Buckets are read by instances that boot anywhere; private addresses and ids are unique in all regions.
    fn lend(&mut self, there: &mut World) {
        swap(&mut self.buckets, &mut there.buckets);
        swap(&mut self.policy, &mut there.policy);
        swap(&mut self.timing, &mut there.timing);
        swap(&mut self.bad_builds, &mut there.bad_builds);
        swap(&mut self.build_errors, &mut there.build_errors);
        swap(&mut self.next_id, &mut there.next_id);
    }
}

impl WorldSpec {
    pub(super) fn region_of<'a>(&'a self, env: &'a EnvSpec) -> &'a str {
        env.region.as_deref().unwrap_or(&self.region)
    }

    pub(super) fn bucket_of<'a>(&'a self, env: &'a EnvSpec) -> &'a str {
        env.bucket.as_deref().unwrap_or(&self.bucket)
    }

    pub(super) fn has_envs_in(&self, region: &str) -> bool {
        self.envs.iter().any(|env| self.region_of(env) == region)
    }
}
