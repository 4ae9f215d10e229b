//! Carries out one action: guards, journal, call, read-back. The only path by which bgx changes anything going forward.

use super::event::{Effect, Place, What};
use super::guard::{self, Receiver};
use super::invariant;
use super::replay::Recorded;
use super::sight::ReadBack;
use super::traffic::{self, Traffic};
use super::undo::strange;
use super::{Done, Entry, Halt, Run, RunError};
use crate::account::action::RouteFacts;
use crate::account::targets::takes_several_calls;
use crate::account::{AccountError, Action, CallRecord, Facts, Fields, GroupSettings, Kind, MayWrite, RouteRef};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// An effect must be seen within this long after its call.
pub(super) const READ_BACK: Duration = Duration::from_secs(60);
/// Between a change of weights and anything that takes capacity, or a target group of the rule, away.
const SETTLE: Duration = Duration::from_secs(60);
/// What guards have seen is a ground to change something for so long.
const FRESH: Duration = Duration::from_secs(30);
/// So often is it looked again where AWS answers no faster.
const LOOKS: u32 = 3;
/// First and longest pause between two looks.
const LOOK_FIRST: Duration = Duration::from_millis(500);
pub(super) const LOOK_LONGEST: Duration = Duration::from_secs(5);

/// One request to the gate.
#[derive(Clone, Debug)]
pub struct Perform {
    pub verb: &'static str,
    pub place: Option<Place>,
    pub action: Action,
    /// The change must not outlive the run.
    pub lease: bool,
}

impl Run {
    /// Carries out one action, once in effect. `Ok(true)`: the account was changed; `Ok(false)`: it was already so.
    pub async fn perform(&mut self, perform: Perform) -> Result<bool, RunError> {
        self.check_interrupt()?;
        self.outside_waits(perform.verb)?;
        let step = self.next_step();
        if self.ungated {
            return self.perform_ungated(step, &perform).await;
        }
        let result = self.attempt(step, &perform).await;
        if let Err(RunError::Refused { text, hint }) = &result {
            let (text, hint) = (text.clone(), hint.clone());
            self.record(What::Refused { step, verb: perform.verb.to_owned(), place: perform.place, text, hint })?;
        }
        if !matches!(result, Err(RunError::Halt(_))) {
            self.keep().await?;
        }
        result
    }

    async fn attempt(&mut self, step: u64, perform: &Perform) -> Result<bool, RunError> {
        let Perform { verb, place, action, lease } = perform;
        match self.replay.action(step, action).transpose()? {
            Some(Recorded::Done { changed }) => return Ok(changed),
            Some(Recorded::Failed(error)) => return Err(error),
            Some(Recorded::Pending { before }) => return self.recover(step, action, before).await,
            None => {}
        }
        self.may_write().await?;
        self.look_again().await?;
        let looked = self.now();
        let mut facts = self.look(action).await?;
        let mut before = facts.fields(action);
        if before == action.wanted() {
            self.record(What::Unchanged { step, verb: (*verb).to_owned(), action: action.clone(), lease: *lease })?;
            self.planned_was_so(action);
            // A lease may have set it: then it is this action's from now on, and stays.
            let at = self.now();
            self.enter_done(Done {
                step,
                env: self.env.name.clone(),
                action: action.clone(),
                before,
                undo: None,
                lease: *lease,
                at,
                returned: false,
            });
            return Ok(false);
        }
        self.as_planned(action)?;
        self.confirm_guarded()?;
        self.check_interrupt()?;
        self.tell_begun().await;
        self.still_locked().await?;
        if self.is_long_ago(looked) {
            facts = self.look(action).await?;
            before = facts.fields(action);
        }
        let undo = action.undo(&before);
        self.record(What::Started {
            step,
            verb: (*verb).to_owned(),
            place: place.clone(),
            action: action.clone(),
            before: before.clone(),
            undo: undo.clone(),
            lease: *lease,
        })?;
        self.touched = true;
        let at = self.now();
        self.enter_done(Done {
            step,
            env: self.env.name.clone(),
            action: action.clone(),
            before: before.clone(),
            undo,
            lease: *lease,
            at,
            returned: false,
        });
        self.carry_out(step, action, &facts, &before).await
    }

    /// What the action rests on, with which it may be done. Where the machine stood still while it was asked for, it is asked for again.
    async fn look(&mut self, action: &Action) -> Result<Facts, RunError> {
        let mut looks = 1;
        loop {
            let began = self.now();
            let facts = self.account.facts(action).await?;
            self.guard(action, &facts).await?;
            if looks == LOOKS || !self.is_long_ago(began) {
                return Ok(facts);
            }
            looks += 1;
        }
    }

    /// What was seen then is no ground for a change any more: somebody took his time to answer, or a machine to go on.
    fn is_long_ago(&self, seen: Timestamp) -> bool {
        self.now().duration_since(seen).unsigned_abs() > FRESH
    }

    /// Where another process began the same step, what was before it is what that one found.
    fn enter_done(&mut self, done: Done) {
        if !self.entries.iter().any(|entry| entry.step() == done.step) {
            self.entries.push(Entry::Action(done));
        }
    }

    /// Sends an action that the journal has as started, and records what became of it.
    async fn carry_out(&mut self, step: u64, action: &Action, facts: &Facts, before: &Fields) -> Result<bool, RunError> {
        let sent = self.send(action, facts, before).await;
        let calls = self.own_calls();
        match sent {
            Ok(seen) => self.seen(step, seen, calls)?,
            Err(Unsent::Error(error, effect)) => {
                if effect == Effect::None {
                    self.entries.retain(|entry| entry.step() != step);
                }
                self.record(What::Failed { step, error: error.clone(), effect, calls })?;
                return Err(error.into());
            }
            Err(Unsent::Unseen(why)) => return Err(Halt::Paused { why }.into()),
        }
        Ok(true)
    }

    /// An action that was begun by a process that died: is it there, or must it be sent (again)?
    async fn recover(&mut self, step: u64, action: &Action, before: Fields) -> Result<bool, RunError> {
        self.look_up().await?;
        let facts = self.account.facts(action).await?;
        let found = facts.fields(action);
        if action.seen(&before, &facts) {
            self.record(What::Finished { step, after: found, calls: Vec::new(), seen: None })?;
            return Ok(true);
        }
        if let Some(why) = strange(action, &before, &found) {
            return Err(Halt::Stuck { step, why }.into());
        }
        self.guard(action, &facts).await?;
        self.still_locked().await?;
        self.carry_out(step, action, &facts, &before).await
    }

    /// Before the first new action of a run that goes on: is everything that it did still as it left it?
    async fn look_again(&mut self) -> Result<(), RunError> {
        if self.replay.cutoff == 0 {
            return Ok(());
        }
        self.replay.cutoff = 0;
        let mut seen = std::collections::BTreeSet::new();
        for entry in [&self.stays[..], &self.entries[..]].concat().iter().rev() {
            let Entry::Action(done) = entry else { continue };
            let facts = self.account_of(&done.env).facts(&done.action).await?;
            let mut found = facts.fields(&done.action);
            let thing = self.thing(&done.env, &done.action);
            let given_back = |field: &String, value: &Option<String>| {
                let same = |(env, back): &(String, Action)| self.thing(env, back) == thing && back.wanted().get(field) == Some(value);
                self.sent_back.iter().any(same)
            };
            // The last step that set a field is the one whose value must still be there.
            found.retain(|field, value| seen.insert((thing.clone(), field.clone())) && !done.returned && !given_back(field, value));
            if !done.action.forwards().is_empty() {
                // A change of weights also takes out what it does not name.
                seen.extend(done.before.keys().map(|field| (thing.clone(), field.clone())));
            }
            if let Some(why) = strange(&done.action, &done.before, &found) {
                let why = format!("the account is not as this run left it (step {}): {why}", done.step);
                return Err(Halt::Paused { why }.into());
            }
        }
        Ok(())
    }

    /// Sends the call, reads the account until the effect is seen, and judges what is read.
    pub(super) async fn send(&mut self, action: &Action, facts: &Facts, before: &Fields) -> Result<Seen, Unsent> {
        let stop = |halt: Halt| Unsent::Unseen(halt.to_string());
        self.keep().await.map_err(stop)?;
        if shrinks(action, facts) || drops(action, facts) {
            self.settle_traffic().await;
        }
        // Keeping the record and waiting for the nodes both take time.
        self.still_locked().await.map_err(stop)?;
        self.own_calls();
        if matches!(action, Action::Forward { .. } | Action::ForwardEach { .. }) {
            self.traffic_moved = Some(self.now());
        }
        let may_write: MayWrite = match &self.lock {
            Some(lock) => lock.may_write(),
            None if self.is_without_state() => Arc::new(|| Duration::MAX),
            None => return Err(Unsent::Unseen("this run does not have the lock of its environment".to_owned())),
        };
        match self.account.apply_while(may_write.clone(), action, facts, self.env.object_acl.as_deref()).await {
            Ok(()) => {
                let (after, unseen) = self.read_back(action, before).await?;
                self.judge(action, facts, &after, unseen).await
            }
            Err(error) if may_write().is_zero() => {
                self.fenced = true;
                Err(Unsent::Unseen(format!("the lease of the lock ended while {action} was tried: {error}")))
            }
            Err(error) if error.kind == Kind::Lost => match self.read_back(action, before).await {
                Ok((after, unseen)) => self.judge(action, facts, &after, unseen).await,
                Err(_) => Err(self.left_behind(action, before, error).await),
            },
            Err(error) => Err(self.left_behind(action, before, error).await),
        }
    }

    /// Waits until every node of the load balancer follows the last change of weights: one that lags still sends users to the
    /// colour that they left. Elastic Load Balancing documents no bound; this is the longest that was ever reported.
    pub(super) async fn settle_traffic(&mut self) {
        if let Some(moved) = self.traffic_moved.take() {
            let since = Duration::try_from(self.now().duration_since(moved)).unwrap_or_default();
            tokio::time::sleep(SETTLE.saturating_sub(since)).await;
        }
    }

    /// The facts that show the effect; and how long after the reply the last look began that did not.
    async fn read_back(&self, action: &Action, before: &Fields) -> Result<(Facts, Option<Duration>), Unsent> {
        let replied = tokio::time::Instant::now();
        let deadline = replied + READ_BACK;
        let (mut pause, mut unseen) = (LOOK_FIRST, None);
        loop {
            let looked = replied.elapsed();
            let facts = self
                .account
                .facts(action)
                .await
                .map_err(|e| Unsent::Unseen(format!("{action} was sent, but the account could not be read after it: {e}")))?;
            if action.seen(before, &facts) {
                return Ok((facts, unseen));
            }
            unseen = Some(looked);
            if tokio::time::Instant::now() >= deadline {
                return Err(Unsent::Unseen(format!("{action} was accepted, but is not seen after {} s", READ_BACK.as_secs())));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_LONGEST);
        }
    }

    /// The invariants that this action can move, on the read that showed its effect.
    async fn judge(&mut self, action: &Action, before: &Facts, after: &Facts, unseen: Option<Duration>) -> Result<Seen, Unsent> {
        let (fields, read_back) = (after.fields(action), ReadBack::of(before, after, unseen));
        let breach = match action {
            // Going back to a split that was found there is no split of ours.
            Action::Forward { .. } | Action::ForwardEach { .. } if self.undoing => None,
            Action::Forward { .. } | Action::ForwardEach { .. } => invariant::weights_after(before, after, &self.allow),
            Action::Capacity { asg, .. } => match invariant::capacity_after(action, before, after) {
                Some(breach) if self.carries_traffic(asg).await.unwrap_or(true) => Some(breach),
                Some(_) | None => None,
            },
            Action::Processes { .. } | Action::Parameter { .. } | Action::Object { .. } | Action::Copy { .. } => None,
            Action::Standby { .. } | Action::Refresh { .. } | Action::CancelRefresh { .. } => None,
            Action::Targets { .. } | Action::Terminate { .. } => None,
        };
        let Some(breach) = breach else { return Ok(Seen { fields, read_back, worse: None }) };
        if breach.ours {
            return Ok(Seen { fields, read_back, worse: Some(breach.text) });
        }
        let step = self.step;
        self.record(What::Noticed { step, text: breach.text }).map_err(|halt| Unsent::Unseen(halt.to_string()))?;
        Ok(Seen { fields, read_back, worse: None })
    }

    /// The effect is there. That it broke an invariant is a failure of the step all the same.
    fn seen(&mut self, step: u64, seen: Seen, calls: Vec<CallRecord>) -> Result<(), RunError> {
        self.record(What::Finished { step, after: seen.fields, calls, seen: Some(Box::new(seen.read_back)) })?;
        seen.worse.map_or(Ok(()), |text| Err(RunError::failed(text)))
    }

    /// After an error: did nothing happen, or something?
    async fn left_behind(&self, action: &Action, before: &Fields, error: AccountError) -> Unsent {
        let effect = match self.account.facts(action).await {
            // Of several calls some went through, which a read may not show yet: the undo looks for as long as it takes.
            Ok(facts) if facts.fields(action) == *before && !takes_several_calls(action) => Effect::None,
            Ok(facts) if facts.fields(action) == *before => Effect::Unknown,
            Ok(_) => Effect::Some,
            Err(_) => Effect::Unknown,
        };
        Unsent::Error(error, effect)
    }

    /// Guards 1 to 4 on what was just read.
    pub(super) async fn guard(&mut self, action: &Action, facts: &Facts) -> Result<(), RunError> {
        match (action, facts) {
            (Action::Capacity { asg, .. } | Action::Processes { asg, .. }, Facts::Group(group)) => {
                guard::within(&self.env, None, action)?;
                // What is allowed even where traffic arrives needs nobody to ask whether it does.
                if guard::keeps_serving(group, true, &self.allow, action).is_ok() {
                    return Ok(());
                }
                let carries = self.carries_traffic(asg).await?;
                guard::keeps_serving(group, carries, &self.allow, action)
            }
            (Action::Forward { .. } | Action::ForwardEach { .. }, Facts::Routes(routes)) => {
                let topology = self.topology().await?;
                guard::within(&self.env, Some(&topology), action)?;
                let (mut rising, mut absent) = (BTreeSet::new(), None);
                for (route, weights) in action.forwards() {
                    let before = weights_of(routes, route);
                    // Going back to a split that was found there is no split of ours.
                    if !self.undoing {
                        guard::one_version(weights, &self.allow)?;
                    }
                    let more = guard::rising(&before, weights);
                    absent = absent.or(more.iter().find(|arn| !before.contains_key(**arn)).map(|arn| (*arn).to_owned()));
                    rising.extend(more.into_iter().map(str::to_owned));
                }
                let gaining: BTreeSet<&str> = rising.iter().filter_map(|arn| topology.color_of(arn)).collect();
                for receiver in self.receivers(&routes.as_slice().into(), rising.clone()).await? {
                    guard::can_receive(&receiver)?;
                }
                for color in self.env.colors.iter().filter(|color| gaining.contains(color.name.as_str()) && !self.undoing) {
                    self.guard_builds(&topology, color).await?;
                }
                // What its targets were found to be may be older than that.
                match absent.filter(|_| !self.undoing) {
                    Some(arn) => Err(guard::not_checked(topology.color_of(&arn).unwrap_or(&arn))),
                    None => Ok(()),
                }
            }
            (
                Action::Standby { asg, instance, standby: true, .. } | Action::Terminate { asg, instance, .. },
                Facts::Member { group, .. },
            ) => {
                guard::within(&self.env, None, action)?;
                self.guard_leaving(action, (asg, instance), group).await
            }
            (Action::Targets { .. }, Facts::Targets { group, targets }) => self.guard_targets(action, group, targets).await,
            (Action::Refresh { asg, .. }, Facts::Refresh { group, key, newest }) => {
                guard::within(&self.env, None, action)?;
                if self.undoing {
                    return Ok(());
                }
                let was = key.as_ref().map(|key| String::from_utf8_lossy(&key.body).into_owned());
                guard::can_return(asg, was.as_deref(), newest.as_ref())?;
                match self.carries_traffic(asg).await? {
                    true => guard::may_refresh(group, was.as_deref(), &self.allow, action),
                    false => Ok(()),
                }
            }
            (Action::Parameter { .. }, Facts::Parameter(_)) if invariant::is_record(&self.env, action) && !self.undoing => {
                guard::within(&self.env, None, action)?;
                let topology = self.topology().await?;
                let serving = traffic::who(&self.account, &self.env, &topology).await?;
                invariant::record_follows(&self.env, &topology, &serving, action, &facts.fields(action))
            }
            _ => guard::within(&self.env, None, action),
        }
    }

    /// Guards 2 and 3 for an instance that leaves its group, for a while or for good.
    async fn guard_leaving(&mut self, action: &Action, (asg, instance): (&str, &str), group: &GroupSettings) -> Result<(), RunError> {
        let ends = matches!(action, Action::Terminate { .. });
        if ends {
            guard::once_committed(instance, self.committed)?;
        }
        if !self.carries_traffic(asg).await? {
            return Ok(());
        }
        let (is_healthy, others) = self.healthy_beside(asg, instance).await?;
        let judge = if ends { guard::may_end } else { guard::may_leave };
        judge(instance, is_healthy, group, others, &self.allow)
    }

    /// Whether an instance is a healthy target, and how many others of its group are.
    async fn healthy_beside(&mut self, asg: &str, instance: &str) -> Result<(bool, u32), RunError> {
        let topology = self.topology().await?;
        let color = self.env.colors.iter().find(|color| color.asg == asg).map_or("", |color| color.name.as_str());
        let targets = traffic::health(&self.account, &topology, color).await?;
        let (own, others): (Vec<_>, Vec<_>) = targets.iter().filter(|target| target.state == "healthy").partition(|t| t.id == instance);
        Ok((!own.is_empty(), u32::try_from(others.len()).unwrap_or(u32::MAX)))
    }

    /// Reads, at this moment, the health of every target group that is to get more traffic, and the capacity that serves now.
    async fn receivers(&mut self, traffic: &Traffic, rising: BTreeSet<String>) -> Result<Vec<Receiver>, RunError> {
        let topology = self.topology().await?;
        if rising.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = self.env.colors.iter().map(|c| c.asg.as_str()).collect();
        let groups = self.account.settings(&names).await?;
        let desired = |color: &str| self.env.color(color).and_then(|c| groups.get(&c.asg)).map(|g| g.desired);
        let serving = topology.colors().filter(|color| traffic.reaches(&topology, color));
        let live = serving.filter_map(desired).max().unwrap_or(0);
        let mut receivers = Vec::new();
        for arn in rising {
            let color = topology.color_of(&arn).unwrap_or(&arn).to_owned();
            let mut states: BTreeMap<String, u32> = BTreeMap::new();
            for target in self.account.target_health(&arn).await? {
                *states.entry(target.state).or_default() += 1;
            }
            // Going back, the old colour has what it had when it served; a larger new colour must not block the way.
            let asked = if self.undoing { desired(&color).unwrap_or(live).min(live) } else { live };
            let needed = self.accepted.get(&color).copied().unwrap_or(asked).max(1);
            receivers.push(Receiver { healthy: states.get("healthy").copied().unwrap_or(0), color, arn, states, needed });
        }
        Ok(receivers)
    }
}

/// Takes instances away, now or by letting go of a floor that holds them.
fn shrinks(action: &Action, facts: &Facts) -> bool {
    let (Action::Capacity { min, max, desired, .. }, Facts::Group(group)) = (action, facts) else { return false };
    desired.is_some_and(|n| n < group.desired) || max.is_some_and(|n| n < group.desired) || min.is_some_and(|n| n < group.min)
}

/// Takes a target group out of a rule. A node that still sends users there would find it unused.
fn drops(action: &Action, facts: &Facts) -> bool {
    let Facts::Routes(routes) = facts else { return false };
    action.forwards().into_iter().any(|(route, weights)| weights_of(routes, route).keys().any(|arn| !weights.contains_key(arn)))
}

/// The weights of one route as read.
fn weights_of(routes: &[RouteFacts], route: &RouteRef) -> BTreeMap<String, u32> {
    routes.iter().find(|r| r.route == *route).and_then(|r| r.forward.as_ref()).map(|f| f.weights.clone()).unwrap_or_default()
}

/// An action that went through.
pub(super) struct Seen {
    fields: Fields,
    read_back: ReadBack,
    /// An invariant that the action itself broke.
    worse: Option<String>,
}

/// An action that did not go through.
pub(super) enum Unsent {
    Error(AccountError, Effect),
    /// Accepted, but not seen.
    Unseen(String),
}
